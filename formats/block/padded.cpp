#include "formats/block/padded.hpp"

#include "formats/base/checked.hpp"

#include <algorithm>

namespace vm2oci {

PaddedDevice::PaddedDevice(std::shared_ptr<const BlockDevice> disk, std::uint64_t size)
    : disk_(std::move(disk)), size_(size) {
    check_not_cut(disk_->size(), size);
}

void PaddedDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    const std::uint64_t on_disk =
        std::min<std::uint64_t>(disk_->size() - std::min(offset, disk_->size()), buffer.size());
    const auto head = buffer.first(static_cast<std::size_t>(on_disk));
    if (!head.empty())
        disk_->read_at(offset, head);
    const auto tail = buffer.subspan(head.size());
    std::fill(tail.begin(), tail.end(), std::byte{0});
}

Extent PaddedDevice::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    if (offset < disk_->size())
        return disk_->extent_at(offset);
    return {size_ - offset, ExtentKind::unallocated};
}

std::shared_ptr<const BlockDevice> raw_image(std::shared_ptr<const BlockDevice> disk,
                                             std::optional<std::uint64_t> size) {
    constexpr std::uint64_t kSectorBytes = 512;
    const std::uint64_t wanted = size.value_or(disk->size());
    if (wanted == disk->size() && wanted % kSectorBytes == 0)
        return disk;
    check_not_cut(disk->size(), wanted); // before it is rounded up
    return std::make_shared<PaddedDevice>(std::move(disk), align_up(wanted, kSectorBytes));
}

} // namespace vm2oci
