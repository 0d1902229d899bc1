#include "formats/codec/frame_checksum.hpp"

#include <xxhash.h>

namespace vm2oci {

std::uint32_t frame_checksum(std::span<const std::byte> content) {
    return static_cast<std::uint32_t>(XXH64(content.data(), content.size(), 0));
}

} // namespace vm2oci
