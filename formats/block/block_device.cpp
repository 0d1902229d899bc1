#include "formats/block/block_device.hpp"

#include "formats/base/error.hpp"

#include <cstring>
#include <string>

namespace vm2oci {

void check_range(const BlockDevice& device, std::uint64_t offset, std::uint64_t length) {
    if (offset > device.size() || length > device.size() - offset)
        fail(ErrorKind::corrupt, "an offset lies beyond the end of the disk");
}

void check_not_cut(std::uint64_t disk_size, std::uint64_t wanted) {
    if (wanted < disk_size)
        fail(ErrorKind::usage, "the disk has " + std::to_string(disk_size) + " bytes and would be cut to " +
                                   std::to_string(wanted) + "; ask for a size that is at least as large");
}

bool is_zero(std::span<const std::byte> bytes) {
    // A byte equal to its neighbour all the way, the first one zero: memcmp is vectorised on every platform.
    return bytes.empty() ||
           (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

std::uint64_t data_bytes(const BlockDevice& device) {
    std::uint64_t bytes = 0;
    for (std::uint64_t offset = 0; offset < device.size();) {
        const Extent extent = device.extent_at(offset);
        if (extent.kind == ExtentKind::data)
            bytes += extent.length;
        offset += extent.length;
    }
    return bytes;
}

} // namespace vm2oci
