// A qcow2 whose clusters are compressed one by one, as `qemu-img convert -c` makes them.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/qcow2/format.hpp"
#include "formats/block/qcow2/writer.hpp"

#include <cstdint>

namespace vm2oci {

// Writes what `image` describes into `fd`, an empty file that can be read and written at any offset, and returns the
// file's size. In file order: header, L1 table, L2 tables, then the clusters in guest order, each compressed and packed
// to the byte, or stored plain where compression gains nothing, then refcount blocks and refcount table. The header is
// written last: a file that was not finished is no image.
//
// The bytes depend on the content and the compression alone, not on context.threads. Progress counts bytes of clusters
// (image.allocated_size() in all; the caller names the phase). zlib clusters are raw deflate streams of RFC 1951 and
// may refer back up to 32 KiB: QEMU asks zlib for a window of 4 KiB, but inflates a cluster in one call, for which zlib
// looks back into the output itself. zstd sets the incompatible feature bit that QEMU knows since 5.1.
std::uint64_t write_compressed_qcow2(const CanonicalQcow2& image, qcow2::CompressionType compression, int fd,
                                     const OperationContext& context);

} // namespace vm2oci
