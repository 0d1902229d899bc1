// The footer of a VHD and the header of one with blocks, as values.
//
// Facts from Microsoft's "Virtual Hard Disk Image Format Specification" 1.0 and QEMU's block/vpc.c. Big-endian.
#pragma once

#include "formats/block/block_device.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace vm2oci::vhd {

inline constexpr std::string_view kFooterMagic = "conectix";
inline constexpr std::uint64_t kFooterBytes = 512;
inline constexpr std::uint64_t kHeaderBytes = 1024;
inline constexpr std::uint64_t kSectorBytes = 512;

enum class DiskType : std::uint32_t { fixed = 2, dynamic = 3, differencing = 4 };

struct Footer {
    std::array<std::byte, kFooterBytes> bytes{};
    std::uint64_t header_offset = 0; // not of fixed disks
    std::string creator;             // untrusted
    std::uint64_t size = 0;          // bytes of the guest's disk
    bool size_by_geometry = false;
    DiskType type = DiskType::fixed;
    std::string id; // UUID
};

struct BlockHeader {
    std::uint64_t table_offset = 0;
    std::uint32_t entries = 0;
    std::uint32_t block_size = 0; // bytes
    std::string parent_id;        // UUID; means nothing unless the disk is differencing
    std::string parent_name;      // untrusted, UTF-8
};

// The footer at `offset`. Error{corrupt, unsupported}; the checksum is checked.
//
// The size is the one that the footer tells, but for disks made by Virtual PC ("vpc ") and by QEMU's default ("qemu"):
// those have as many sectors as their geometry, unless that is as large as it can be. As QEMU from version 10 on; older
// ones go by the geometry for creators that they do not know.
Footer read_footer(const BlockDevice& file, std::uint64_t offset);

// Error{corrupt, unsupported, limit}; the checksum is checked.
BlockHeader read_block_header(const BlockDevice& file, const Footer& footer);

} // namespace vm2oci::vhd
