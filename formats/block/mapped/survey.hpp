// All entries of a disk's tables, judged before the first byte of it is used.
#pragma once

#include "formats/block/block_counts.hpp"
#include "formats/block/disk_policy.hpp"
#include "formats/block/mapped/block_map.hpp"
#include "formats/block/mapped/range_set.hpp"

#include <cstdint>

namespace vm2oci::mapped {

struct Survey {
    BlockCounts units;
    std::uint64_t allocated_bytes = 0; // of the guest's disk
};

// Whether bytes [begin, end) of a unit may be read from a file of `host_size` bytes. A file may end inside its last
// unit, on a sector: writers that stop at the last sector make such files, and the rest reads as zeros. What lies
// wholly beyond the end, or behind an end that no writer of sectors leaves, is lost.
bool is_stored(std::uint64_t unit, std::uint64_t begin, std::uint64_t end, std::uint64_t host_size);

// Error{corrupt}: data at `host_offset` lies beyond the end of its file, which has `host_size` bytes.
[[noreturn]] void fail_beyond_end(std::uint64_t guest_offset, std::uint64_t host_offset, std::uint64_t host_size);

// Looks at every entry once. `taken` has what the metadata occupies of the file that holds the data, whose readable
// part ends at `host_size`. Throws Error
// - corrupt, if an entry breaks the format, if data lies over metadata or other data, or beyond the end of its file
//   (which policy.truncation may allow);
// - limit, if the data that the tables promise is out of all proportion to the file.
Survey survey(const BlockMap& map, RangeSet& taken, std::uint64_t host_size, const DiskPolicy& policy);

} // namespace vm2oci::mapped
