#include "formats/btrfs/free_space.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/btrfs/objects.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::btrfs {
namespace {

constexpr std::uint64_t kReserved = 1 * MiB; // BTRFS_DEVICE_RANGE_RESERVED

[[noreturn]] void fail_account(const char* what) {
    fail(ErrorKind::corrupt, fmt::format("the btrfs file system contradicts itself about its free space: {}", what));
}

class SpaceAccount {
  public:
    SpaceAccount(const Volume& volume, const Subvolumes& trees) : volume_(volume), trees_(trees) {}

    std::vector<DataRange> run() {
        add_unallocated();
        if (volume_.geometry().block_groups == BlockGroups::in_own_tree)
            read_block_groups();
        read_extents();
        check_used();
        return finish();
    }

  private:
    void add_unallocated() {
        std::vector<DataRange> taken;
        for (const auto& [logical, chunk] : volume_.chunks().chunks())
            for (const std::uint64_t copy : chunk.copies)
                taken.push_back({copy, chunk.length});
        std::sort(taken.begin(), taken.end(),
                  [](const DataRange& a, const DataRange& b) { return a.offset < b.offset; });
        std::uint64_t at = 0;
        for (const DataRange& range : taken) {
            if (range.offset < at)
                fail_account("two chunks lie in the same place");
            add_free(at, range.offset);
            at = range.offset + range.length;
        }
        add_free(at, volume_.geometry().device_bytes);
    }

    void read_block_groups() {
        for (Cursor at(volume_, trees_.tree(object::block_group_tree), {}); !at.is_at_end(); at.next())
            if (at.key().type == item::block_group)
                add_block_group(at);
    }

    void add_block_group(const Cursor& at) {
        const auto chunk = volume_.chunks().chunks().find(at.key().object);
        if (chunk == volume_.chunks().chunks().end() || chunk->second.length != at.key().offset ||
            at.data().size() < 24)
            fail_account("a block group has no chunk of its size");
        said_[at.key().object] = load_le<std::uint64_t>(at.data().data());
    }

    void read_extents() {
        auto chunk = volume_.chunks().chunks().begin();
        const auto last = volume_.chunks().chunks().end();
        std::uint64_t end = chunk == last ? 0 : chunk->first; // of what is used so far
        for (Cursor at(volume_, trees_.tree(object::extent_tree), {}); !at.is_at_end(); at.next()) {
            if (at.key().type == item::block_group)
                add_block_group(at);
            if (at.key().type != item::extent && at.key().type != item::block_extent)
                continue;
            const std::uint64_t begin = at.key().object;
            const std::uint64_t length = at.key().type == item::extent ? at.key().offset : volume_.geometry().node_size;
            for (; chunk != last && begin >= chunk->second.end(); end = ++chunk == last ? 0 : chunk->first)
                add_gap(chunk->second, end, chunk->second.end());
            if (chunk == last || begin < end || length == 0 || length > chunk->second.end() - begin)
                fail_account("an extent overlaps another one, or lies in no chunk");
            add_gap(chunk->second, end, begin);
            end = begin + length;
            found_[chunk->first] += length;
        }
        for (; chunk != last; end = ++chunk == last ? 0 : chunk->first)
            add_gap(chunk->second, end, chunk->second.end());
    }

    void check_used() const {
        for (const auto& [logical, chunk] : volume_.chunks().chunks()) {
            const auto said = said_.find(logical);
            const auto found = found_.find(logical);
            if (said == said_.end())
                fail_account("a chunk has no block group");
            if (said->second != (found == found_.end() ? 0 : found->second))
                fail_account("extents do not add up to what their block group has in use");
        }
    }

    // Logical addresses of one chunk.
    void add_gap(const Chunk& chunk, std::uint64_t begin, std::uint64_t end) {
        for (const std::uint64_t copy : chunk.copies)
            add_free(copy + (begin - chunk.logical), copy + (end - chunk.logical));
    }
    void add_free(std::uint64_t begin, std::uint64_t end) {
        begin = std::max(begin, kReserved);
        if (begin < end)
            free_.push_back({begin, end - begin});
    }

    // In order, joined, without the places of superblocks.
    std::vector<DataRange> finish() {
        std::sort(free_.begin(), free_.end(),
                  [](const DataRange& a, const DataRange& b) { return a.offset < b.offset; });
        std::vector<DataRange> ranges;
        const auto add = [&](std::uint64_t begin, std::uint64_t end) {
            if (begin >= end)
                return;
            if (!ranges.empty() && ranges.back().offset + ranges.back().length == begin)
                ranges.back().length += end - begin;
            else
                ranges.push_back({begin, end - begin});
        };
        for (const DataRange& range : free_) {
            std::uint64_t begin = range.offset;
            const std::uint64_t end = range.offset + range.length;
            for (const std::uint64_t place : kSuperblockPlaces) {
                if (place >= end || place + kSuperblockStripe <= begin)
                    continue;
                add(begin, place);
                begin = place + kSuperblockStripe;
            }
            add(begin, end);
        }
        return ranges;
    }

    const Volume& volume_;
    const Subvolumes& trees_;
    std::vector<DataRange> free_;
    std::map<std::uint64_t, std::uint64_t> said_; // bytes in use, by chunk
    std::map<std::uint64_t, std::uint64_t> found_;
};

} // namespace

std::vector<DataRange> read_free_space(const Volume& volume, const Subvolumes& trees) {
    return SpaceAccount(volume, trees).run();
}

} // namespace vm2oci::btrfs
