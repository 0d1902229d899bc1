// What the descriptor and the headers of a VMDK say. Strings are raw bytes from the image: escape them before printing.
#pragma once

#include "formats/block/block_counts.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

struct VmdkExtentInfo {
    std::string type; // "SPARSE", "FLAT", "VMFS", "VMFSSPARSE", "SESPARSE", "ZERO"
    std::string name; // untrusted, and never opened as it is; empty: the extent is in the file itself, or is zeros
    std::uint64_t size = 0;
};

struct VmdkInfo {
    std::string create_type;      // "monolithicSparse", "streamOptimized", …
    unsigned version = 0;         // of the sparse extents' header; 0: there is none
    std::uint64_t grain_size = 0; // bytes; 0: no extent is sparse
    bool compressed = false;
    std::uint32_t content_id = 0;
    std::optional<std::uint32_t> parent_content_id; // none: no delta
    std::string parent_hint;                        // untrusted: the parent's file name
    std::vector<std::string> features;              // "unclean shutdown", "zeroed grains", "change tracking"
    std::vector<VmdkExtentInfo> extents;            // the first 64 of them
    std::uint64_t extent_count = 0;
    BlockCounts grains; // of all sparse extents
};

} // namespace vm2oci
