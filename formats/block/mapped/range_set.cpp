#include "formats/block/mapped/range_set.hpp"

#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::mapped {
namespace {

constexpr std::size_t kMaxRanges = 4'000'000;

} // namespace

void RangeSet::add(std::uint64_t begin, std::uint64_t end) {
    if (begin >= end)
        return;
    if (!ranges_.empty() && ranges_.back().end == begin) {
        ranges_.back().end = end;
        return;
    }
    if (ranges_.size() == kMaxRanges) {
        check();
        if (ranges_.size() > kMaxRanges / 2)
            fail(ErrorKind::limit, "the disk lies in its file in too many pieces to tell whether some lie over others");
    }
    ranges_.push_back({begin, end});
}

void RangeSet::check() {
    std::ranges::sort(ranges_, {}, &Range::begin);
    std::size_t count = 0;
    for (const Range& range : ranges_) {
        if (count != 0 && range.begin < ranges_[count - 1].end)
            fail(ErrorKind::corrupt,
                 fmt::format("two parts of the image lie over each other at {:#x} of its file", range.begin));
        if (count != 0 && range.begin == ranges_[count - 1].end)
            ranges_[count - 1].end = range.end;
        else
            ranges_[count++] = range;
    }
    ranges_.resize(count);
}

} // namespace vm2oci::mapped
