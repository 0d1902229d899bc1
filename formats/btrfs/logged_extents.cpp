#include "formats/btrfs/logged_extents.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/btrfs/objects.hpp"

#include <utility>

namespace vm2oci::btrfs {
namespace {

constexpr std::size_t kHeadOfExtent = 21;
constexpr std::size_t kItemOfExtent = 53;
constexpr std::size_t kOffsetPlace = 37;
constexpr std::size_t kLengthPlace = 45;

bool is_in_item(std::span<const std::byte> item) {
    return item[20] == std::byte{0};
}

std::uint64_t end_of_extent(const Key& key, std::span<const std::byte> item) {
    if (item.size() < kHeadOfExtent || (!is_in_item(item) && item.size() != kItemOfExtent))
        fail(ErrorKind::corrupt, "an extent in the btrfs file system is cut off");
    if (is_in_item(item))
        return align_up(checked_add(key.offset, load_le<std::uint64_t>(item.data() + 8), "an extent's end"),
                        kSectorSize);
    return checked_add(key.offset, load_le<std::uint64_t>(item.data() + kLengthPlace), "an extent's end");
}

void set(std::vector<std::byte>& item, std::size_t place, std::uint64_t value) {
    store_le(item.data() + place, value);
}

} // namespace

void drop_extents(ChangedTree& tree, std::uint64_t inode, std::uint64_t begin, std::uint64_t end) {
    // The extent before `begin` may reach in. Extents are no longer than a chunk's data, and those before are many.
    std::vector<std::pair<Key, std::vector<std::byte>>> found;
    const auto collect = [&](const Cursor& at) {
        if (end_of_extent(at.key(), at.data()) > begin)
            found.emplace_back(at.key(), std::vector<std::byte>(at.data().begin(), at.data().end()));
    };
    if (const auto before = tree.extent_before(inode, begin))
        for (Cursor at = tree.from(*before); at.is_at(inode, item::file_extent) && at.key() == *before; at.next())
            collect(at);
    for (Cursor at = tree.from({inode, item::file_extent, begin});
         at.is_at(inode, item::file_extent) && at.key().offset < end; at.next())
        collect(at);
    for (auto& [key, item] : found) {
        const std::uint64_t last = end_of_extent(key, item);
        if (is_in_item(item)) {
            tree.erase(key);
            continue;
        }
        const auto offset = load_le<std::uint64_t>(item.data() + kOffsetPlace);
        if (last > end) {
            std::vector<std::byte> rest = item;
            set(rest, kOffsetPlace, offset + (end - key.offset));
            set(rest, kLengthPlace, last - end);
            tree.put({inode, item::file_extent, end}, std::move(rest));
        }
        if (key.offset < begin) {
            set(item, kLengthPlace, begin - key.offset);
            tree.put(key, std::move(item));
        } else {
            tree.erase(key);
        }
    }
}

void lay_extent(ChangedTree& tree, const Key& key, std::span<const std::byte> item) {
    drop_extents(tree, key.object, key.offset, end_of_extent(key, item));
    tree.put(key, {item.begin(), item.end()});
}

} // namespace vm2oci::btrfs
