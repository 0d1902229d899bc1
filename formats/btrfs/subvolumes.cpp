#include "formats/btrfs/subvolumes.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/btrfs/directory.hpp"
#include "formats/btrfs/objects.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::btrfs {
namespace {

constexpr std::size_t kOldRootItem = 239; // before the second generation and the UUIDs
constexpr std::size_t kRootReference = 18;
constexpr std::uint64_t kReadOnly = 1;
constexpr std::size_t kMaxSubvolumes = 1'048'576;

std::uint64_t u64_at(std::span<const std::byte> bytes, std::size_t at) {
    return load_le<std::uint64_t>(bytes.data() + at);
}

// ROOT_REF and ROOT_BACKREF.
SubvolumePlace read_place(std::uint64_t parent, std::span<const std::byte> item) {
    if (item.size() < kRootReference || item.size() != kRootReference + load_le<std::uint16_t>(item.data() + 16))
        fail(ErrorKind::corrupt, "a reference to a subvolume of the btrfs file system is damaged");
    return {parent, u64_at(item, 0),
            std::string(reinterpret_cast<const char*>(item.data()) + kRootReference, item.size() - kRootReference)};
}

} // namespace

TreeRoot read_root_item(std::uint64_t tree, std::span<const std::byte> item) {
    if (item.size() < kOldRootItem || std::to_integer<unsigned>(item[238]) > 7)
        fail(ErrorKind::corrupt, fmt::format("the root of tree {} of the btrfs file system is damaged", tree));
    return {tree, u64_at(item, 176), std::to_integer<unsigned>(item[238]), u64_at(item, 160)};
}

Subvolumes::Subvolumes(const Volume& volume)
    : volume_(volume), root_tree_{object::root_tree, volume.geometry().root, volume.geometry().root_level,
                                  volume.geometry().generation} {}

// The key's offset is the transaction that made a snapshot, else zero.
std::optional<std::vector<std::byte>> Subvolumes::root_item(std::uint64_t tree) const {
    const Cursor at(volume_, root_tree_, {tree, item::root, 0});
    if (!at.is_at(tree, item::root))
        return std::nullopt;
    return std::vector<std::byte>(at.data().begin(), at.data().end());
}

TreeRoot Subvolumes::tree(std::uint64_t number) const {
    const auto item = root_item(number);
    if (!item)
        fail(ErrorKind::corrupt, fmt::format("the btrfs file system lacks its tree {}", number));
    return read_root_item(number, *item);
}

const Subvolume* Subvolumes::find(std::uint64_t number) const {
    if (number != object::top_subvolume && (number < object::first_free || number >= 1ull << 48U))
        return nullptr;
    const auto known = known_.find(number);
    if (known != known_.end())
        return known->second ? &*known->second : nullptr;
    if (known_.size() == kMaxSubvolumes)
        fail(ErrorKind::limit, "the btrfs file system has more subvolumes than any real one");
    std::optional<Subvolume> found;
    if (const auto item = root_item(number)) {
        const TreeRoot root = read_root_item(number, *item);
        const bool has_uuids = item->size() >= kOldRootItem + 56;
        if (load_le<std::uint32_t>(item->data() + 216) != 0) {
            found = Subvolume{number, root, u64_at(*item, 168), false, (u64_at(*item, 208) & kReadOnly) != 0, nullptr};
            found->is_snapshot = has_uuids && std::any_of(item->begin() + 263, item->begin() + 279,
                                                          [](std::byte byte) { return byte != std::byte{0}; });
            if (const auto changes = changes_.find(number); changes != changes_.end())
                found->changes = &changes->second;
        }
    }
    const auto& kept = known_.emplace(number, found).first->second;
    return kept ? &*kept : nullptr;
}

std::uint64_t Subvolumes::default_number() const {
    const std::string_view name = "default";
    const auto item = find_item(volume_, root_tree_, {volume_.geometry().root_folder, item::name, hash_of_name(name)});
    if (item)
        for (const NamedItem& entry : read_named_items(*item))
            if (entry.name == name && entry.location.type == item::root)
                return entry.location.object;
    return object::top_subvolume;
}

bool Subvolumes::lies_at(std::uint64_t child, std::uint64_t parent, std::uint64_t folder, std::string_view name) const {
    const auto item = find_item(volume_, root_tree_, {parent, item::root_child, child});
    if (!item)
        return false;
    const SubvolumePlace place = read_place(parent, *item);
    return place.folder == folder && place.name == name;
}

std::optional<SubvolumePlace> Subvolumes::place_of(std::uint64_t number) const {
    const Cursor at(volume_, root_tree_, {number, item::root_parent, 0});
    if (!at.is_at(number, item::root_parent))
        return std::nullopt;
    return read_place(at.key().offset, at.data());
}

std::vector<std::uint64_t> Subvolumes::numbers() const {
    std::vector<std::uint64_t> numbers;
    for (Cursor at(volume_, root_tree_, {object::first_free, 0, 0}); !at.is_at_end() && at.key().object < 1ull << 48U;
         at.next()) {
        if (at.key().type != item::root || (!numbers.empty() && numbers.back() == at.key().object))
            continue;
        if (numbers.size() == kMaxSubvolumes)
            fail(ErrorKind::limit, "the btrfs file system has more subvolumes than any real one");
        numbers.push_back(at.key().object);
    }
    return numbers;
}

void Subvolumes::set_changes(SubvolumeChanges changes) {
    changes_ = std::move(changes);
    known_.clear();
}

} // namespace vm2oci::btrfs
