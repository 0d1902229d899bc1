#include "formats/btrfs/changed_tree.hpp"

#include "formats/base/crc32c.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/btrfs/objects.hpp"

#include <algorithm>

namespace vm2oci::btrfs {
namespace {

constexpr std::uint64_t kPerChange = 120; // a node of the map

template <class T>
void append(std::vector<std::byte>& out, T value) {
    std::byte bytes[sizeof value];
    store_le(bytes, value);
    out.insert(out.end(), bytes, bytes + sizeof value);
}

void append_text(std::vector<std::byte>& out, std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    out.insert(out.end(), bytes.begin(), bytes.end());
}

std::vector<std::byte> make_entry(std::string_view name, const Key& location, std::uint8_t type,
                                  std::string_view value = {}) {
    std::vector<std::byte> item;
    append(item, location.object);
    append(item, location.type);
    append(item, location.offset);
    append<std::uint64_t>(item, 0); // the transaction, which nobody asks for
    append(item, static_cast<std::uint16_t>(value.size()));
    append(item, static_cast<std::uint16_t>(name.size()));
    append(item, type);
    append_text(item, name);
    append_text(item, value);
    return item;
}

std::vector<std::byte> make_inode_name(std::uint8_t type, const InodeName& name) {
    std::vector<std::byte> item;
    if (type == item::inode_name_extended)
        append(item, name.folder);
    append(item, name.position);
    append(item, static_cast<std::uint16_t>(name.name.size()));
    append_text(item, name.name);
    return item;
}

} // namespace

std::vector<InodeName> read_inode_names(const Key& key, std::span<const std::byte> item) {
    const bool is_extended = key.type == item::inode_name_extended;
    const std::size_t head = is_extended ? 18 : 10;
    std::vector<InodeName> names;
    while (!item.empty()) {
        const std::size_t length = item.size() < head ? 0 : load_le<std::uint16_t>(item.data() + head - 2);
        if (length == 0 || item.size() - head < length)
            fail(ErrorKind::corrupt, "a name of an inode of the btrfs file system is cut off");
        names.push_back({is_extended ? load_le<std::uint64_t>(item.data()) : key.offset,
                         load_le<std::uint64_t>(item.data() + head - 10),
                         std::string(reinterpret_cast<const char*>(item.data()) + head, length)});
        item = item.subspan(head + length);
    }
    return names;
}

std::uint64_t hash_of_inode_name(std::uint64_t folder, std::string_view name) {
    return static_cast<std::uint32_t>(~crc32c(std::as_bytes(std::span(name)), ~static_cast<std::uint32_t>(folder)));
}

std::optional<std::vector<std::byte>> ChangedTree::find(const Key& key) const {
    auto item = find_item(volume_, root_, key, &changes_);
    charge(item ? item->size() : 0);
    return item;
}

void ChangedTree::charge(std::uint64_t bytes) const {
    work_ += bytes;
    if (work_ > kMaxReplayWork)
        fail(ErrorKind::limit, "the log of the btrfs file system makes more work than any real one");
}

bool ChangedTree::has_inode(std::uint64_t inode) const {
    const Cursor at = from({inode, item::inode, 0});
    return !at.is_at_end() && at.key() == Key{inode, item::inode, 0};
}

std::optional<Key> ChangedTree::extent_before(std::uint64_t inode, std::uint64_t place) const {
    std::optional<Key> changed;
    for (auto at = changes_.lower_bound({inode, item::file_extent, place}); at != changes_.begin() && !changed;) {
        --at;
        if (at->first.object != inode || at->first.type != item::file_extent)
            break;
        if (at->second)
            changed = at->first;
    }
    while (place > 0) {
        const auto stored = find_at_or_before(volume_, root_, {inode, item::file_extent, place - 1});
        if (!stored || stored->key.object != inode || stored->key.type != item::file_extent ||
            (changed && stored->key <= *changed))
            break;
        if (!changes_.contains(stored->key))
            return stored->key;
        place = stored->key.offset; // taken away
    }
    return changed;
}

void ChangedTree::put(const Key& key, std::vector<std::byte> item) {
    auto& place = changes_[key];
    bytes_ += item.size() + kPerChange - (place ? std::min<std::uint64_t>(bytes_, place->size() + kPerChange) : 0);
    if (bytes_ > kMaxChangedBytes)
        fail(ErrorKind::limit, "the log of the btrfs file system changes more than any real one");
    place = std::move(item);
}

void ChangedTree::erase(const Key& key) {
    if (changes_.emplace(key, std::nullopt).second)
        bytes_ += kPerChange;
    else
        changes_[key].reset();
    if (bytes_ > kMaxChangedBytes)
        fail(ErrorKind::limit, "the log of the btrfs file system changes more than any real one");
}

std::optional<NamedItem> ChangedTree::entry(std::uint64_t folder, std::string_view name) const {
    if (const auto item = find({folder, item::name, hash_of_name(name)}))
        for (NamedItem& found : read_named_items(*item))
            if (found.name == name)
                return std::move(found);
    return std::nullopt;
}

std::optional<NamedItem> ChangedTree::entry_at(std::uint64_t folder, std::uint64_t position) const {
    if (const auto item = find({folder, item::position, position}))
        for (NamedItem& found : read_named_items(*item))
            return std::move(found);
    return std::nullopt;
}

std::vector<InodeName> ChangedTree::names_of(std::uint64_t inode) const {
    std::vector<InodeName> names;
    for (Cursor at = from({inode, item::inode_name, 0});
         at.is_at(inode, item::inode_name) || at.is_at(inode, item::inode_name_extended); at.next())
        for (InodeName& name : read_inode_names(at.key(), at.data())) {
            charge(name.name.size());
            names.push_back(std::move(name));
        }
    return names;
}

void ChangedTree::add_entry(std::uint64_t folder, std::uint64_t position, std::string_view name, std::uint64_t inode) {
    const std::vector<std::byte> entry = make_entry(name, {inode, item::inode, 0}, 0);
    const Key by_hash{folder, item::name, hash_of_name(name)};
    std::vector<std::byte> item = find(by_hash).value_or(std::vector<std::byte>());
    item.insert(item.end(), entry.begin(), entry.end());
    put(by_hash, std::move(item));
    put({folder, item::position, position}, entry);
}

void ChangedTree::add_inode_name(std::uint64_t inode, const InodeName& name) {
    Key key{inode, item::inode_name, name.folder};
    auto item = find(key);
    if (item && item->size() > volume_.geometry().node_size / 2) {
        key = {inode, item::inode_name_extended, hash_of_inode_name(name.folder, name.name)};
        item = find(key);
    }
    std::vector<std::byte> all = item.value_or(std::vector<std::byte>());
    const std::vector<std::byte> added = make_inode_name(key.type, name);
    all.insert(all.end(), added.begin(), added.end());
    put(key, std::move(all));
}

// The position that it had; nullopt: the item does not have it.
std::optional<std::uint64_t> ChangedTree::drop_inode_name(const Key& key, std::uint64_t folder, std::string_view name) {
    const auto item = find(key);
    if (!item)
        return std::nullopt;
    std::optional<std::uint64_t> position;
    std::vector<std::byte> rest;
    for (const InodeName& each : read_inode_names(key, *item)) {
        if (each.folder == folder && each.name == name) {
            position = each.position;
            continue;
        }
        const std::vector<std::byte> kept = make_inode_name(key.type, each);
        rest.insert(rest.end(), kept.begin(), kept.end());
    }
    if (position && rest.empty())
        erase(key);
    else if (position)
        put(key, std::move(rest));
    return position;
}

void ChangedTree::unlink(std::uint64_t folder, std::uint64_t inode, std::string_view name) {
    auto position = drop_inode_name({inode, item::inode_name, folder}, folder, name);
    if (!position)
        position = drop_inode_name({inode, item::inode_name_extended, hash_of_inode_name(folder, name)}, folder, name);
    if (!position)
        fail(ErrorKind::corrupt, "the log of the btrfs file system removes a name that its inode does not have");
    if (const auto at = entry_at(folder, *position); at && at->name == name)
        erase({folder, item::position, *position});
    const Key by_hash{folder, item::name, hash_of_name(name)};
    if (const auto item = find(by_hash)) {
        std::vector<std::byte> rest;
        for (const NamedItem& each : read_named_items(*item)) {
            if (each.name == name)
                continue;
            const std::vector<std::byte> kept = make_entry(each.name, each.location, each.type, each.value);
            rest.insert(rest.end(), kept.begin(), kept.end());
        }
        if (rest.empty())
            erase(by_hash);
        else
            put(by_hash, std::move(rest));
    }
    unlinked_.insert(inode);
}

} // namespace vm2oci::btrfs
