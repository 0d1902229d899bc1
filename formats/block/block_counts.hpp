// How much of a disk is stored how: part of what each format's info tells.
#pragma once

#include <cstdint>

namespace vm2oci {

// In the unit of the format: clusters, grains, blocks. All 0 with TableScan::none.
struct BlockCounts {
    std::uint64_t data = 0;
    std::uint64_t compressed = 0;
    std::uint64_t zero = 0;
    std::uint64_t unallocated = 0;
};

} // namespace vm2oci
