// One pass over the tables before the first byte is read: counts, and the refusals that need to see them all.
#pragma once

#include "formats/block/block_counts.hpp"
#include "formats/block/block_device.hpp"
#include "formats/block/disk_policy.hpp"
#include "formats/block/qcow2/header.hpp"
#include "formats/block/qcow2/tables.hpp"

#include <cstdint>

namespace vm2oci::qcow2 {

struct Survey {
    BlockCounts clusters;
    std::uint64_t allocated_bytes = 0; // of the guest's disk
};

// Reads every L2 table of the active layer once, in pieces, and throws Error
// - corrupt, if an entry breaks the format, if a table or a data cluster lies over the header or another table, if two
//   L1 entries share a table, or if something lies beyond the end of its file (which policy.truncation may allow);
// - limit, if the data that the tables promise is out of all proportion to the file.
// `data` is where data clusters are: the container itself, or the external data file; null if that is not at hand, and
// what lies in it is not judged.
// Memory: one piece, and 8 bytes for each L2 table and refcount block.
Survey survey(const BlockDevice& container, const BlockDevice* data, const Header& header, const Tables& tables,
              const DiskPolicy& policy);

} // namespace vm2oci::qcow2
