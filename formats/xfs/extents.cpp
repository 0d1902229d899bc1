#include "formats/xfs/extents.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace vm2oci::xfs {
namespace {

constexpr std::uint32_t kMapMagic4 = 0x424d4150; // "BMAP"
constexpr std::uint32_t kMapMagic5 = 0x424d4133; // "BMA3"
constexpr std::size_t kTreeHeader4 = 24;
constexpr std::size_t kTreeHeader5 = 72;
constexpr std::size_t kRootHeader = 4; // level, number of records
constexpr std::size_t kExtentRecord = 16;
constexpr std::size_t kKeyAndPointer = 16;
constexpr unsigned kMaxTreeLevel = 9; // XFS_BTREE_MAXLEVELS
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 63;

class ExtentReader {
  public:
    ExtentReader(const Volume& volume, const Inode& inode) : volume_(volume), inode_(inode) {}

    void add_records(std::span<const std::byte> records) {
        for (std::size_t at = 0; at + kExtentRecord <= records.size(); at += kExtentRecord)
            add(load_be<std::uint64_t>(records.data() + at), load_be<std::uint64_t>(records.data() + at + 8));
    }

    // The root stands in the inode: fewer bytes of header, pointers behind the room for keys.
    void add_tree(std::span<const std::byte> root) {
        if (root.size() < kRootHeader)
            damaged("is cut off");
        const unsigned level = load_be<std::uint16_t>(root.data());
        const std::size_t records = load_be<std::uint16_t>(root.data() + 2);
        const std::size_t room = (root.size() - kRootHeader) / kKeyAndPointer;
        if (level == 0 || level > kMaxTreeLevel)
            damaged("has an impossible depth");
        if (records == 0 || records > room)
            damaged("has more entries than room");
        add_children(root.subspan(kRootHeader + room * 8, records * 8), level);
    }

    std::vector<MappedExtent> finish(std::uint64_t promised) {
        if (extents_.size() != promised)
            damaged(fmt::format("has {} extents where the inode counts {}", extents_.size(), promised));
        return std::move(extents_);
    }

  private:
    [[noreturn]] void damaged(std::string_view what) const {
        fail(ErrorKind::corrupt, fmt::format("the extent map of inode {} {}", inode_.number, what));
    }

    void add(std::uint64_t high, std::uint64_t low) {
        MappedExtent extent{};
        extent.state = high >> 63 != 0 ? MappedExtent::State::unwritten : MappedExtent::State::written;
        extent.logical = (high & ~(std::uint64_t{1} << 63)) >> 9;
        extent.physical = (high & 0x1ff) << 43 | low >> 21;
        extent.count = static_cast<std::uint32_t>(low & 0x1fffff);
        if (extent.count == 0)
            damaged("has an empty extent");
        if (!extents_.empty() && extent.logical < extents_.back().end())
            damaged("has extents that overlap or are out of order");
        if (extent.end() > kMaxFileBytes / volume_.geometry().block_size)
            damaged("goes beyond what a file can be");
        volume_.geometry().offset_of(extent.physical, extent.count);
        if (extents_.size() == kMaxExtents)
            fail(ErrorKind::limit, fmt::format("inode {} has more extents than any real file", inode_.number));
        extents_.push_back(extent);
    }

    // Depth comes down by one each time, and extents only come in order: neither loops nor blocks that are named twice
    // get far.
    void add_children(std::span<const std::byte> pointers, unsigned level) { // NOLINT(misc-no-recursion): nine levels
        for (std::size_t at = 0; at < pointers.size(); at += 8)
            add_block(load_be<std::uint64_t>(pointers.data() + at), level - 1);
    }

    void add_block(std::uint64_t block, unsigned level) { // NOLINT(misc-no-recursion): nine levels
        const std::size_t header = volume_.is_v5() ? kTreeHeader5 : kTreeHeader4;
        std::vector<std::byte> bytes(static_cast<std::size_t>(volume_.geometry().block_size));
        const std::uint64_t offset = volume_.geometry().offset_of(block, 1);
        volume_.read(offset, bytes);
        if (load_be<std::uint32_t>(bytes.data()) != (volume_.is_v5() ? kMapMagic5 : kMapMagic4))
            damaged("names a block that is no part of it");
        volume_.check_header(bytes, offset, kLongTreeHeader, inode_.number, "a block of an extent map");
        if (load_be<std::uint16_t>(bytes.data() + 4) != level)
            damaged("has a block on another level than it stands");
        const std::size_t records = load_be<std::uint16_t>(bytes.data() + 6);
        const std::size_t room = (bytes.size() - header) / kExtentRecord;
        if (records == 0 || records > room)
            damaged("has a block with more entries than room");
        const std::span<const std::byte> body = std::span<const std::byte>(bytes).subspan(header);
        if (level == 0)
            add_records(body.first(records * kExtentRecord));
        else
            add_children(body.subspan(room * 8, records * 8), level);
    }

    const Volume& volume_;
    const Inode& inode_;
    std::vector<MappedExtent> extents_;
};

} // namespace

std::vector<MappedExtent> read_extents(const Volume& volume, const Inode& inode, const Fork& fork) {
    ExtentReader reader(volume, inode);
    if (fork.format == ForkFormat::extents) {
        if (fork.extents > fork.bytes.size() / kExtentRecord)
            fail(ErrorKind::corrupt, fmt::format("inode {} counts more extents than it has room for", inode.number));
        reader.add_records(fork.bytes.first(static_cast<std::size_t>(fork.extents) * kExtentRecord));
    } else if (fork.format == ForkFormat::tree) {
        if (fork.extents > kMaxExtents)
            fail(ErrorKind::limit, fmt::format("inode {} has more extents than any real file", inode.number));
        reader.add_tree(fork.bytes);
    } else {
        fail(ErrorKind::corrupt, fmt::format("inode {} keeps in itself what must lie in blocks", inode.number));
    }
    return reader.finish(fork.extents);
}

void check_unshared(const std::vector<MappedExtent>& extents, std::uint64_t inode) {
    std::vector<const MappedExtent*> by_place;
    by_place.reserve(extents.size());
    for (const MappedExtent& extent : extents)
        by_place.push_back(&extent);
    std::sort(by_place.begin(), by_place.end(),
              [](const MappedExtent* a, const MappedExtent* b) { return a->physical < b->physical; });
    for (std::size_t i = 1; i < by_place.size(); ++i)
        if (by_place[i]->physical < by_place[i - 1]->physical + by_place[i - 1]->count)
            fail(ErrorKind::corrupt, fmt::format("inode {} has a block twice", inode));
}

std::vector<MappedExtent>::const_iterator extent_behind(const std::vector<MappedExtent>& extents, std::uint64_t block) {
    return std::upper_bound(extents.begin(), extents.end(), block,
                            [](std::uint64_t wanted, const MappedExtent& extent) { return wanted < extent.end(); });
}

void read_content(const Volume& volume, const std::vector<MappedExtent>& extents, std::uint64_t offset,
                  std::span<std::byte> buffer) {
    const std::uint64_t block_size = volume.geometry().block_size;
    auto extent = extent_behind(extents, offset / block_size);
    while (!buffer.empty()) {
        std::uint64_t step = buffer.size();
        if (extent == extents.end() || offset < extent->logical * block_size) {
            if (extent != extents.end())
                step = std::min(step, extent->logical * block_size - offset);
            std::fill_n(buffer.begin(), step, std::byte{0});
        } else {
            const std::uint64_t within = offset - extent->logical * block_size;
            step = std::min(step, extent->count * block_size - within);
            const std::span<std::byte> part = buffer.first(static_cast<std::size_t>(step));
            if (extent->state == MappedExtent::State::unwritten)
                std::fill(part.begin(), part.end(), std::byte{0});
            else
                volume.device().read_at(volume.geometry().offset_of(extent->physical, extent->count) + within, part);
            ++extent;
        }
        buffer = buffer.subspan(static_cast<std::size_t>(step));
        offset += step;
    }
}

std::uint64_t read_mapped(const Volume& volume, const std::vector<MappedExtent>& extents, std::uint64_t block,
                          std::span<std::byte> buffer, std::string_view what) {
    const std::uint64_t block_size = volume.geometry().block_size;
    std::optional<std::uint64_t> first;
    for (; !buffer.empty(); ++block) {
        const auto extent = extent_behind(extents, block);
        if (extent == extents.end() || block < extent->logical || extent->state == MappedExtent::State::unwritten)
            fail(ErrorKind::corrupt, fmt::format("{} of the xfs file system has a hole", what));
        const std::uint64_t offset = volume.geometry().offset_of(extent->physical + (block - extent->logical), 1);
        if (!first)
            first = offset;
        const std::size_t step = std::min<std::size_t>(buffer.size(), static_cast<std::size_t>(block_size));
        volume.read(offset, buffer.first(step));
        buffer = buffer.subspan(step);
    }
    return first.value_or(0);
}

} // namespace vm2oci::xfs
