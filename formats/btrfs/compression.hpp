// Inside of the room: extents that were compressed, each a stream of its own.
#pragma once

#include "formats/base/size.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vm2oci::btrfs {

enum class Codec : std::uint8_t { none = 0, zlib = 1, lzo = 2, zstd = 3 };

// The kernel packs at most this much in one stream.
inline constexpr std::size_t kMaxPacked = 128 * KiB;

// Exactly `size` (at most kMaxPacked) bytes: what the stream lacks is zeros, and what it has beyond is not wanted, as
// older kernels packed whole pages. Error{corrupt}.
std::vector<std::byte> unpack(Codec codec, std::span<const std::byte> stored, std::size_t size);

} // namespace vm2oci::btrfs
