// From an offset of the guest's disk to where its bytes lie: what formats of equal blocks behind tables have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vm2oci::mapped {

enum class Placement {
    zero,        // reads as zeros
    unallocated, // reads as the parent, else as zeros
    stored,      // uncompressed at `host_offset`
    stored_zero, // reads as zeros, and so must what lies at `host_offset`: else readers would differ
    compressed,  // one unit, packed, at `host_offset`
};

// The decision for a run of the guest's disk.
struct Mapping {
    Placement placement;
    std::uint64_t length;          // guest bytes from the offset asked for; at least 1
    std::uint64_t host_offset = 0; // stored, stored_zero: of the byte asked for; compressed: where the unit's begins
    std::uint64_t host_length = 0; // compressed: bytes up to what lies behind it in the file; 0: not known
};

// How far a lookup goes on behind the first unit.
enum class RunRule {
    contiguous, // as long as one read from the file gets it all; a compressed unit stands alone
    same_kind,  // as long as the extent does not change its kind
};

constexpr bool holds_data(Placement placement) {
    return placement != Placement::zero && placement != Placement::unallocated;
}

// Whether `next`, which follows `run` on the guest's disk, belongs to the same run.
constexpr bool continues(const Mapping& run, const Mapping& next, RunRule rule) {
    if (rule == RunRule::same_kind)
        return run.placement == next.placement || (holds_data(run.placement) && holds_data(next.placement));
    if (run.placement != next.placement || run.placement == Placement::compressed)
        return false;
    return !holds_data(run.placement) || run.host_offset + run.length == next.host_offset;
}

// Thread-safe.
class BlockMap {
  public:
    virtual ~BlockMap() = default;
    // Of the guest's disk.
    virtual std::uint64_t size() const = 0;
    // Guest bytes that an entry of the tables stands for: a grain, a block.
    virtual std::uint64_t unit() const = 0;
    // The run that begins at `offset` (< size()), at most `max_length` (>= 1) long; may be shorter than the longest
    // possible one. Error{corrupt} if an entry breaks the format. Does not look at the size of the file.
    virtual Mapping lookup(std::uint64_t offset, std::uint64_t max_length, RunRule rule) const = 0;
    // Fills `unit` (the whole one, or less at the end of the disk) with the compressed one at `guest_offset`; only
    // called for what lookup() says is compressed; formats without compression leave it as it is: Error{corrupt}.
    virtual void decode(std::uint64_t guest_offset, const Mapping& mapping, std::span<std::byte> unit) const;
};

} // namespace vm2oci::mapped
