#include "formats/ext4/extents.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"

#include <algorithm>
#include <exception>
#include <memory>

namespace vm2oci {
namespace {

// A file of the largest disk in extents of one block each; more is a table that repeats itself.
constexpr std::uint64_t kMaxExtents = 16ull * 1024 * 1024;

struct Collector {
    const Ext4Library* library;
    std::vector<Ext4Extent> extents;
    std::exception_ptr thrown;

    void add(const Ext4Extent& next) {
        const std::uint64_t blocks = ext2fs_blocks_count(library->handle()->super);
        if (next.count == 0 || next.physical == 0 || next.physical >= blocks || next.count > blocks - next.physical)
            fail(ErrorKind::corrupt, "an extent of a file lies outside the ext4 file system");
        if (!extents.empty()) {
            Ext4Extent& last = extents.back();
            if (next.logical < last.logical + last.count)
                fail(ErrorKind::corrupt, "the extents of a file overlap or are out of order");
            if (next.logical == last.logical + last.count && next.physical == last.physical + last.count &&
                next.state == last.state) {
                last.count += next.count;
                return;
            }
        }
        if (extents.size() >= kMaxExtents)
            fail(ErrorKind::limit, "a file has more extents than any real one");
        extents.push_back(next);
    }
};

struct ExtentHandleCloser {
    void operator()(ext2_extent_handle* handle) const { ext2fs_extent_free(handle); }
};

void collect_extents(Collector& collector, ext2_ino_t number, ext2_inode& inode) {
    const Ext4Library& library = *collector.library;
    ext2_extent_handle_t raw = nullptr;
    library.check(ext2fs_extent_open2(library.handle(), number, &inode, &raw), "reading the extents of a file");
    const std::unique_ptr<ext2_extent_handle, ExtentHandleCloser> handle(raw);
    ext2fs_extent extent{};
    int step = EXT2_EXTENT_ROOT;
    for (;;) {
        const errcode_t code = ext2fs_extent_get(raw, step, &extent);
        if (code == EXT2_ET_EXTENT_NO_NEXT || (code == EXT2_ET_NO_CURRENT_NODE && step == EXT2_EXTENT_ROOT))
            return;
        library.check(code, "reading the extents of a file");
        step = EXT2_EXTENT_NEXT;
        if ((extent.e_flags & EXT2_EXTENT_FLAGS_LEAF) == 0 || (extent.e_flags & EXT2_EXTENT_FLAGS_SECOND_VISIT) != 0)
            continue;
        collector.add({extent.e_lblk, extent.e_pblk, extent.e_len,
                       (extent.e_flags & EXT2_EXTENT_FLAGS_UNINIT) != 0 ? Ext4Extent::State::unwritten
                                                                        : Ext4Extent::State::written});
    }
}

int collect_block(ext2_filsys, blk64_t* block, e2_blkcnt_t logical, blk64_t, int, void* data) noexcept {
    auto& collector = *static_cast<Collector*>(data);
    try {
        if (logical >= 0)
            collector.add({static_cast<std::uint64_t>(logical), *block, 1, Ext4Extent::State::written});
        return 0;
    } catch (...) {
        collector.thrown = std::current_exception();
        return BLOCK_ABORT;
    }
}

} // namespace

std::vector<Ext4Extent> read_extents(const Ext4Library& library, ext2_ino_t inode_number,
                                     const ext2_inode_large& inode) {
    Collector collector{&library, {}, nullptr};
    ext2_inode copy;
    static_assert(sizeof(ext2_inode) <= sizeof(ext2_inode_large));
    std::copy_n(reinterpret_cast<const std::byte*>(&inode), sizeof copy, reinterpret_cast<std::byte*>(&copy));
    // Every block of the map belongs to this file, so there are no more than the file system has.
    library.limit_reads(ext2fs_blocks_count(library.handle()->super) + 16);
    if ((inode.i_flags & EXT4_EXTENTS_FL) != 0) {
        collect_extents(collector, inode_number, copy);
    } else {
        const errcode_t code =
            ext2fs_block_iterate3(library.handle(), inode_number, BLOCK_FLAG_READ_ONLY | BLOCK_FLAG_DATA_ONLY, nullptr,
                                  collect_block, &collector);
        if (collector.thrown)
            std::rethrow_exception(collector.thrown);
        library.check(code, "reading the block map of a file");
    }
    library.limit_reads(0);
    return std::move(collector.extents);
}

void read_content(const Ext4Library& library, std::span<const Ext4Extent> extents, std::uint64_t offset,
                  std::span<std::byte> buffer) {
    const std::uint64_t block_size = library.handle()->blocksize;
    auto extent =
        std::upper_bound(extents.begin(), extents.end(), offset / block_size,
                         [](std::uint64_t block, const Ext4Extent& e) { return block < e.logical + e.count; });
    while (!buffer.empty()) {
        const std::uint64_t begin = extent == extents.end() ? ~std::uint64_t{0} : extent->logical * block_size;
        if (offset < begin) {
            const std::size_t hole = std::min<std::uint64_t>(buffer.size(), begin - offset);
            std::fill_n(buffer.begin(), hole, std::byte{0});
            buffer = buffer.subspan(hole);
            offset += hole;
            continue;
        }
        const std::uint64_t within = offset - begin;
        const std::size_t step = std::min<std::uint64_t>(buffer.size(), extent->count * block_size - within);
        if (extent->state == Ext4Extent::State::unwritten)
            std::fill_n(buffer.begin(), step, std::byte{0});
        else
            library.device().read_at(extent->physical * block_size + within, buffer.first(step));
        buffer = buffer.subspan(step);
        offset += step;
        ++extent;
    }
}

} // namespace vm2oci
