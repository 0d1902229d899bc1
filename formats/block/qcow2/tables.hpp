// The L1 and L2 tables: from an offset of the guest's disk to a decision about where its bytes are.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/block/disk_policy.hpp"
#include "formats/block/qcow2/header.hpp"

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace vm2oci::qcow2 {

// What decoding an entry needs to know of the header.
struct Geometry {
    explicit Geometry(const Header& header);

    std::uint32_t version;
    std::uint32_t cluster_bits;
    std::uint64_t cluster_size;
    std::uint64_t entry_bytes; // of an L2 table
    std::uint64_t l2_entries;
    std::uint64_t virtual_size;
    bool extended_l2;
    bool external_data;
};

enum class Placement {
    zero,        // reads as zeros
    unallocated, // reads as the backing file, else as zeros
    allocated,   // uncompressed at `host_offset`
    compressed,  // one cluster, packed into `host_length` bytes at `host_offset`
};

// The decision for a run of the guest's disk.
struct Mapping {
    Placement placement;
    std::uint64_t length;          // guest bytes from the offset asked for; at least 1
    std::uint64_t host_offset = 0; // allocated: of the byte asked for; compressed: where the cluster's stream begins
    std::uint64_t host_length = 0; // compressed only
};

// Decodes one L2 entry (`bitmap` is 0 without extended L2), from `offset_in_cluster` as far as the answer holds, at
// most to the end of the cluster. `guest_cluster` is the offset of the cluster on the guest's disk. Error{corrupt} if
// the entry breaks the format. Does not look at the size of the file.
Mapping decode_l2_entry(const Geometry& geometry, std::uint64_t entry, std::uint64_t bitmap,
                        std::uint64_t guest_cluster, std::uint64_t offset_in_cluster);

// The offset of the L2 table; 0: none. Error{corrupt} if it is not on a cluster or lies over the header.
std::uint64_t decode_l1_entry(const Geometry& geometry, std::uint64_t entry);

// How far a lookup goes on behind the first cluster.
enum class RunRule {
    contiguous, // as long as one read from the container gets it all; a compressed cluster stands alone
    same_kind,  // as long as the extent does not change its kind: allocated and compressed are both data
};

// Thread-safe. Holds the L1 table (<= 32 MiB, loaded at construction, which needs a checked header) and at most 4 MiB
// of L2 tables, loaded in slices of 64 KiB when they are asked for.
class Tables {
  public:
    // `truncation` allow: tables beyond the end of the container read as zeros.
    Tables(std::shared_ptr<const BlockDevice> container, const Header& header, Tolerance truncation);

    const Geometry& geometry() const { return geometry_; }
    // Only the entries that the active layer needs.
    const std::vector<std::uint64_t>& l1() const { return l1_; }

    // The run that begins at `guest_offset` (< virtual size), at most `max_length` (>= 1) long; may be shorter than
    // the longest possible one.
    Mapping lookup(std::uint64_t guest_offset, std::uint64_t max_length, RunRule rule) const;

    // Whether a piece of an L2 table lies in a hole of the container, and so is all zeros without reading it.
    bool is_hole(std::uint64_t host_offset, std::uint64_t length) const;

    // Reads a piece of an L2 table, past the cache. Error{corrupt} beyond the end of the container unless allowed.
    void read_l2(std::uint64_t host_offset, std::span<std::byte> buffer) const;

  private:
    using Slice = std::vector<std::byte>;
    struct CachedSlice {
        std::uint64_t host_offset;
        std::shared_ptr<const Slice> slice;
    };
    std::shared_ptr<const Slice> load_slice(std::uint64_t host_offset) const;

    std::shared_ptr<const BlockDevice> container_;
    Geometry geometry_;
    Tolerance truncation_;
    std::vector<std::uint64_t> l1_;
    std::uint64_t slice_bytes_;
    mutable std::mutex mutex_;              // guards the cache
    mutable std::list<CachedSlice> recent_; // most recently used first
    mutable std::unordered_map<std::uint64_t, std::list<CachedSlice>::iterator> slices_;
};

} // namespace vm2oci::qcow2
