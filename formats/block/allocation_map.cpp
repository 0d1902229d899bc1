#include "formats/block/allocation_map.hpp"

#include "formats/base/checked.hpp"
#include "formats/block/parallel.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace vm2oci {
namespace {

// A worker's share: a multiple of 64 clusters, so that no two workers touch one word of the bitmap, and large enough
// that a hole of a terabyte costs few questions.
constexpr std::uint64_t kShareSize = 256 * MiB;
static_assert(kShareSize % (64 * kClusterSize) == 0);

// Nearly every cluster that holds data shows it in its first page.
constexpr std::uint64_t kHeadSize = 4 * KiB;

class Scanner {
  public:
    explicit Scanner(const BlockDevice& device) : device_(device) {}

    // True if [begin, end), at most a cluster long, holds a byte that is not zero.
    bool holds_data(std::uint64_t begin, std::uint64_t end) {
        const std::uint64_t head_end = std::min(begin + kHeadSize, end);
        return read_nonzero(begin, head_end) || read_nonzero(head_end, end);
    }

  private:
    bool read_nonzero(std::uint64_t begin, std::uint64_t end) {
        if (begin == end)
            return false;
        const auto part = std::span(buffer_).first(static_cast<std::size_t>(end - begin));
        device_.read_at(begin, part);
        return !is_zero(part);
    }

    const BlockDevice& device_;
    std::array<std::byte, kClusterSize> buffer_;
};

void scan_share(const BlockDevice& device, std::uint64_t begin, std::uint64_t end, const OperationContext& context,
                AllocationMap& map) {
    Scanner scanner(device);
    std::uint64_t offset = begin;
    while (offset < end) {
        const Extent extent = device.extent_at(offset);
        const std::uint64_t extent_end = std::min(offset + extent.length, end);
        if (extent.kind != ExtentKind::data) {
            context.progress->advance(extent_end - offset);
            offset = extent_end;
            continue;
        }
        while (offset < extent_end) {
            const std::uint64_t cluster = offset / kClusterSize;
            const std::uint64_t cluster_end = std::min((cluster + 1) * kClusterSize, end);
            const std::uint64_t part_end = std::min(cluster_end, extent_end);
            std::uint64_t next = part_end;
            if (map.contains(cluster))
                next = cluster_end;
            else if (scanner.holds_data(offset, part_end)) {
                map.set(cluster);
                next = cluster_end;
            }
            context.progress->advance(next - offset);
            offset = next;
            if (cluster % 64 == 0)
                context.check_cancelled();
        }
    }
}

} // namespace

AllocationMap::AllocationMap(std::uint64_t disk_size)
    : disk_size_(disk_size), cluster_count_(divide_up(disk_size, kClusterSize)),
      words_(static_cast<std::size_t>(divide_up(cluster_count_, 64))) {}

std::uint64_t AllocationMap::count(std::uint64_t begin, std::uint64_t end) const {
    if (begin >= end)
        return 0;
    const std::uint64_t first = begin / 64;
    const std::uint64_t last = (end - 1) / 64;
    const std::uint64_t first_mask = ~std::uint64_t{0} << (begin % 64);
    const std::uint64_t last_mask = ~std::uint64_t{0} >> (63 - (end - 1) % 64);
    std::uint64_t total = 0;
    for (std::uint64_t index = first; index <= last; ++index) {
        std::uint64_t word = words_[index];
        if (index == first)
            word &= first_mask;
        if (index == last)
            word &= last_mask;
        total += static_cast<std::uint64_t>(std::popcount(word));
    }
    return total;
}

std::uint64_t AllocationMap::next(std::uint64_t from, std::uint64_t limit, std::uint64_t flip) const {
    if (from >= limit)
        return limit;
    const std::uint64_t word_limit = divide_up(limit, 64);
    std::uint64_t index = from / 64;
    std::uint64_t word = (words_[index] ^ flip) & (~std::uint64_t{0} << (from % 64));
    while (word == 0) {
        if (++index == word_limit)
            return limit;
        word = words_[index] ^ flip;
    }
    return std::min(index * 64 + static_cast<std::uint64_t>(std::countr_zero(word)), limit);
}

std::uint64_t AllocationMap::select(std::uint64_t from, std::uint64_t rank) const {
    std::uint64_t index = from / 64;
    std::uint64_t word = words_[index] & (~std::uint64_t{0} << (from % 64));
    for (;;) {
        const auto here = static_cast<std::uint64_t>(std::popcount(word));
        if (rank < here)
            break;
        rank -= here;
        word = words_[++index];
    }
    for (; rank != 0; --rank)
        word &= word - 1;
    return index * 64 + static_cast<std::uint64_t>(std::countr_zero(word));
}

AllocationMap map_allocation(const BlockDevice& device, const OperationContext& context) {
    const std::uint64_t size = device.size();
    AllocationMap map(size);
    parallel_for(divide_up(size, kShareSize), context, [&](std::uint64_t share) {
        const std::uint64_t begin = share * kShareSize;
        scan_share(device, begin, std::min(begin + kShareSize, size), context, map);
    });
    return map;
}

} // namespace vm2oci
