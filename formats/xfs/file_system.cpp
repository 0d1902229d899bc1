#include "formats/xfs/file_system.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/tree/folder_cache.hpp"
#include "formats/xfs/attributes.hpp"
#include "formats/xfs/directory.hpp"
#include "formats/xfs/extents.hpp"
#include "formats/xfs/free_space.hpp"
#include "formats/xfs/log_replay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace vm2oci {
namespace {

constexpr std::uint64_t kMaxXfsLinkTarget = 1024; // XFS_SYMLINK_MAXLEN
constexpr std::uint32_t kLinkMagic = 0x58534c4d;  // "XSLM"
constexpr std::size_t kLinkHeader5 = 56;

bool equal_folded(std::string_view a, std::string_view b) {
    const auto fold = [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; };
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) {
               return fold(static_cast<unsigned char>(x)) == fold(static_cast<unsigned char>(y));
           });
}

} // namespace

struct XfsFileSystem::State {
    explicit State(std::shared_ptr<const BlockDevice> device) : recovered(xfs::recover(std::move(device))) {}

    xfs::RecoveredVolume recovered;
    FolderCache folders;
    xfs::Inode last_inode; // status, attributes and content of a file are asked for one after the other
    std::uint64_t mapped_inode = 0;
    std::vector<xfs::MappedExtent> mapped_extents;

    const xfs::Volume& volume() const { return recovered.volume; }

    const xfs::Inode& inode(NodeId node) {
        const auto number = static_cast<std::uint64_t>(node);
        if (number == 0)
            fail(ErrorKind::corrupt, "a directory entry points to an inode that is not there");
        if (last_inode.number != number)
            last_inode = xfs::read_inode(volume(), number);
        return last_inode;
    }

    const xfs::Inode& content_of(NodeId node) {
        const xfs::Inode& found = inode(node);
        if (found.type != FileType::regular)
            fail(ErrorKind::corrupt, fmt::format("inode {} is no regular file", found.number));
        // What has no blocks lies nowhere: files get the mark from their folder before they are written.
        if (found.is_realtime && found.data.extents != 0)
            fail(ErrorKind::unsupported,
                 fmt::format("the content of inode {} lies on the realtime device of the xfs file system, which is not "
                             "read here",
                             found.number));
        if (mapped_inode == found.number)
            return found;
        mapped_inode = 0;
        mapped_extents = xfs::read_extents(volume(), found, found.data);
        mapped_inode = found.number;
        return found;
    }

    const std::vector<DirectoryEntry>& entries_of(NodeId folder) {
        if (const auto* known = folders.find(folder))
            return *known;
        const xfs::Inode& found = inode(folder);
        if (found.type != FileType::directory)
            fail(ErrorKind::corrupt, fmt::format("inode {} is no folder", found.number));
        return folders.keep(folder, xfs::read_folder(volume(), found));
    }

    // The target of a link in blocks. Each extent has one header, and one checksum for all of it.
    std::string remote_target(const xfs::Inode& found) const {
        const std::size_t header = volume().is_v5() ? kLinkHeader5 : 0;
        std::string target;
        for (const xfs::MappedExtent& extent : xfs::read_extents(volume(), found, found.data)) {
            if (target.size() == found.size)
                break;
            // A target of 1024 bytes fits into three of the smallest blocks.
            if (extent.count * volume().geometry().block_size > std::uint64_t{2} * 64 * KiB)
                fail(ErrorKind::corrupt, fmt::format("the symlink in inode {} is damaged", found.number));
            std::vector<std::byte> bytes(static_cast<std::size_t>(extent.count * volume().geometry().block_size));
            const std::uint64_t offset = volume().geometry().offset_of(extent.physical, extent.count);
            volume().read(offset, bytes);
            const std::uint64_t step = std::min<std::uint64_t>(found.size - target.size(), bytes.size() - header);
            if (volume().is_v5()) {
                volume().check_header(bytes, offset, xfs::kRemoteHeader, found.number, "the target of a symlink");
                if (load_be<std::uint32_t>(bytes.data()) != kLinkMagic ||
                    load_be<std::uint32_t>(bytes.data() + 4) != target.size() ||
                    load_be<std::uint32_t>(bytes.data() + 8) != step)
                    fail(ErrorKind::corrupt, fmt::format("the symlink in inode {} is damaged", found.number));
            }
            target.append(reinterpret_cast<const char*>(bytes.data()) + header, static_cast<std::size_t>(step));
        }
        return target;
    }
};

XfsFileSystem::XfsFileSystem(std::shared_ptr<const BlockDevice> device)
    : state_(std::make_unique<State>(std::move(device))) {
    if (state_->inode(root()).type != FileType::directory)
        fail(ErrorKind::corrupt, "the root of the xfs file system is no folder");
}

XfsFileSystem::~XfsFileSystem() = default;

NodeId XfsFileSystem::root() const {
    return NodeId{state_->volume().geometry().root_inode};
}

FileStatus XfsFileSystem::status(NodeId node) const {
    return state_->inode(node).status();
}

std::vector<DirectoryEntry> XfsFileSystem::list(NodeId folder) const {
    return state_->entries_of(folder);
}

std::optional<NodeId> XfsFileSystem::lookup(NodeId folder, std::string_view name) const {
    const std::vector<DirectoryEntry>& entries = state_->entries_of(folder);
    const auto found = std::lower_bound(entries.begin(), entries.end(), name,
                                        [](const DirectoryEntry& entry, std::string_view n) { return entry.name < n; });
    if (found != entries.end() && found->name == name)
        return found->node;
    if (state_->volume().geometry().name_case == xfs::NameCase::ascii_folded)
        for (const DirectoryEntry& entry : entries)
            if (equal_folded(entry.name, name))
                return entry.node;
    return std::nullopt;
}

std::string XfsFileSystem::read_link(NodeId symlink) const {
    const xfs::Inode& found = state_->inode(symlink);
    if (found.type != FileType::symlink)
        fail(ErrorKind::corrupt, fmt::format("inode {} is no symlink", found.number));
    if (found.size == 0 || found.size > kMaxXfsLinkTarget)
        fail(ErrorKind::corrupt, fmt::format("the symlink in inode {} has an impossible length", found.number));
    std::string target;
    if (found.data.format != xfs::ForkFormat::local)
        target = state_->remote_target(found);
    else if (found.size <= found.data.bytes.size())
        target.assign(reinterpret_cast<const char*>(found.data.bytes.data()), static_cast<std::size_t>(found.size));
    if (target.size() != found.size)
        fail(ErrorKind::corrupt, fmt::format("the symlink in inode {} is damaged", found.number));
    if (target.find('\0') != std::string::npos)
        fail(ErrorKind::corrupt, fmt::format("the target of the symlink in inode {} holds a NUL", found.number));
    return target;
}

std::vector<ExtendedAttribute> XfsFileSystem::attributes(NodeId node) const {
    return xfs::read_attributes(state_->volume(), state_->inode(node));
}

void XfsFileSystem::read_at(NodeId file, std::uint64_t offset, std::span<std::byte> buffer) const {
    const xfs::Inode& found = state_->content_of(file);
    if (offset > found.size || buffer.size() > found.size - offset)
        fail(ErrorKind::corrupt, fmt::format("a read beyond the end of inode {}", found.number));
    xfs::read_content(state_->volume(), state_->mapped_extents, offset, buffer);
}

std::optional<std::vector<DataRange>> XfsFileSystem::data_ranges(NodeId file) const {
    const std::uint64_t size = state_->content_of(file).size;
    const std::uint64_t block_size = state_->volume().geometry().block_size;
    std::vector<DataRange> ranges;
    for (const xfs::MappedExtent& extent : state_->mapped_extents) {
        const std::uint64_t offset = extent.logical * block_size;
        if (extent.state == xfs::MappedExtent::State::unwritten || offset >= size)
            continue;
        const std::uint64_t length = std::min(extent.count * block_size, size - offset);
        if (!ranges.empty() && ranges.back().offset + ranges.back().length == offset)
            ranges.back().length += length;
        else
            ranges.push_back({offset, length});
    }
    return ranges;
}

FileSystemUsage XfsFileSystem::usage() const {
    const xfs::Geometry& geometry = state_->volume().geometry();
    xfs::GroupCounts counts{geometry.free_blocks, geometry.inodes, geometry.free_inodes};
    // As mount(8) does after a crash.
    if (state_->recovered.log == LogState::replayed && geometry.counters == xfs::Counters::lazy)
        counts = xfs::count_groups(state_->volume());
    FileSystemUsage usage;
    const std::uint64_t blocks = geometry.blocks - std::min(geometry.blocks, geometry.log_blocks);
    const std::uint64_t free = std::min(counts.free_blocks, blocks);
    usage.total_bytes = blocks * geometry.block_size;
    usage.free_bytes = free * geometry.block_size;
    // Inodes are made of free blocks as they are needed, up to a share of the whole.
    const std::uint64_t in_block = geometry.block_size / geometry.inode_size;
    const std::uint64_t inodes = std::min(counts.inodes, geometry.blocks * in_block);
    usage.total_inodes = inodes + free * in_block;
    if (geometry.inode_percent != 0 && geometry.inode_percent <= 100)
        usage.total_inodes =
            std::max(inodes, std::min(usage.total_inodes, geometry.blocks / 100 * geometry.inode_percent * in_block));
    usage.free_inodes = usage.total_inodes - (inodes - std::min(inodes, counts.free_inodes));
    return usage;
}

LogState XfsFileSystem::log() const {
    return state_->recovered.log;
}

std::optional<std::vector<DataRange>> XfsFileSystem::free_space() const {
    if (state_->recovered.space == xfs::SpaceAccount::unfinished)
        return std::nullopt;
    if (state_->volume().geometry().is_extended)
        fail(ErrorKind::unsupported, "the xfs file system has features that are not known here, which may use space "
                                     "that its lists call free");
    return xfs::read_free_space(state_->volume());
}

} // namespace vm2oci
