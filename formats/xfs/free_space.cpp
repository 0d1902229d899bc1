#include "formats/xfs/free_space.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace vm2oci::xfs {
namespace {

constexpr std::uint32_t kFreeHeaderMagic = 0x58414746;  // "XAGF", in the second sector of a group
constexpr std::uint32_t kInodeHeaderMagic = 0x58414749; // "XAGI", in the third
constexpr std::uint32_t kReserveMagic = 0x5841464c;     // "XAFL", in the fourth; version 5 alone has a header there
constexpr HeaderPlaces kFreeHeader{216, 0, 64, 0, HeaderPlaces::OwnerWidth::none};
constexpr HeaderPlaces kInodeHeader{312, 0, 296, 0, HeaderPlaces::OwnerWidth::none};
constexpr HeaderPlaces kReserveHeader{32, 0, 8, 0, HeaderPlaces::OwnerWidth::none};
constexpr std::size_t kReserveHeaderBytes = 36;
constexpr std::size_t kGroupTreeHeader4 = 16;
constexpr std::size_t kGroupTreeHeader5 = 56;
constexpr std::size_t kFreeRecord = 8;
constexpr std::size_t kFreeKeyAndPointer = 12;
constexpr unsigned kMaxFreeTreeLevels = 9;
// Of a whole disk; in memory 64 MiB with what they are held against.
constexpr std::size_t kMaxFreeExtents = 2'097'152;

struct GroupExtent {
    std::uint32_t begin; // block of the group
    std::uint32_t count;
    std::uint64_t end() const { return std::uint64_t{begin} + count; }
};

enum class Order { by_place, by_size };

std::vector<std::byte> read_group_header(const Volume& volume, std::uint64_t group, unsigned sector,
                                         std::uint32_t magic, const HeaderPlaces& places) {
    const Geometry& geometry = volume.geometry();
    std::vector<std::byte> bytes(static_cast<std::size_t>(geometry.sector_size));
    const std::uint64_t offset = geometry.offset_of_group(group) + sector * geometry.sector_size;
    volume.read(offset, bytes);
    volume.check_header(bytes, offset, places, 0, fmt::format("the header of allocation group {}", group));
    if (load_be<std::uint32_t>(bytes.data()) != magic)
        fail(ErrorKind::corrupt, fmt::format("allocation group {} has no header", group));
    // The reserve's header has no version.
    const std::size_t number_at = magic == kReserveMagic ? 4 : 8;
    if (load_be<std::uint32_t>(bytes.data() + number_at) != group)
        fail(ErrorKind::corrupt, fmt::format("allocation group {} has the header of another", group));
    if (magic != kReserveMagic && load_be<std::uint32_t>(bytes.data() + 12) != geometry.blocks_of_group(group))
        fail(ErrorKind::corrupt, fmt::format("the header of allocation group {} has another size", group));
    return bytes;
}

class FreeTree {
  public:
    FreeTree(const Volume& volume, std::uint64_t group, Order order) : volume_(volume), group_(group), order_(order) {}

    void read(std::uint32_t root, unsigned levels) {
        if (levels == 0 || levels > kMaxFreeTreeLevels)
            damaged("has an impossible depth");
        add_block(root, levels - 1);
    }
    std::vector<GroupExtent> extents; // in the tree's order
    std::vector<GroupExtent> own;     // its own blocks

  private:
    [[noreturn]] void damaged(std::string_view what) const {
        fail(ErrorKind::corrupt, fmt::format("the free space of allocation group {} {}", group_, what));
    }

    bool follows(const GroupExtent& before, const GroupExtent& next) const {
        if (order_ == Order::by_place)
            return before.end() < next.begin; // what touches is one extent
        return before.count < next.count || (before.count == next.count && before.begin < next.begin);
    }

    // Depth comes down by one each time and records only come in order, so that loops do not get far.
    void add_block(std::uint32_t block, unsigned level) { // NOLINT(misc-no-recursion): nine levels
        const Geometry& geometry = volume_.geometry();
        if (block >= geometry.blocks_of_group(group_))
            damaged("names blocks outside of it");
        std::vector<std::byte> bytes(static_cast<std::size_t>(geometry.block_size));
        const std::uint64_t offset = geometry.offset_of_group(group_) + block * geometry.block_size;
        volume_.read(offset, bytes);
        constexpr std::uint32_t kMagics[2][2] = {{0x41425442, 0x41423342}, {0x41425443, 0x41423343}}; // ABTB AB3B …
        if (load_be<std::uint32_t>(bytes.data()) != kMagics[order_ == Order::by_size][volume_.is_v5()])
            damaged("names a block that is no part of it");
        volume_.check_header(bytes, offset, kShortTreeHeader, group_, "a block of the free space");
        if (load_be<std::uint16_t>(bytes.data() + 4) != level)
            damaged("has a block on another level than it stands");
        own.push_back({block, 1});
        const std::size_t header = volume_.is_v5() ? kGroupTreeHeader5 : kGroupTreeHeader4;
        const std::size_t records = load_be<std::uint16_t>(bytes.data() + 6);
        const std::size_t room = (bytes.size() - header) / (level == 0 ? kFreeRecord : kFreeKeyAndPointer);
        // A group that is full has one leaf without records.
        if (records > room || (records == 0 && (level != 0 || own.size() > 1)))
            damaged("has a block with an impossible number of entries");
        const std::byte* body = bytes.data() + header;
        for (std::size_t i = 0; i < records; ++i) {
            if (level == 0)
                add({load_be<std::uint32_t>(body + i * kFreeRecord),
                     load_be<std::uint32_t>(body + i * kFreeRecord + 4)});
            else
                add_block(load_be<std::uint32_t>(body + room * 8 + i * 4), level - 1);
        }
    }

    void add(const GroupExtent& extent) {
        if (extent.count == 0 || extent.end() > volume_.geometry().blocks_of_group(group_))
            damaged("names blocks outside of it");
        if (!extents.empty() && !follows(extents.back(), extent))
            damaged("is out of order");
        if (extents.size() == kMaxFreeExtents)
            fail(ErrorKind::limit, "the free space of the xfs file system is in too many pieces");
        extents.push_back(extent);
    }

    const Volume& volume_;
    std::uint64_t group_;
    Order order_;
};

class GroupSpace {
  public:
    GroupSpace(const Volume& volume, std::uint64_t group)
        : volume_(volume), group_(group), header_(read_group_header(volume, group, 1, kFreeHeaderMagic, kFreeHeader)) {}

    std::vector<GroupExtent> read() {
        FreeTree by_place(volume_, group_, Order::by_place);
        by_place.read(header(16), header(28));
        FreeTree by_size(volume_, group_, Order::by_size);
        by_size.read(header(20), header(32));
        compare(by_place.extents, std::move(by_size.extents));
        std::vector<GroupExtent> used = std::move(by_place.own);
        used.insert(used.end(), by_size.own.begin(), by_size.own.end());
        add_fixed(used);
        for (const GroupExtent& extent : used)
            check_used(by_place.extents, extent);
        return std::move(by_place.extents);
    }

  private:
    std::uint32_t header(std::size_t at) const { return load_be<std::uint32_t>(header_.data() + at); }
    [[noreturn]] void contradicts(std::string_view what) const {
        fail(ErrorKind::corrupt,
             fmt::format("allocation group {} contradicts itself: {}; run xfs_repair in the guest to have its free "
                         "space left out",
                         group_, what));
    }

    void compare(const std::vector<GroupExtent>& by_place, std::vector<GroupExtent> by_size) const {
        std::sort(by_size.begin(), by_size.end(),
                  [](const GroupExtent& a, const GroupExtent& b) { return a.begin < b.begin; });
        if (!std::equal(
                by_place.begin(), by_place.end(), by_size.begin(), by_size.end(),
                [](const GroupExtent& a, const GroupExtent& b) { return a.begin == b.begin && a.count == b.count; }))
            contradicts("its two lists of free space differ");
        std::uint64_t total = 0;
        std::uint32_t longest = 0;
        for (const GroupExtent& extent : by_place) {
            total += extent.count;
            longest = std::max(longest, extent.count);
        }
        if (total != header(52) || longest != header(56))
            contradicts("its header counts other free blocks than its list has");
    }

    // What is never free: the headers, the reserve, and the log.
    void add_fixed(std::vector<GroupExtent>& used) const {
        const Geometry& geometry = volume_.geometry();
        const std::uint64_t headers = (4 * geometry.sector_size + geometry.block_size - 1) / geometry.block_size;
        used.push_back({0, static_cast<std::uint32_t>(headers)});
        if (geometry.log_start >> geometry.group_block_bits == group_)
            used.push_back(
                {static_cast<std::uint32_t>(geometry.log_start & ((std::uint64_t{1} << geometry.group_block_bits) - 1)),
                 static_cast<std::uint32_t>(geometry.log_blocks)});
        add_reserve(used);
    }

    void add_reserve(std::vector<GroupExtent>& used) const {
        const Geometry& geometry = volume_.geometry();
        std::vector<std::byte> bytes;
        std::size_t at = 0;
        if (volume_.is_v5()) {
            bytes = read_group_header(volume_, group_, 3, kReserveMagic, kReserveHeader);
            at = kReserveHeaderBytes;
        } else {
            bytes.resize(static_cast<std::size_t>(geometry.sector_size));
            volume_.read(geometry.offset_of_group(group_) + 3 * geometry.sector_size, bytes);
        }
        const std::size_t room = (bytes.size() - at) / 4;
        const std::uint32_t first = header(40);
        const std::uint32_t count = header(48);
        if (first >= room || count > room)
            contradicts("its reserve is longer than its place");
        for (std::uint32_t i = 0; i < count; ++i) {
            const std::uint32_t block = load_be<std::uint32_t>(bytes.data() + at + (first + i) % room * 4);
            if (block >= geometry.blocks_of_group(group_))
                contradicts("its reserve lies outside of it");
            used.push_back({block, 1});
        }
    }

    void check_used(const std::vector<GroupExtent>& free, const GroupExtent& used) const {
        const auto next =
            std::upper_bound(free.begin(), free.end(), used.begin,
                             [](std::uint32_t block, const GroupExtent& each) { return block < each.end(); });
        if (next != free.end() && next->begin < used.end())
            contradicts("it calls free what it uses itself");
    }

    const Volume& volume_;
    std::uint64_t group_;
    std::vector<std::byte> header_;
};

} // namespace

std::vector<DataRange> read_free_space(const Volume& volume) {
    const Geometry& geometry = volume.geometry();
    std::vector<DataRange> ranges;
    for (std::uint64_t group = 0; group < geometry.groups; ++group) {
        for (const GroupExtent& extent : GroupSpace(volume, group).read()) {
            const std::uint64_t offset = geometry.offset_of_group(group) + extent.begin * geometry.block_size;
            const std::uint64_t length = extent.count * geometry.block_size;
            if (!ranges.empty() && ranges.back().offset + ranges.back().length == offset)
                ranges.back().length += length;
            else
                ranges.push_back({offset, length});
            if (ranges.size() > kMaxFreeExtents)
                fail(ErrorKind::limit, "the free space of the xfs file system is in too many pieces");
        }
    }
    return ranges;
}

GroupCounts count_groups(const Volume& volume) {
    GroupCounts counts;
    for (std::uint64_t group = 0; group < volume.geometry().groups; ++group) {
        const std::vector<std::byte> free = read_group_header(volume, group, 1, kFreeHeaderMagic, kFreeHeader);
        const std::vector<std::byte> inodes = read_group_header(volume, group, 2, kInodeHeaderMagic, kInodeHeader);
        // Free blocks, the reserve, and the blocks of the trees that list them.
        for (const std::size_t at : {52u, 48u, 60u})
            counts.free_blocks += load_be<std::uint32_t>(free.data() + at);
        counts.inodes += load_be<std::uint32_t>(inodes.data() + 16);
        counts.free_inodes += load_be<std::uint32_t>(inodes.data() + 28);
    }
    return counts;
}

} // namespace vm2oci::xfs
