// One cluster in, a shorter blob out, or nothing.
#pragma once

#include "formats/block/qcow2/format.hpp"

#include <cstddef>
#include <memory>
#include <span>

namespace vm2oci::qcow2 {

// For use by one thread.
class ClusterCompressor {
  public:
    virtual ~ClusterCompressor() = default;
    // Compresses all of `cluster` into `out`; the length, or 0 if it does not fit there.
    virtual std::size_t compress(std::span<const std::byte> cluster, std::span<std::byte> out) = 0;
};

std::unique_ptr<ClusterCompressor> make_cluster_compressor(CompressionType type);

} // namespace vm2oci::qcow2
