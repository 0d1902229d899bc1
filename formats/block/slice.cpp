#include "formats/block/slice.hpp"

#include "formats/base/error.hpp"

#include <algorithm>

namespace vm2oci {

SliceDevice::SliceDevice(std::shared_ptr<const BlockDevice> whole, std::uint64_t offset, std::uint64_t length)
    : whole_(std::move(whole)), offset_(offset), length_(length) {
    check_range(*whole_, offset, length);
}

void SliceDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    whole_->read_at(offset_ + offset, buffer);
}

Extent SliceDevice::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    Extent extent = whole_->extent_at(offset_ + offset);
    extent.length = std::min(extent.length, length_ - offset);
    return extent;
}

} // namespace vm2oci
