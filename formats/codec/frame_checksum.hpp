// The checksum that zstd keeps of a frame's content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vm2oci {

// The lower half of XXH64 with seed 0 (RFC 8878, 3.1.1: Content_Checksum). Tells frames apart and finds accidents; it
// is no defence against people, which digests are.
std::uint32_t frame_checksum(std::span<const std::byte> content);

} // namespace vm2oci
