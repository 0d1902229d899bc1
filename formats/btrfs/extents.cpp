#include "formats/btrfs/extents.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/btrfs/objects.hpp"

#include <fmt/format.h>

namespace vm2oci::btrfs {
namespace {

constexpr std::size_t kExtentHead = 21; // up to the content of those that have it in their item
constexpr std::size_t kExtentItem = 53;
constexpr unsigned kInItem = 0;
constexpr unsigned kPreallocated = 2;

class ExtentReader {
  public:
    explicit ExtentReader(std::uint64_t inode) : inode_(inode) {}

    void add(std::uint64_t logical, std::span<const std::byte> item) {
        if (item.size() < kExtentHead)
            fail_extent("is cut off");
        if (item[17] != std::byte{0} || item[18] != std::byte{0} || item[19] != std::byte{0})
            fail(ErrorKind::unsupported,
                 fmt::format("the content of inode {} of the btrfs file system is encrypted or encoded", inode_));
        if (std::to_integer<unsigned>(item[16]) > 3)
            fail(ErrorKind::unsupported,
                 fmt::format("the content of inode {} of the btrfs file system is compressed in "
                             "a way that is not known here",
                             inode_));
        if (logical < end_)
            fail_extent("overlaps the one before");
        const unsigned type = std::to_integer<unsigned>(item[20]);
        if (type > kPreallocated)
            fail_extent("is of no kind that there is");
        if (type == kInItem)
            add_in_item(logical, item);
        else
            add_on_disk(logical, item, type);
    }
    FileContentMap take() { return std::move(map_); }

  private:
    [[noreturn]] void fail_extent(const char* what) const {
        fail(ErrorKind::corrupt, fmt::format("an extent of inode {} of the btrfs file system {}", inode_, what));
    }

    void add_in_item(std::uint64_t logical, std::span<const std::byte> item) {
        const auto size = load_le<std::uint64_t>(item.data() + 8);
        const auto codec = static_cast<Codec>(item[16]);
        const std::span<const std::byte> stored = item.subspan(kExtentHead);
        if (logical != 0 || size > kMaxPacked || (codec == Codec::none && stored.size() != size))
            fail_extent("has an impossible size");
        map_.in_item = unpack(codec, stored, static_cast<std::size_t>(size));
        end_ = align_up(size, kSectorSize);
        if (size > 0)
            push({0, size, 0, 0, 0, 0, codec, FileExtent::Place::in_item});
    }

    void add_on_disk(std::uint64_t logical, std::span<const std::byte> item, unsigned type) {
        if (item.size() != kExtentItem)
            fail_extent("is cut off");
        const auto u64 = [&](std::size_t at) { return load_le<std::uint64_t>(item.data() + at); };
        const std::uint64_t unpacked = u64(8);
        FileExtent extent{
            logical, u64(45), u64(21), u64(29), u64(37), 0, static_cast<Codec>(item[16]), FileExtent::Place::on_disk};
        for (const std::uint64_t value : {logical, extent.length, extent.address, extent.stored, extent.offset})
            if (value % kSectorSize != 0)
                fail_extent("begins or ends within a sector");
        end_ = checked_add(logical, extent.length, "an extent's end");
        if (extent.length == 0)
            fail_extent("is empty");
        if (extent.address == 0 || type == kPreallocated)
            return;
        const std::uint64_t needed = checked_add(extent.offset, extent.length, "an extent's end");
        if (extent.codec == Codec::none ? needed > extent.stored
                                        : needed > unpacked || unpacked > kMaxPacked || extent.stored > kMaxPacked)
            fail_extent("is larger than what it is cut from");
        extent.unpacked = extent.codec == Codec::none ? 0 : static_cast<std::uint32_t>(unpacked);
        push(extent);
    }

    void push(const FileExtent& extent) {
        if (map_.extents.size() == kMaxExtents)
            fail(ErrorKind::limit, fmt::format("inode {} is in more pieces than any real file", inode_));
        map_.extents.push_back(extent);
    }

    std::uint64_t inode_;
    std::uint64_t end_ = 0;
    FileContentMap map_;
};

} // namespace

FileContentMap read_extents(const Volume& volume, const Subvolume& subvolume, const Inode& inode) {
    ExtentReader reader(inode.number);
    for (Cursor at(volume, subvolume.root, {inode.number, item::file_extent, 0}, subvolume.changes);
         at.is_at(inode.number, item::file_extent); at.next())
        reader.add(at.key().offset, at.data());
    return reader.take();
}

} // namespace vm2oci::btrfs
