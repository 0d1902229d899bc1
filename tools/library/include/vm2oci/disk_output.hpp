// How a disk is written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace vm2oci::v0 {

enum class DiskOutputFormat {
    qcow2, // canonical: the same content gives the same bytes
    raw,
    keep, // the source's own file, untouched; refused unless it is clean
};
enum class ClusterCompression { none, zlib, zstd };

struct DiskOutput {
    DiskOutputFormat format = DiskOutputFormat::qcow2; // of disks in images; a destination that says one has that
    ClusterCompression cluster_compression = ClusterCompression::none; // qcow2 only
    std::optional<std::uint64_t> virtual_size;                         // grow to this
    bool leave_out_unused = false; // blocks that the guest's file systems do not use, and swap
};

struct WrittenDisk {
    std::string path;            // in the image: "disk/disk.qcow2"; empty for a disk that is no part of one
    std::string format;          // "qcow2", "raw"
    std::uint64_t file_size = 0; // 0: not told
    std::uint64_t virtual_size = 0;
    std::uint64_t allocated_size = 0;
};

} // namespace vm2oci::v0
