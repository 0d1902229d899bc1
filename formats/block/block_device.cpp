#include "formats/block/block_device.hpp"

#include "formats/base/error.hpp"

#include <cstring>

namespace vm2oci {

void check_range(const BlockDevice& device, std::uint64_t offset, std::uint64_t length) {
    if (offset > device.size() || length > device.size() - offset)
        fail(ErrorKind::corrupt, "an offset lies beyond the end of the disk");
}

bool is_zero(std::span<const std::byte> bytes) {
    // A byte equal to its neighbour all the way, the first one zero: memcmp is vectorised on every platform.
    return bytes.empty() ||
           (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

} // namespace vm2oci
