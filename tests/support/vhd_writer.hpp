// Small VHDs and VDIs in memory, byte by byte.
#pragma once

#include "tests/support/image_bytes.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string_view>

namespace vm2oci::test {

inline constexpr std::uint64_t kVhdBlock = 64 * 1024;
inline constexpr std::uint64_t kVhdBlocks = 40;
inline constexpr std::uint64_t kVhdSize = kVhdBlock * kVhdBlocks - 1536; // the last block is not whole

struct VhdShape {
    std::uint32_t type = 3; // 2 fixed, 3 dynamic, 4 differencing
    std::string_view creator = "win ";
    std::uint8_t id = 0x11;        // every byte of the UUID
    std::uint8_t parent_id = 0x22; // of a differencing disk
    std::map<std::uint64_t, std::uint8_t> blocks;
    // Sectors (of the disk) in those blocks whose bit is 0, and which hold zeros.
    std::set<std::uint64_t> missing_sectors;
};

// Where make_vhd() puts things, in bytes; not of fixed disks.
namespace vhd_at {
inline constexpr std::uint64_t header = 512;
inline constexpr std::uint64_t table = 1536;
inline constexpr std::uint64_t first_block = 2048; // its bitmap of 512 bytes
} // namespace vhd_at

ImageBytes make_vhd(const VhdShape& shape);
// Computes all checksums anew and copies the first footer to the end.
void seal_vhd(ImageBytes& image);

inline constexpr std::uint64_t kVdiBlock = 1024 * 1024;
inline constexpr std::uint64_t kVdiBlocks = 12;
inline constexpr unsigned kZeroBlock = 0x100; // as a value: the map says zeros, and nothing is stored

namespace vdi_at {
inline constexpr std::uint64_t map = 512;
inline constexpr std::uint64_t data = 1024;
} // namespace vdi_at

ImageBytes make_vdi(const std::map<std::uint64_t, unsigned>& blocks);

} // namespace vm2oci::test
