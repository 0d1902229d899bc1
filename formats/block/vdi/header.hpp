// The header of a VDI, as a value.
//
// Facts from QEMU's block/vdi.c and VirtualBox' VDICore.h. Little-endian.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstdint>
#include <string>

namespace vm2oci::vdi {

inline constexpr std::uint64_t kSectorBytes = 512;

enum class ImageType : std::uint32_t { dynamic = 1, fixed = 2 };

struct Header {
    ImageType type = ImageType::dynamic;
    std::uint64_t map_offset = 0;
    std::uint64_t data_offset = 0;
    std::uint64_t disk_size = 0; // bytes, in whole sectors
    std::uint64_t block_size = 0;
    std::uint32_t blocks = 0;
    std::string comment; // untrusted
};

// Error{corrupt, unsupported, limit}.
Header read_header(const BlockDevice& file);

} // namespace vm2oci::vdi
