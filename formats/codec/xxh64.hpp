// XXH64 with seed 0: the checksum of zstd's own formats (github.com/Cyan4973/xxHash, doc/xxhash_spec.md). Tells frames
// apart and finds accidents; it is no defence against people, which digests are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vm2oci {

std::uint64_t xxh64(std::span<const std::byte> bytes);

// What zstd stores of it: the lower half.
inline std::uint32_t frame_checksum(std::span<const std::byte> content) {
    return static_cast<std::uint32_t>(xxh64(content));
}

} // namespace vm2oci
