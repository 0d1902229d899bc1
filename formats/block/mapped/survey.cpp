#include "formats/block/mapped/survey.hpp"

#include "formats/base/checked.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::mapped {
namespace {

constexpr std::uint64_t kSectorBytes = 512;

// A unit of which parts are placed differently counts as the first of these that it has.
enum class Rank { none, unallocated, zero, compressed, data };

Rank rank_of(Placement placement) {
    switch (placement) {
    case Placement::zero:
        return Rank::zero;
    case Placement::unallocated:
        return Rank::unallocated;
    case Placement::compressed:
        return Rank::compressed;
    default:
        return Rank::data;
    }
}

class UnitCounter {
  public:
    explicit UnitCounter(std::uint64_t unit) : unit_(unit) {}

    // Runs come in the order of the disk, without gaps.
    void add(std::uint64_t offset, const Mapping& mapping) {
        const std::uint64_t first = offset / unit_;
        const std::uint64_t last = (offset + mapping.length - 1) / unit_;
        if (first != pending_unit_)
            flush(first);
        pending_ = std::max(pending_, rank_of(mapping.placement));
        if (last == first)
            return;
        flush(last);
        count(rank_of(mapping.placement), last - first - 1);
        pending_ = rank_of(mapping.placement);
    }
    BlockCounts finish() {
        flush(0);
        return counts_;
    }

  private:
    void flush(std::uint64_t next_unit) {
        count(pending_, 1);
        pending_ = Rank::none;
        pending_unit_ = next_unit;
    }
    void count(Rank rank, std::uint64_t number) {
        switch (rank) {
        case Rank::none:
            break;
        case Rank::unallocated:
            counts_.unallocated += number;
            break;
        case Rank::zero:
            counts_.zero += number;
            break;
        case Rank::compressed:
            counts_.compressed += number;
            break;
        case Rank::data:
            counts_.data += number;
            break;
        }
    }

    std::uint64_t unit_;
    std::uint64_t pending_unit_ = 0;
    Rank pending_ = Rank::none;
    BlockCounts counts_;
};

} // namespace

bool is_stored(std::uint64_t unit, std::uint64_t begin, std::uint64_t end, std::uint64_t host_size) {
    if (end <= host_size)
        return true;
    // Of the last unit, some of whose sectors are there.
    return host_size % kSectorBytes == 0 && begin < host_size && end - host_size < unit;
}

void fail_beyond_end(std::uint64_t guest_offset, std::uint64_t host_offset, std::uint64_t host_size) {
    fail(ErrorKind::corrupt,
         fmt::format("the data of guest offset {:#x} is at {:#x} and goes on beyond the end of the file at {:#x}: it "
                     "is truncated",
                     guest_offset, host_offset, host_size),
         HintKind::allow_truncated);
}

Survey survey(const BlockMap& map, RangeSet& taken, std::uint64_t host_size, const DiskPolicy& policy) {
    Survey result;
    UnitCounter counter(map.unit());
    for (std::uint64_t offset = 0; offset < map.size();) {
        const Mapping mapping = map.lookup(offset, map.size() - offset, RunRule::contiguous);
        counter.add(offset, mapping);
        if (holds_data(mapping.placement)) {
            result.allocated_bytes += mapping.length;
            // Of a compressed unit at least the first sector.
            const std::uint64_t length = mapping.placement != Placement::compressed ? mapping.length
                                         : mapping.host_length != 0                 ? mapping.host_length
                                                                                    : kSectorBytes;
            const std::uint64_t end = checked_add(mapping.host_offset, length, "end of a block");
            const bool stored = mapping.placement == Placement::compressed
                                    ? mapping.host_offset < host_size
                                    : is_stored(map.unit(), mapping.host_offset, end, host_size);
            if (!stored && policy.truncation == Tolerance::refuse)
                fail_beyond_end(offset, mapping.host_offset, host_size);
            taken.add(mapping.host_offset, end);
        }
        offset += mapping.length;
    }
    taken.check();
    result.units = counter.finish();
    check_amplification(result.allocated_bytes, host_size);
    return result;
}

} // namespace vm2oci::mapped
