// What the header of a VDI says.
#pragma once

#include "formats/block/block_counts.hpp"

#include <cstdint>
#include <string>

namespace vm2oci {

struct VdiInfo {
    std::string type; // "dynamic", "fixed"
    std::uint64_t block_size = 0;
    std::string comment; // untrusted
    BlockCounts blocks;
};

} // namespace vm2oci
