// The guest's disk in a qcow2, as a BlockDevice.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/block/disk_policy.hpp"
#include "formats/block/qcow2/decode.hpp"
#include "formats/block/qcow2/tables.hpp"

#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace vm2oci::qcow2 {

// Whether bytes [begin, end) of a data cluster may be read from a host file of `host_size` bytes. A file may end inside
// its last cluster, on a sector: writers that stop at the last sector make such files, and the rest reads as zeros.
// What lies wholly beyond the end, or behind an end that no writer of sectors leaves, is lost.
bool is_stored(const Geometry& geometry, std::uint64_t begin, std::uint64_t end, std::uint64_t host_size);

// Error{corrupt}: data at `host_offset` lies beyond the end of its file, which has `host_size` bytes.
[[noreturn]] void fail_beyond_end(std::uint64_t guest_offset, std::uint64_t host_offset, std::uint64_t host_size);

struct DeviceParts {
    std::shared_ptr<const BlockDevice> container; // the file with the tables
    std::shared_ptr<const BlockDevice> data;      // the external data file, else the container again
    std::shared_ptr<const BlockDevice> backing;   // null: unallocated reads as zeros
    std::shared_ptr<const Tables> tables;
    CompressionType compression = CompressionType::zlib;
    Tolerance truncation = Tolerance::refuse;
};

// Memory: 4 MiB of tables and about as much of decoded clusters, whatever the disk's size. Runs of contiguous clusters
// are read from the container in one piece, straight into the caller's buffer.
class Qcow2Device final : public BlockDevice {
  public:
    explicit Qcow2Device(DeviceParts parts);

    std::uint64_t size() const override { return geometry_.virtual_size; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    struct DecodedCluster {
        std::uint64_t guest_offset;
        std::shared_ptr<const std::vector<std::byte>> bytes;
    };
    void read_allocated(std::uint64_t guest_offset, std::uint64_t host_offset, std::span<std::byte> buffer) const;
    void read_backing(std::uint64_t guest_offset, std::span<std::byte> buffer) const;
    void read_compressed(std::uint64_t guest_offset, const Mapping& mapping, std::span<std::byte> buffer) const;
    void decode(std::uint64_t guest_cluster, const Mapping& mapping, std::span<std::byte> cluster) const;

    DeviceParts parts_;
    Geometry geometry_;
    std::size_t max_decoded_;
    mutable DecoderPool decoders_;
    mutable std::mutex mutex_;                   // guards decoded_
    mutable std::deque<DecodedCluster> decoded_; // newest first: small reads come back to the same cluster
};

} // namespace vm2oci::qcow2
