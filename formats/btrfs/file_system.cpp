#include "formats/btrfs/file_system.hpp"

#include "formats/base/error.hpp"
#include "formats/btrfs/attributes.hpp"
#include "formats/btrfs/content.hpp"
#include "formats/btrfs/directory.hpp"
#include "formats/btrfs/free_space.hpp"
#include "formats/btrfs/log_replay.hpp"
#include "formats/btrfs/nodes.hpp"
#include "formats/btrfs/objects.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::uint64_t kMaxBtrfsLinkTarget = 4096; // PATH_MAX of Linux

} // namespace

struct BtrfsFileSystem::State {
    explicit State(std::shared_ptr<const BlockDevice> device)
        : volume(std::move(device)), subvolumes(volume), nodes(subvolumes),
          content(volume, subvolumes.tree(btrfs::object::checksum_tree), logged_sums) {
        if (volume.geometry().log_root == 0)
            return;
        btrfs::ReplayedLog replayed = btrfs::replay_log(volume, subvolumes);
        subvolumes.set_changes(std::move(replayed.changes));
        logged_sums = std::move(replayed.sums);
        log = LogState::replayed;
    }

    btrfs::Volume volume;
    btrfs::Subvolumes subvolumes;
    btrfs::Nodes nodes;
    btrfs::LoggedSums logged_sums;
    btrfs::ContentReader content;
    LogState log = LogState::clean;
    // Status, attributes and content of a file are asked for one after the other.
    std::optional<NodeId> last_node;
    btrfs::Inode last_inode;
    std::optional<NodeId> mapped_node;
    btrfs::FileContentMap map;

    const btrfs::Inode& inode(NodeId node) {
        if (last_node != node) {
            last_node.reset();
            const btrfs::InodePlace place = nodes.place_of(node);
            last_inode = btrfs::read_inode(volume, *place.subvolume, place.inode);
            last_node = node;
        }
        return last_inode;
    }

    const btrfs::Inode& mapped(NodeId node, FileType type) {
        const btrfs::Inode& found = inode(node);
        if (found.status.type != type)
            fail(ErrorKind::corrupt,
                 fmt::format("inode {} of the btrfs file system is no {}", found.number, to_string(type)));
        if (mapped_node != node) {
            mapped_node.reset();
            map = btrfs::read_extents(volume, *nodes.place_of(node).subvolume, found);
            mapped_node = node;
        }
        return found;
    }

    void check_folder(NodeId folder) {
        if (inode(folder).status.type != FileType::directory)
            fail(ErrorKind::corrupt, fmt::format("inode {} of the btrfs file system is no folder", last_inode.number));
    }

    std::optional<NodeId> root_of(std::uint64_t number) {
        const btrfs::Subvolume* found = subvolumes.find(number);
        if (found == nullptr)
            return std::nullopt;
        return nodes.node_of(*found, found->root_folder);
    }
};

BtrfsFileSystem::BtrfsFileSystem(std::shared_ptr<const BlockDevice> device)
    : state_(std::make_unique<State>(std::move(device))) {
    state_->check_folder(root());
}

BtrfsFileSystem::~BtrfsFileSystem() = default;

NodeId BtrfsFileSystem::root() const {
    if (const auto found = state_->root_of(state_->subvolumes.default_number()))
        return *found;
    fail(ErrorKind::corrupt, "the default subvolume of the btrfs file system is not there");
}

std::optional<NodeId> BtrfsFileSystem::subvolume(std::uint64_t number) const {
    return state_->root_of(number);
}

std::optional<NodeId> BtrfsFileSystem::subvolume(std::string_view path) const {
    auto node = state_->root_of(btrfs::object::top_subvolume);
    while (node && !path.empty()) {
        const std::string_view name = path.substr(0, path.find('/'));
        path.remove_prefix(std::min(path.size(), name.size() + 1));
        if (name.empty() || name == ".")
            continue;
        if (state_->nodes.is_left_behind(*node) || state_->inode(*node).status.type != FileType::directory)
            return std::nullopt;
        node = lookup(*node, name);
    }
    if (!node || state_->nodes.is_left_behind(*node))
        return std::nullopt;
    const btrfs::InodePlace place = state_->nodes.place_of(*node);
    return place.inode == place.subvolume->root_folder ? node : std::nullopt;
}

std::vector<SubvolumeFacts> BtrfsFileSystem::subvolumes() const {
    std::vector<SubvolumeFacts> facts;
    for (const std::uint64_t number : state_->subvolumes.numbers()) {
        const btrfs::Subvolume* found = state_->subvolumes.find(number);
        if (found == nullptr)
            continue;
        const auto path = state_->nodes.path_of(state_->volume, number);
        if (!path)
            continue;
        facts.push_back({number, *path, state_->nodes.node_of(*found, found->root_folder),
                         found->is_snapshot ? SubvolumeFacts::Origin::snapshot : SubvolumeFacts::Origin::created,
                         found->is_read_only ? SubvolumeFacts::Access::read_only : SubvolumeFacts::Access::writable});
    }
    return facts;
}

FileStatus BtrfsFileSystem::status(NodeId node) const {
    if (state_->nodes.is_left_behind(node)) {
        // As the kernel makes it up; its time would be that of the mount.
        FileStatus status = state_->inode(state_->nodes.folder_of_left_behind(node)).status;
        status.permissions = 0755;
        status.uid = 0;
        status.gid = 0;
        status.size = 0;
        return status;
    }
    return state_->inode(node).status;
}

std::vector<DirectoryEntry> BtrfsFileSystem::list(NodeId folder) const {
    if (state_->nodes.is_left_behind(folder))
        return {};
    state_->check_folder(folder);
    const btrfs::InodePlace place = state_->nodes.place_of(folder);
    std::vector<DirectoryEntry> entries;
    for (btrfs::NamedItem& entry : btrfs::read_folder(state_->volume, *place.subvolume, place.inode)) {
        const NodeId node = state_->nodes.node_of_entry(place, entry);
        entries.push_back({std::move(entry.name), node});
    }
    return entries;
}

std::optional<NodeId> BtrfsFileSystem::lookup(NodeId folder, std::string_view name) const {
    if (state_->nodes.is_left_behind(folder))
        return std::nullopt;
    state_->check_folder(folder);
    const btrfs::InodePlace place = state_->nodes.place_of(folder);
    const auto entry = btrfs::find_name(state_->volume, *place.subvolume, place.inode, name);
    if (!entry)
        return std::nullopt;
    return state_->nodes.node_of_entry(place, *entry);
}

std::string BtrfsFileSystem::read_link(NodeId symlink) const {
    const btrfs::Inode& found = state_->mapped(symlink, FileType::symlink);
    const std::uint64_t size = found.status.size;
    if (size == 0 || size > kMaxBtrfsLinkTarget || state_->map.in_item.size() < size)
        fail(ErrorKind::corrupt,
             fmt::format("the symlink in inode {} of the btrfs file system is damaged", found.number));
    std::string target(reinterpret_cast<const char*>(state_->map.in_item.data()), static_cast<std::size_t>(size));
    if (target.find('\0') != std::string::npos)
        fail(ErrorKind::corrupt, fmt::format("the target of the symlink in inode {} holds a NUL", found.number));
    return target;
}

std::vector<ExtendedAttribute> BtrfsFileSystem::attributes(NodeId node) const {
    if (state_->nodes.is_left_behind(node))
        return {};
    const btrfs::InodePlace place = state_->nodes.place_of(node);
    return btrfs::read_attributes(state_->volume, *place.subvolume, place.inode);
}

void BtrfsFileSystem::read_at(NodeId file, std::uint64_t offset, std::span<std::byte> buffer) const {
    const btrfs::Inode& found = state_->mapped(file, FileType::regular);
    if (offset > found.status.size || buffer.size() > found.status.size - offset)
        fail(ErrorKind::corrupt, fmt::format("a read beyond the end of inode {}", found.number));
    state_->content.read(state_->map, found.sums, offset, buffer);
}

std::optional<std::vector<DataRange>> BtrfsFileSystem::data_ranges(NodeId file) const {
    const std::uint64_t size = state_->mapped(file, FileType::regular).status.size;
    std::vector<DataRange> ranges;
    for (const btrfs::FileExtent& extent : state_->map.extents) {
        if (extent.logical >= size)
            break;
        const std::uint64_t length = std::min(extent.length, size - extent.logical);
        if (!ranges.empty() && ranges.back().offset + ranges.back().length == extent.logical)
            ranges.back().length += length;
        else
            ranges.push_back({extent.logical, length});
    }
    return ranges;
}

FileSystemUsage BtrfsFileSystem::usage() const {
    const btrfs::Geometry& geometry = state_->volume.geometry();
    FileSystemUsage usage;
    usage.total_bytes = geometry.total_bytes;
    usage.free_bytes = geometry.total_bytes - std::min(geometry.total_bytes, geometry.bytes_used);
    return usage;
}

LogState BtrfsFileSystem::log() const {
    return state_->log;
}

std::optional<std::vector<DataRange>> BtrfsFileSystem::free_space() const {
    if (state_->log != LogState::clean)
        return std::nullopt;
    if (state_->volume.geometry().is_extended)
        fail(ErrorKind::unsupported, "the btrfs file system has features that are not known here, which may use space "
                                     "that its trees call free");
    return btrfs::read_free_space(state_->volume, state_->subvolumes);
}

} // namespace vm2oci
