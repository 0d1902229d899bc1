#include "formats/ext4/free_space.hpp"

#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace vm2oci {
namespace {

struct BlockRange {
    std::uint64_t begin;
    std::uint64_t end;
};

// Where metadata lies, by the group descriptors, whatever the bitmaps say; sorted and joined.
std::vector<BlockRange> find_metadata(ext2_filsys fs) {
    std::vector<BlockRange> ranges;
    const auto add = [&](std::uint64_t begin, std::uint64_t count) {
        if (count != 0)
            ranges.push_back({begin, begin + count});
    };
    const std::uint64_t old_descriptor_blocks = ext2fs_has_feature_meta_bg(fs->super) != 0
                                                    ? fs->super->s_first_meta_bg
                                                    : fs->desc_blocks + fs->super->s_reserved_gdt_blocks;
    for (dgrp_t group = 0; group < fs->group_desc_count; ++group) {
        blk64_t super = 0;
        blk64_t old_descriptors = 0;
        blk64_t new_descriptors = 0;
        blk_t used = 0;
        ext2fs_super_and_bgd_loc2(fs, group, &super, &old_descriptors, &new_descriptors, &used);
        if (super != 0 || group == 0)
            add(super, 1);
        if (old_descriptors != 0)
            add(old_descriptors, old_descriptor_blocks);
        if (new_descriptors != 0)
            add(new_descriptors, 1);
        add(ext2fs_block_bitmap_loc(fs, group), 1);
        add(ext2fs_inode_bitmap_loc(fs, group), 1);
        add(ext2fs_inode_table_loc(fs, group), fs->inode_blocks_per_group);
    }
    if (fs->super->s_mmp_block != 0)
        add(fs->super->s_mmp_block, 1);
    std::sort(ranges.begin(), ranges.end(), [](const BlockRange& a, const BlockRange& b) { return a.begin < b.begin; });
    return ranges;
}

// Takes free ranges in order, cuts the metadata out of them, joins what touches.
class FreeRuns {
  public:
    FreeRuns(ext2_filsys fs, const std::function<void(std::uint64_t, std::uint64_t)>& visit)
        : block_size_(fs->blocksize), visit_(visit), metadata_(find_metadata(fs)) {}

    void add(BlockRange free) {
        while (next_ < metadata_.size() && metadata_[next_].end <= free.begin)
            ++next_;
        for (std::size_t i = next_; i < metadata_.size() && metadata_[i].begin < free.end; ++i) {
            if (metadata_[i].begin > free.begin)
                join({free.begin, metadata_[i].begin});
            free.begin = std::max(free.begin, std::min(metadata_[i].end, free.end));
        }
        if (free.begin < free.end)
            join(free);
    }

    // Clusters of a range that none of the metadata touches. Rangees come in order, each before it is added.
    std::uint64_t count_without_metadata(BlockRange range, std::uint64_t cluster) const {
        std::uint64_t used = 0;
        std::uint64_t counted_to = range.begin; // all before is counted
        for (std::size_t i = next_; i < metadata_.size() && metadata_[i].begin < range.end; ++i) {
            const std::uint64_t begin = std::max(range.begin, metadata_[i].begin);
            const std::uint64_t from = std::max(counted_to, range.begin + (begin - range.begin) / cluster * cluster);
            const std::uint64_t end = std::min(range.end, metadata_[i].end);
            if (end <= from)
                continue;
            used += (end - from + cluster - 1) / cluster;
            counted_to = from + (end - from + cluster - 1) / cluster * cluster;
        }
        return (range.end - range.begin + cluster - 1) / cluster - used;
    }

    void flush() {
        if (pending_.begin < pending_.end)
            visit_(pending_.begin * block_size_, (pending_.end - pending_.begin) * block_size_);
        pending_ = {0, 0};
    }

  private:
    void join(BlockRange range) {
        if (pending_.end == range.begin && pending_.begin < pending_.end) {
            pending_.end = range.end;
            return;
        }
        flush();
        pending_ = range;
    }

    std::uint64_t block_size_;
    const std::function<void(std::uint64_t, std::uint64_t)>& visit_;
    std::vector<BlockRange> metadata_;
    std::size_t next_ = 0;
    BlockRange pending_{0, 0};
};

bool bit_is_set(const std::vector<std::byte>& bits, std::uint64_t index) {
    return (std::to_integer<unsigned>(bits[static_cast<std::size_t>(index / 8)]) >> (index % 8) & 1u) != 0;
}

} // namespace

void visit_free_space(const Ext4Library& library, SuperblockCount count,
                      const std::function<void(std::uint64_t, std::uint64_t)>& visit) {
    ext2_filsys fs = library.handle();
    library.check(ext2fs_check_desc(fs), "checking the group descriptors");
    FreeRuns runs(fs, visit);
    std::uint64_t all_free = 0; // clusters
    std::vector<std::byte> bitmap(fs->blocksize);
    const std::uint64_t cluster = EXT2FS_CLUSTER_RATIO(fs);
    for (dgrp_t group = 0; group < fs->group_desc_count; ++group) {
        const std::uint64_t first = ext2fs_group_first_block2(fs, group);
        const std::uint64_t end = ext2fs_group_last_block2(fs, group) + 1;
        if (ext2fs_group_desc_csum_verify(fs, group) == 0)
            fail(ErrorKind::corrupt, fmt::format("the checksum of the descriptor of group {} is wrong", group));
        const std::uint64_t stated = ext2fs_bg_free_blocks_count(fs, group);
        const auto compare = [&](std::uint64_t counted) {
            if (counted != stated)
                fail(ErrorKind::corrupt, fmt::format("the descriptor of group {} counts {} free clusters where its "
                                                     "bitmap has {}",
                                                     group, stated, counted));
            all_free += counted;
        };
        // In such a group nothing but metadata was ever written, and its bitmap neither.
        if (ext2fs_has_group_desc_csum(fs) != 0 && ext2fs_bg_flags_test(fs, group, EXT2_BG_BLOCK_UNINIT) != 0) {
            compare(runs.count_without_metadata({first, end}, cluster));
            runs.add({first, end});
            continue;
        }
        library.check(io_channel_read_blk64(fs->io, ext2fs_block_bitmap_loc(fs, group), 1, bitmap.data()),
                      "reading a block bitmap");
        if (ext2fs_block_bitmap_csum_verify(fs, group, reinterpret_cast<char*>(bitmap.data()),
                                            static_cast<int>(fs->super->s_clusters_per_group / 8)) == 0)
            fail(ErrorKind::corrupt, fmt::format("the checksum of the block bitmap of group {} is wrong", group));
        std::uint64_t counted = 0;
        for (std::uint64_t block = first; block < end;) {
            if (bit_is_set(bitmap, (block - first) / cluster)) {
                block += cluster;
                continue;
            }
            std::uint64_t stop = block;
            while (stop < end && !bit_is_set(bitmap, (stop - first) / cluster))
                stop += cluster;
            counted += (stop - block) / cluster;
            stop = std::min(stop, end);
            runs.add({block, stop});
            block = stop;
        }
        compare(counted);
    }
    if (count == SuperblockCount::exact && all_free * cluster != ext2fs_free_blocks_count(fs->super))
        fail(ErrorKind::corrupt, fmt::format("the superblock counts {} free blocks where the bitmaps have {}",
                                             ext2fs_free_blocks_count(fs->super), all_free * cluster));
    runs.flush();
}

} // namespace vm2oci
