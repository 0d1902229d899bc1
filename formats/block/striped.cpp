#include "formats/block/striped.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"

#include <algorithm>

namespace vm2oci {

StripedDevice::StripedDevice(std::vector<std::shared_ptr<const BlockDevice>> disks, std::uint64_t stripe)
    : disks_(std::move(disks)), stripe_(stripe) {
    if (disks_.empty() || stripe == 0 || std::any_of(disks_.begin(), disks_.end(), [&](const auto& disk) {
            return disk->size() != disks_.front()->size() || disk->size() % stripe != 0;
        }))
        fail(ErrorKind::corrupt, "the stripes of a disk do not fit each other");
    size_ = checked_multiply<std::uint64_t>(disks_.front()->size(), disks_.size(), "the size of a striped disk");
}

StripedDevice::Place StripedDevice::place_at(std::uint64_t offset) const {
    const std::uint64_t number = offset / stripe_;
    const std::uint64_t within = offset % stripe_;
    return {disks_[number % disks_.size()].get(), number / disks_.size() * stripe_ + within, stripe_ - within};
}

void StripedDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    while (!buffer.empty()) {
        const Place place = place_at(offset);
        const auto part = buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(place.length, buffer.size())));
        place.disk->read_at(place.offset, part);
        buffer = buffer.subspan(part.size());
        offset += part.size();
    }
}

Extent StripedDevice::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    const Place place = place_at(offset);
    Extent extent = place.disk->extent_at(place.offset);
    extent.length = std::min(extent.length, place.length);
    return extent;
}

} // namespace vm2oci
