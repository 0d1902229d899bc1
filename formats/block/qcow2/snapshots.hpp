// The table of internal snapshots, which is reported and never read from.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/block/qcow2/header.hpp"
#include "formats/block/qcow2/info.hpp"

#include <vector>

namespace vm2oci::qcow2 {

// At most kMaxReportedSnapshots of them, with ids and names cut to kMaxReportedNameBytes: enough to tell, and bounded.
inline constexpr std::size_t kMaxReportedSnapshots = 1000;
inline constexpr std::size_t kMaxReportedSnapshotNameBytes = 256;

// Walks the whole table. Error{corrupt, limit} if it is not sound or not inside the container.
std::vector<SnapshotInfo> read_snapshots(const BlockDevice& container, const Header& header);

} // namespace vm2oci::qcow2
