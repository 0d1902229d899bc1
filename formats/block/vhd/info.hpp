// What the footer and the header of a VHD say. Strings are from the image: escape them before printing.
#pragma once

#include "formats/block/block_counts.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace vm2oci {

struct VhdInfo {
    std::string type;              // "fixed", "dynamic", "differencing"
    std::string creator;           // untrusted: four characters
    bool size_by_geometry = false; // the disk's size is that of its cylinders, heads and sectors
    std::uint64_t block_size = 0;  // bytes; 0: fixed
    std::string id;                // UUID
    std::optional<std::string> parent_id;
    std::string parent_name; // untrusted
    BlockCounts blocks;
};

} // namespace vm2oci
