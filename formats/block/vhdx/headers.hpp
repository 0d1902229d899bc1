// The part of a VHDX that says where everything else is: file identifier, headers and region tables.
//
// Facts from Microsoft's "VHDX Format Specification" 1.00 and QEMU's block/vhdx.c. Little-endian; offsets are bytes.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/block/vhdx/guid.hpp"

#include <cstdint>
#include <string>

namespace vm2oci::vhdx {

inline constexpr std::uint64_t kRegionAlignment = 1024ull * 1024; // of everything behind the headers
inline constexpr std::uint64_t kHeaderSectionBytes = kRegionAlignment;

struct Region {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t end() const { return offset + length; } // checked when the table was read
};

struct FileHeader {
    std::string creator; // untrusted, UTF-8
    Guid data_write_guid{};
    Guid log_guid{}; // null: the log is empty
    Region log;
};

// Of the two copies the one with the greater sequence number. Error{corrupt, unsupported}: no copy is sound, or they
// claim the same number and differ.
FileHeader read_file_header(const BlockDevice& file);

struct Regions {
    Region block_table;
    Region metadata;
};

// Of the two copies the first that is sound; where both are, they must agree. Error{corrupt, unsupported}: a required
// region is not known here, one is missing, or they lie over each other, the log or the headers.
Regions read_regions(const BlockDevice& file, const FileHeader& header);

} // namespace vm2oci::vhdx
