// What the header and the tables of a qcow2 say. Strings are raw bytes from the image: escape them before printing.
#pragma once

#include "formats/block/block_counts.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

struct SnapshotInfo {
    std::string id;   // untrusted
    std::string name; // untrusted
    std::uint64_t disk_size = 0;
    std::uint64_t vm_state_size = 0;
    std::int64_t created_unix = 0;
};

struct Qcow2Info {
    unsigned version = 0;
    std::uint64_t cluster_size = 0;
    unsigned refcount_bits = 0;
    std::string compression;           // "zlib", "zstd"
    std::vector<std::string> features; // names in the field's terms: "lazy refcounts", "extended L2", "dirty", …
    std::optional<std::string> backing_file_name; // untrusted
    std::optional<std::string> data_file_name;    // untrusted
    std::uint32_t snapshot_count = 0;
    std::vector<SnapshotInfo> snapshots; // the first 1000 of them
    BlockCounts clusters;
};

} // namespace vm2oci
