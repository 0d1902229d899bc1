#include "formats/btrfs/directory.hpp"

#include "formats/base/crc32c.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/btrfs/objects.hpp"
#include "formats/tree/entry.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::btrfs {
namespace {

constexpr std::size_t kNamedHead = 30;
constexpr std::uint8_t kEncrypted = 0x80; // BTRFS_FT_ENCRYPTED

void check_entry(const NamedItem& entry, std::uint64_t folder) {
    if ((entry.type & kEncrypted) != 0)
        fail(ErrorKind::unsupported, fmt::format("folder {} of the btrfs file system has encrypted names", folder));
    if (!is_valid_file_name(entry.name) || !entry.value.empty() ||
        (entry.location.type != item::inode && entry.location.type != item::root))
        fail(ErrorKind::corrupt, fmt::format("folder {} of the btrfs file system has a damaged entry", folder));
}

} // namespace

std::uint32_t hash_of_name(std::string_view name) {
    // The kernel begins with ~1 and does not invert the end.
    return ~crc32c(std::as_bytes(std::span(name)), 1);
}

std::vector<NamedItem> read_named_items(std::span<const std::byte> item) {
    std::vector<NamedItem> items;
    while (!item.empty()) {
        if (item.size() < kNamedHead)
            fail(ErrorKind::corrupt, "a name in the btrfs file system is cut off");
        const std::size_t value = load_le<std::uint16_t>(item.data() + 25);
        const std::size_t name = load_le<std::uint16_t>(item.data() + 27);
        if (item.size() - kNamedHead < name + value)
            fail(ErrorKind::corrupt, "a name in the btrfs file system is cut off");
        const char* text = reinterpret_cast<const char*>(item.data()) + kNamedHead;
        items.push_back({{load_le<std::uint64_t>(item.data()), std::to_integer<std::uint8_t>(item[8]),
                          load_le<std::uint64_t>(item.data() + 9)},
                         std::to_integer<std::uint8_t>(item[29]),
                         std::string(text, name),
                         std::string(text + name, value)});
        item = item.subspan(kNamedHead + name + value);
    }
    return items;
}

std::vector<NamedItem> read_folder(const Volume& volume, const Subvolume& subvolume, std::uint64_t folder) {
    std::vector<NamedItem> entries;
    std::uint64_t memory = 0;
    for (Cursor at(volume, subvolume.root, {folder, item::position, 0}, subvolume.changes);
         at.is_at(folder, item::position); at.next()) {
        std::vector<NamedItem> found = read_named_items(at.data());
        if (found.size() != 1)
            fail(ErrorKind::corrupt, fmt::format("folder {} of the btrfs file system has a damaged entry", folder));
        check_entry(found.front(), folder);
        memory += sizeof(NamedItem) + (found.front().name.size() > 15 ? found.front().name.size() : 0);
        if (memory > kMaxFolderMemory)
            fail(ErrorKind::limit, fmt::format("folder {} has more names than any real one", folder));
        entries.push_back(std::move(found.front()));
    }
    std::sort(entries.begin(), entries.end(), [](const NamedItem& a, const NamedItem& b) { return a.name < b.name; });
    if (std::adjacent_find(entries.begin(), entries.end(),
                           [](const NamedItem& a, const NamedItem& b) { return a.name == b.name; }) != entries.end())
        fail(ErrorKind::corrupt, fmt::format("folder {} of the btrfs file system has a name twice", folder));
    return entries;
}

std::optional<NamedItem> find_name(const Volume& volume, const Subvolume& subvolume, std::uint64_t folder,
                                   std::string_view name) {
    const auto item = find_item(volume, subvolume.root, {folder, item::name, hash_of_name(name)}, subvolume.changes);
    if (!item)
        return std::nullopt;
    for (NamedItem& entry : read_named_items(*item))
        if (entry.name == name) {
            check_entry(entry, folder);
            return std::move(entry);
        }
    return std::nullopt;
}

} // namespace vm2oci::btrfs
