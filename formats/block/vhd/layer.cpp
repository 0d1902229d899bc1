#include "formats/block/vhd/layer.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/mapped/device.hpp"
#include "formats/block/mapped/survey.hpp"
#include "formats/block/padded.hpp"
#include "formats/block/raw_layer.hpp"
#include "formats/block/slice.hpp"
#include "formats/block/vhd/block_table.hpp"
#include "formats/block/vhd/footer.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::vhd {
namespace {

constexpr std::uint64_t kOldFooterBytes = 511; // of Virtual PC before 2004

class VhdLayer final : public Layer {
  public:
    VhdLayer(const Footer& footer, DevicePtr whole) : identity_("UUID " + footer.id), whole_(std::move(whole)) {}
    VhdLayer(const Footer& footer, std::optional<ParentLink> parent, mapped::DeviceParts parts)
        : identity_("UUID " + footer.id), parent_(std::move(parent)), parts_(std::move(parts)) {}

    std::optional<ParentLink> parent() const override { return parent_; }
    std::string identity() const override { return identity_; }
    DevicePtr assemble(DevicePtr parent) override {
        if (whole_)
            return whole_;
        parts_.parent = std::move(parent);
        return std::make_shared<const mapped::MappedDevice>(std::move(parts_));
    }

  private:
    std::string identity_;
    std::optional<ParentLink> parent_;
    DevicePtr whole_; // fixed
    mapped::DeviceParts parts_;
};

bool has_footer_at(const BlockDevice& file, std::uint64_t offset) {
    std::array<std::byte, kFooterMagic.size()> magic;
    if (offset + magic.size() > file.size())
        return false;
    file.read_at(offset, magic);
    return as_text(magic) == kFooterMagic;
}

std::string_view type_name(DiskType type) {
    switch (type) {
    case DiskType::fixed:
        return "fixed";
    case DiskType::dynamic:
        return "dynamic";
    case DiskType::differencing:
        return "differencing";
    }
    return "";
}

void describe(const Footer& footer, VhdInfo& info, LayerSizes& sizes) {
    info.type = type_name(footer.type);
    info.creator = footer.creator;
    info.size_by_geometry = footer.size_by_geometry;
    info.id = footer.id;
    sizes.virtual_size = footer.size;
}

std::unique_ptr<Layer> load_fixed(const LayerSource& source, Refusals& refusals, VhdInfo& info, LayerSizes& sizes) {
    const DevicePtr& file = source.container;
    const std::uint64_t size = file->size();
    if (size < kFooterBytes || !has_footer_at(*file, size - kFooterBytes)) {
        if (size >= kOldFooterBytes && has_footer_at(*file, size - kOldFooterBytes))
            fail(ErrorKind::unsupported, "the VHD has the short footer of old Virtual PCs, which is not read here; "
                                         "convert it with the tool that made it");
        fail(ErrorKind::corrupt, "not a VHD: there is no footer, neither at the beginning nor at the end");
    }
    const Footer footer = read_footer(*file, size - kFooterBytes);
    describe(footer, info, sizes);
    if (footer.type != DiskType::fixed)
        fail(ErrorKind::corrupt, fmt::format("the VHD is {}, and the copy of its footer at the beginning is missing",
                                             type_name(footer.type)));
    refusals.attempt([&] { check_virtual_size(footer.size, source.policy); });
    const std::uint64_t stored = std::min(footer.size, size - kFooterBytes);
    if (stored < footer.size && source.policy.truncation == Tolerance::refuse)
        fail(ErrorKind::corrupt,
             fmt::format("the disk has {} bytes, and the file holds {} before its footer: it is truncated", footer.size,
                         stored),
             HintKind::allow_truncated);
    DevicePtr disk = std::make_shared<const SliceDevice>(file, 0, stored);
    if (source.scan == TableScan::complete)
        sizes.allocated_size = data_bytes(*disk);
    if (stored < footer.size)
        disk = std::make_shared<const PaddedDevice>(disk, footer.size);
    return std::make_unique<VhdLayer>(footer, disk);
}

// Where the blocks end: before the footer, which must be there and say what its copy at the beginning says.
std::uint64_t find_data_end(const BlockDevice& file, const Footer& head, Tolerance truncation) {
    const std::uint64_t size = file.size();
    if (size < 2 * kFooterBytes || !has_footer_at(file, size - kFooterBytes)) {
        if (truncation == Tolerance::refuse)
            fail(ErrorKind::corrupt, "the VHD does not end in its footer: it is truncated", HintKind::allow_truncated);
        return size;
    }
    if (read_footer(file, size - kFooterBytes).bytes != head.bytes)
        fail(ErrorKind::corrupt, "the VHD's footer and the copy of it at the beginning differ");
    return size - kFooterBytes;
}

mapped::Survey survey_blocks(const BlockTable& table, const Footer& footer, const BlockHeader& header,
                             std::uint64_t data_end, std::uint64_t file_size, const DiskPolicy& policy) {
    mapped::RangeSet taken;
    taken.add(0, kFooterBytes);
    taken.add(footer.header_offset, footer.header_offset + kHeaderBytes);
    const std::uint64_t table_bytes = std::uint64_t{header.entries} * sizeof(std::uint32_t);
    const std::uint64_t table_end =
        align_up(checked_add(header.table_offset, table_bytes, "end of the VHD's table"), kSectorBytes);
    if (table_end > data_end && policy.truncation == Tolerance::refuse)
        fail(ErrorKind::corrupt,
             fmt::format("the VHD's table ends at byte {}, and the file has {}: it is truncated", table_end, file_size),
             HintKind::allow_truncated);
    taken.add(header.table_offset, table_end);
    if (data_end != file_size)
        taken.add(data_end, file_size);
    const std::uint64_t visible = divide_up(table.size(), table.unit());
    for (std::uint64_t index = 0; index < header.entries; ++index) {
        const std::uint64_t block = table.block_at(index);
        if (block == 0)
            continue;
        // Disks whose size is their geometry's may have blocks behind their end, which nobody sees.
        const std::uint64_t end = block + table.bitmap_bytes() + (index < visible ? 0 : table.unit());
        if (index >= visible && end > data_end && policy.truncation == Tolerance::refuse)
            mapped::fail_beyond_end(index * table.unit(), block, data_end);
        taken.add(block, end);
    }
    return mapped::survey(table, taken, data_end, policy);
}

} // namespace

std::unique_ptr<Layer> load(const LayerSource& source, Refusals& refusals, VhdInfo& info, LayerSizes& sizes) {
    const DevicePtr& file = source.container;
    if (!has_footer_at(*file, 0))
        return load_fixed(source, refusals, info, sizes);
    const Footer footer = read_footer(*file, 0);
    describe(footer, info, sizes);
    if (footer.type == DiskType::fixed)
        fail(ErrorKind::corrupt, "the VHD is fixed, and has a copy of its footer where its first sector should be");
    const bool may_scan = refusals.attempt([&] { check_virtual_size(footer.size, source.policy); });
    const BlockHeader header = read_block_header(*file, footer);
    info.block_size = header.block_size;
    std::optional<ParentLink> parent;
    if (footer.type == DiskType::differencing) {
        info.parent_id = header.parent_id;
        info.parent_name = header.parent_name;
        parent = ParentLink{header.parent_name, {"UUID " + header.parent_id}};
    }
    const std::uint64_t data_end = find_data_end(*file, footer, source.policy.truncation);
    const auto table = std::make_shared<const BlockTable>(file, footer, header, source.policy.truncation);
    if (may_scan && source.scan == TableScan::complete)
        refusals.attempt([&] {
            const mapped::Survey survey = survey_blocks(*table, footer, header, data_end, file->size(), source.policy);
            info.blocks = survey.units;
            sizes.allocated_size = survey.allocated_bytes;
        });
    mapped::DeviceParts parts;
    parts.map = table;
    parts.data = file;
    parts.data_end = data_end;
    parts.truncation = source.policy.truncation;
    return std::make_unique<VhdLayer>(footer, std::move(parent), std::move(parts));
}

} // namespace vm2oci::vhd
