#include "formats/btrfs/nodes.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/btrfs/objects.hpp"

#include <fmt/format.h>

namespace vm2oci::btrfs {
namespace {

// The upper bits are an index of subvolumes, the lower ones the inode.
constexpr unsigned kInodeBits = 43;
constexpr std::uint64_t kMaxInode = (1ull << kInodeBits) - 1;
constexpr std::uint64_t kLeftBehind = 1ull << 63U;
constexpr unsigned kMaxDepth = 256; // of folders above a subvolume: a path has 4096 bytes

// The folder that an inode lies in, and under which name.
std::optional<std::pair<std::uint64_t, std::string>> parent_of(const Volume& volume, const Subvolume& subvolume,
                                                               std::uint64_t inode) {
    constexpr std::size_t kHead = 10;
    const Cursor at(volume, subvolume.root, {inode, item::inode_name, 0}, subvolume.changes);
    if (!at.is_at(inode, item::inode_name) || at.data().size() < kHead)
        return std::nullopt;
    const std::size_t length = load_le<std::uint16_t>(at.data().data() + 8);
    if (at.data().size() < kHead + length)
        return std::nullopt;
    return std::pair(at.key().offset, std::string(reinterpret_cast<const char*>(at.data().data()) + kHead, length));
}

} // namespace

NodeId Nodes::node_of(const Subvolume& subvolume, std::uint64_t inode) const {
    const auto [known, is_new] = indices_.emplace(subvolume.number, seen_.size());
    if (is_new)
        seen_.push_back(&subvolume);
    if (inode > kMaxInode)
        fail(ErrorKind::limit, fmt::format("the btrfs file system has an inode {}, larger than any real one", inode));
    return NodeId{known->second << kInodeBits | inode};
}

NodeId Nodes::node_of_entry(const InodePlace& folder, const NamedItem& entry) const {
    if (entry.location.type == item::inode)
        return node_of(*folder.subvolume, entry.location.object);
    const Subvolume* child = subvolumes_.find(entry.location.object);
    if (child != nullptr && subvolumes_.lies_at(child->number, folder.subvolume->number, folder.inode, entry.name))
        return node_of(*child, child->root_folder);
    const NodeId parent = node_of(*folder.subvolume, folder.inode);
    const auto [known, is_new] =
        left_behind_indices_.emplace(LeftBehind(parent, entry.location.object, entry.name), left_behind_.size());
    if (is_new)
        left_behind_.push_back(parent);
    return NodeId{kLeftBehind | known->second};
}

InodePlace Nodes::place_of(NodeId node) const {
    const auto value = static_cast<std::uint64_t>(node);
    if ((value & kLeftBehind) != 0 || value >> kInodeBits >= seen_.size())
        fail(ErrorKind::corrupt, "a file of the btrfs file system lies in a subvolume that is not there");
    return {seen_[value >> kInodeBits], value & kMaxInode};
}

bool Nodes::is_left_behind(NodeId node) const {
    return (static_cast<std::uint64_t>(node) & kLeftBehind) != 0;
}

NodeId Nodes::folder_of_left_behind(NodeId node) const {
    const std::uint64_t index = static_cast<std::uint64_t>(node) & ~kLeftBehind;
    if (index >= left_behind_.size())
        fail(ErrorKind::corrupt, "a file of the btrfs file system lies in a subvolume that is not there");
    return left_behind_[index];
}

std::optional<std::string> Nodes::path_of(const Volume& volume, std::uint64_t subvolume, std::uint64_t& steps) const {
    std::string path;
    unsigned depth = 0;
    const auto is_too_deep = [&] {
        if (steps == 0)
            fail(ErrorKind::limit, "the subvolumes of the btrfs file system lie deeper than any real ones");
        --steps;
        return ++depth > kMaxDepth;
    };
    while (subvolume != object::top_subvolume) {
        const auto place = subvolumes_.place_of(subvolume);
        const Subvolume* parent = place ? subvolumes_.find(place->parent) : nullptr;
        if (parent == nullptr || is_too_deep())
            return std::nullopt;
        path = path.empty() ? place->name : fmt::format("{}/{}", place->name, path);
        for (std::uint64_t folder = place->folder; folder != parent->root_folder;) {
            const auto above = parent_of(volume, *parent, folder);
            if (!above || is_too_deep())
                return std::nullopt;
            path = fmt::format("{}/{}", above->second, path);
            folder = above->first;
        }
        subvolume = parent->number;
    }
    return path;
}

} // namespace vm2oci::btrfs
