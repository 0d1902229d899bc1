// Inside of the room: checksums of tree blocks and of data, by each algorithm that btrfs has. Source: the Linux kernel,
// fs/btrfs/fs.c (btrfs_csum) and include/uapi/linux/btrfs_tree.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace vm2oci::btrfs {

enum class ChecksumType : std::uint16_t { crc32c = 0, xxhash64 = 1, sha256 = 2, blake2b = 3 };

// As stored; what is behind checksum_size() is zeros.
using Checksum = std::array<std::byte, 32>;

std::size_t checksum_size(ChecksumType type);
Checksum checksum_of(ChecksumType type, std::span<const std::byte> bytes);
bool has_checksum(ChecksumType type, std::span<const std::byte> bytes, std::span<const std::byte> stored);

} // namespace vm2oci::btrfs
