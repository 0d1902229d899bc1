// The headers of sparse extents of a VMDK, as values.
//
// Facts from VMware's "Virtual Disk Format 5.0" (hosted sparse, COWD) and QEMU's block/vmdk.c. Little-endian; offsets
// and sizes in the files are sectors of 512 bytes, and bytes here.
#pragma once

#include "formats/block/layer.hpp"
#include "formats/block/mapped/range_set.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace vm2oci::vmdk {

inline constexpr std::string_view kHostedMagic = "KDMV";
inline constexpr std::string_view kCowdMagic = "COWD";

// A range of the extent's file.
struct Place {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t end() const { return offset + length; } // checked when the header was read
};

// What reading the grains of a sparse extent needs to know, of whatever kind it is.
struct SparseHeader {
    unsigned version = 0;
    std::uint64_t capacity = 0;   // bytes of the guest's disk; 0: the file is only a descriptor's shell
    std::uint64_t grain_size = 0; // bytes
    std::uint64_t entries_per_table = 0;
    Place directory;                          // 4 bytes for each grain table
    std::optional<Place> redundant_directory; // of the same length
    Place descriptor;                         // length 0: none
    Place header;                             // of the header itself
    Place footer;                             // with its markers; length 0: none
    bool zeroed_grains = false;
    bool compressed = false; // every grain behind a marker
    bool unclean = false;    // nobody closed it
};

// A hosted sparse extent (KDMV), streamOptimized ones among them, whose footer is found and held against the header.
// Error{corrupt, unsupported, limit}. With capacity 0 only `descriptor` is filled.
SparseHeader read_hosted_header(const BlockDevice& file, Tolerance truncation);

// A sparse extent of VMFS (COWD), a delta as a rule.
SparseHeader read_cowd_header(const BlockDevice& file, Tolerance truncation);

// Adds what the header, the descriptor, the footer and the directories occupy.
void add_metadata(const SparseHeader& header, mapped::RangeSet& taken);

} // namespace vm2oci::vmdk
