// The disk lane: what the guest sees becomes the file that is shipped.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/disk_view.hpp"
#include "formats/block/open_disk.hpp"
#include "formats/block/qcow2/writer.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace vm2oci {

enum class DiskOutputFormat {
    qcow2, // canonical: the same content gives the same bytes
    raw,
    keep, // the source's own file, untouched; refused unless it is clean (no backing or data file, whole, no snapshots)
};

enum class ClusterCompression { none, zlib, zstd };

struct DiskOutput {
    DiskOutputFormat format = DiskOutputFormat::qcow2;
    ClusterCompression cluster_compression = ClusterCompression::none; // qcow2 only
    std::optional<std::uint64_t> virtual_size; // grow to this; Error{usage} when smaller than the disk
};

// A file as bytes that can be read in any order, not necessarily stored anywhere.
struct DiskImage {
    std::shared_ptr<const BlockDevice> bytes;
    DiskFormat format = DiskFormat::qcow2;
    std::uint64_t virtual_size = 0;
    std::uint64_t allocated_size = 0;                // bytes of the guest's disk that are stored
    std::shared_ptr<const CanonicalQcow2> canonical; // `bytes`, when that is a canonical qcow2; else null
};

// Error{usage} for a view of something else than a source that is to be kept.
// Reads the disk once over for holes and zeros (not for `keep` and `raw`). With cluster compression the image is made
// in a scratch file, because its size is not known beforehand.
DiskImage make_disk_image(const DiskView& disk, const DiskOutput& output, const OperationContext& operation);

} // namespace vm2oci
