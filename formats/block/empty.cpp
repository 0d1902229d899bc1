#include "formats/block/empty.hpp"

#include <algorithm>

namespace vm2oci {

void EmptyDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    std::fill(buffer.begin(), buffer.end(), std::byte{0});
}

Extent EmptyDevice::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    return {size_ - offset, ExtentKind::unallocated};
}

} // namespace vm2oci
