#include "formats/block/vdi/layer.hpp"

#include "formats/base/checked.hpp"
#include "formats/block/mapped/device.hpp"
#include "formats/block/mapped/survey.hpp"
#include "formats/block/vdi/block_index.hpp"
#include "formats/block/vdi/header.hpp"

namespace vm2oci::vdi {
namespace {

class VdiLayer final : public Layer {
  public:
    explicit VdiLayer(mapped::DeviceParts parts) : parts_(std::move(parts)) {}
    DevicePtr assemble(DevicePtr /*parent*/) override {
        return std::make_shared<const mapped::MappedDevice>(std::move(parts_));
    }

  private:
    mapped::DeviceParts parts_;
};

} // namespace

std::unique_ptr<Layer> load(const LayerSource& source, Refusals& refusals, VdiInfo& info, LayerSizes& sizes) {
    const DevicePtr& file = source.container;
    const Header header = read_header(*file);
    info.type = header.type == ImageType::fixed ? "fixed" : "dynamic";
    info.block_size = header.block_size;
    info.comment = header.comment;
    sizes.virtual_size = header.disk_size;
    const bool may_scan = refusals.attempt([&] { check_virtual_size(header.disk_size, source.policy); });
    const auto index = std::make_shared<const BlockIndex>(file, header, source.policy.truncation);
    if (may_scan && source.scan == TableScan::complete)
        refusals.attempt([&] {
            mapped::RangeSet taken;
            taken.add(0, kSectorBytes);
            const std::uint64_t map_bytes = std::uint64_t{header.blocks} * sizeof(std::uint32_t);
            taken.add(header.map_offset, align_up(header.map_offset + map_bytes, kSectorBytes));
            const mapped::Survey survey = mapped::survey(*index, taken, file->size(), source.policy);
            info.blocks = survey.units;
            sizes.allocated_size = survey.allocated_bytes;
        });
    mapped::DeviceParts parts;
    parts.map = index;
    parts.data = file;
    parts.data_end = file->size();
    parts.truncation = source.policy.truncation;
    return std::make_unique<VdiLayer>(std::move(parts));
}

} // namespace vm2oci::vdi
