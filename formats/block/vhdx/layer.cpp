#include "formats/block/vhdx/layer.hpp"

#include "formats/base/error.hpp"
#include "formats/block/mapped/device.hpp"
#include "formats/block/mapped/survey.hpp"
#include "formats/block/vhdx/block_states.hpp"
#include "formats/block/vhdx/headers.hpp"
#include "formats/block/vhdx/log.hpp"
#include "formats/block/vhdx/metadata.hpp"

namespace vm2oci::vhdx {
namespace {

std::string identity_of(const Guid& guid) {
    return "GUID " + to_string(guid);
}

class VhdxLayer final : public Layer {
  public:
    VhdxLayer(std::string identity, std::optional<ParentLink> parent, mapped::DeviceParts parts)
        : identity_(std::move(identity)), parent_(std::move(parent)), parts_(std::move(parts)) {}

    std::optional<ParentLink> parent() const override { return parent_; }
    std::string identity() const override { return identity_; }
    DevicePtr assemble(DevicePtr parent) override {
        parts_.parent = std::move(parent);
        return std::make_shared<const mapped::MappedDevice>(std::move(parts_));
    }

  private:
    std::string identity_;
    std::optional<ParentLink> parent_;
    mapped::DeviceParts parts_;
};

std::optional<ParentLink> describe(const Metadata& metadata, VhdxInfo& info, LayerSizes& sizes) {
    info.type = metadata.parent ? "differencing" : metadata.fixed ? "fixed" : "dynamic";
    info.block_size = metadata.block_size;
    info.logical_sector_size = metadata.logical_sector_size;
    info.physical_sector_size = metadata.physical_sector_size;
    info.disk_id = to_string(metadata.disk_id);
    sizes.virtual_size = metadata.disk_size;
    if (!metadata.parent)
        return std::nullopt;
    info.parent_id = to_string(metadata.parent->data_write_guid);
    info.parent_name = metadata.parent->name;
    ParentLink link{metadata.parent->name, {identity_of(metadata.parent->data_write_guid)}};
    if (metadata.parent->second_guid)
        link.identities.push_back(identity_of(*metadata.parent->second_guid));
    return link;
}

} // namespace

std::unique_ptr<Layer> load(const LayerSource& source, Refusals& refusals, VhdxInfo& info, LayerSizes& sizes) {
    const FileHeader header = read_file_header(*source.container);
    info.creator = header.creator;
    info.data_id = to_string(header.data_write_guid);
    const Regions regions = read_regions(*source.container, header);
    const Replay replay = replay_log(source.container, header);
    info.replayed_log_entries = replay.entries;
    const Metadata metadata = read_metadata(*replay.file, regions.metadata);
    std::optional<ParentLink> parent = describe(metadata, info, sizes);
    const bool may_scan = refusals.attempt([&] { check_virtual_size(metadata.disk_size, source.policy); });
    const auto states =
        std::make_shared<const BlockStates>(replay.file, regions.block_table, metadata, source.policy.truncation);
    if (may_scan && source.scan == TableScan::complete)
        refusals.attempt([&] {
            mapped::RangeSet taken;
            taken.add(0, kHeaderSectionBytes);
            for (const Region& region : {header.log, regions.block_table, regions.metadata})
                taken.add(region.offset, region.end());
            states->add_bitmaps(taken);
            const mapped::Survey survey = mapped::survey(*states, taken, replay.file->size(), source.policy);
            info.blocks = survey.units;
            sizes.allocated_size = survey.allocated_bytes;
        });
    mapped::DeviceParts parts;
    parts.map = states;
    parts.data = replay.file;
    parts.data_end = replay.file->size();
    parts.truncation = source.policy.truncation;
    return std::make_unique<VhdxLayer>(identity_of(header.data_write_guid), std::move(parent), std::move(parts));
}

} // namespace vm2oci::vhdx
