#include "formats/ext4/file_system.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/ext4/attributes.hpp"
#include "formats/ext4/directory.hpp"
#include "formats/ext4/extents.hpp"
#include "formats/ext4/free_space.hpp"
#include "formats/ext4/journal.hpp"
#include "formats/ext4/library.hpp"
#include "formats/tree/folder_cache.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace vm2oci {
namespace {

constexpr std::uint64_t kMaxLinkTarget = 4095; // PATH_MAX less the end
constexpr std::uint64_t kMaxInlineBytes = 64ull * 1024;

struct Inode {
    ext2_ino_t number = 0;
    ext2_inode_large fields{};
    std::vector<std::byte> raw; // as on the disk, in the machine's byte order
};

std::string fixed_text(const void* at, std::size_t width) {
    const char* text = static_cast<const char*>(at);
    return {text, strnlen(text, width)};
}

FileType type_of(std::uint32_t mode) {
    const std::optional<FileType> type = file_type_of_mode(mode);
    if (!type)
        fail(ErrorKind::corrupt, "an inode is of no known type");
    return *type;
}

std::unique_ptr<Ext4Library> open_replayed(const std::shared_ptr<const BlockDevice>& device, LogState& journal) {
    auto library = std::make_unique<Ext4Library>(device);
    journal = ext2fs_has_feature_journal(library->handle()->super) != 0 ? LogState::clean : LogState::none;
    if (!needs_journal_replay(*library))
        return library;
    std::shared_ptr<const BlockDevice> replayed = replay_journal(device, *library);
    journal = LogState::replayed;
    return std::make_unique<Ext4Library>(std::move(replayed));
}

} // namespace

struct Ext4FileSystem::State {
    explicit State(const std::shared_ptr<const BlockDevice>& device) : library(open_replayed(device, journal)) {}

    LogState journal = LogState::none;
    std::unique_ptr<Ext4Library> library;
    FolderCache folders;
    Inode last_inode; // status, attributes and content of a file are asked for one after the other
    ext2_ino_t mapped_inode = 0;
    std::vector<Ext4Extent> mapped_extents;
    std::vector<std::byte> mapped_inline;
    enum class Mapping { extents, inline_data } mapping = Mapping::extents;

    const Inode& inode(NodeId node) {
        const auto number = checked_cast<ext2_ino_t>(static_cast<std::uint64_t>(node), "an inode number");
        if (last_inode.number == number)
            return last_inode;
        const ext2_super_block& super = *library->handle()->super;
        if (number != EXT2_ROOT_INO && (number < EXT2_FIRST_INO(&super) || number > super.s_inodes_count))
            fail(ErrorKind::corrupt, "a directory entry points to an inode that is not there");
        Inode fresh;
        fresh.raw.resize(std::max<std::size_t>(EXT2_INODE_SIZE(&super), sizeof(ext2_inode)));
        library->check(ext2fs_read_inode_full(library->handle(), number,
                                              reinterpret_cast<ext2_inode*>(fresh.raw.data()),
                                              static_cast<int>(fresh.raw.size())),
                       fmt::format("reading inode {}", number));
        std::memcpy(&fresh.fields, fresh.raw.data(), std::min(fresh.raw.size(), sizeof fresh.fields));
        if (fresh.raw.size() > EXT2_GOOD_OLD_INODE_SIZE &&
            fresh.fields.i_extra_isize > fresh.raw.size() - EXT2_GOOD_OLD_INODE_SIZE)
            fail(ErrorKind::corrupt, fmt::format("inode {} is larger than its place", number));
        if (fresh.fields.i_links_count == 0 || fresh.fields.i_mode == 0)
            fail(ErrorKind::corrupt, fmt::format("inode {} is in use and was deleted", number));
        fresh.number = number;
        last_inode = std::move(fresh);
        return last_inode;
    }

    bool has_extra(const Inode& found, std::size_t field_end) const {
        return found.raw.size() > EXT2_GOOD_OLD_INODE_SIZE &&
               std::size_t{EXT2_GOOD_OLD_INODE_SIZE} + found.fields.i_extra_isize >= field_end;
    }

    static void refuse_encrypted(const Inode& found) {
        if ((found.fields.i_flags & EXT4_ENCRYPT_FL) != 0)
            fail(ErrorKind::unsupported, fmt::format("inode {} is encrypted by ext4 (feature 'encrypt'): its key is "
                                                     "not in the image",
                                                     found.number));
    }

    std::vector<std::byte> inline_data(const Inode& found) {
        std::size_t size = 0;
        library->check(ext2fs_inline_data_size(library->handle(), found.number, &size), "reading a small file");
        if (size > kMaxInlineBytes)
            fail(ErrorKind::corrupt, fmt::format("inode {} holds more than fits into it", found.number));
        std::vector<std::byte> bytes(size);
        library->check(ext2fs_inline_data_get(library->handle(), found.number, nullptr, bytes.data(), &size),
                       "reading a small file");
        bytes.resize(size);
        return bytes;
    }

    // Afterwards mapped_extents or mapped_inline say where the content is.
    void map(const Inode& found) {
        if (mapped_inode == found.number)
            return;
        mapped_inode = 0;
        if ((found.fields.i_flags & EXT4_INLINE_DATA_FL) != 0) {
            mapped_inline = inline_data(found);
            mapping = Mapping::inline_data;
        } else {
            mapped_extents = read_extents(*library, found.number, found.fields);
            mapping = Mapping::extents;
        }
        mapped_inode = found.number;
    }

    const std::vector<DirectoryEntry>& entries_of(NodeId folder) {
        const Inode& found = inode(folder);
        if (const auto* known = folders.find(folder))
            return *known;
        if (type_of(found.fields.i_mode) != FileType::directory)
            fail(ErrorKind::corrupt, fmt::format("inode {} is no folder", found.number));
        refuse_encrypted(found);
        DirectoryReader reader(*library, found.number);
        const std::uint64_t size = EXT2_I_SIZE(&found.fields);
        map(found);
        if (mapping == Mapping::inline_data)
            reader.add_inline(mapped_inline);
        else
            reader.add_blocks(mapped_extents, size);
        return folders.keep(folder, reader.finish());
    }

    // Any content: of files, folders and long links.
    void read(const Inode& found, std::uint64_t offset, std::span<std::byte> buffer) {
        const std::uint64_t size = EXT2_I_SIZE(&found.fields);
        if (offset > size || buffer.size() > size - offset)
            fail(ErrorKind::corrupt, fmt::format("a read beyond the end of inode {}", found.number));
        map(found);
        if (mapping == Mapping::extents) {
            read_content(*library, mapped_extents, offset, buffer);
            return;
        }
        std::fill(buffer.begin(), buffer.end(), std::byte{0});
        if (offset < mapped_inline.size()) {
            const std::size_t available = mapped_inline.size() - static_cast<std::size_t>(offset);
            std::memcpy(buffer.data(), mapped_inline.data() + offset, std::min(buffer.size(), available));
        }
    }
};

Ext4FileSystem::Ext4FileSystem(const std::shared_ptr<const BlockDevice>& device)
    : state_(std::make_unique<State>(device)) {
    if (type_of(state_->inode(root()).fields.i_mode) != FileType::directory)
        fail(ErrorKind::corrupt, "the root of the ext4 file system is no folder");
}

Ext4FileSystem::~Ext4FileSystem() = default;

Ext4Facts Ext4FileSystem::facts() const {
    const ext2_super_block& super = *state_->library->handle()->super;
    Ext4Facts facts;
    for (std::size_t i = 0; i < sizeof super.s_uuid; ++i)
        facts.uuid += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", super.s_uuid[i]);
    facts.label = fixed_text(super.s_volume_name, sizeof super.s_volume_name);
    facts.last_mounted = fixed_text(super.s_last_mounted, sizeof super.s_last_mounted);
    facts.block_size = state_->library->handle()->blocksize;
    if ((super.s_state & EXT2_ERROR_FS) != 0 || (super.s_state & EXT2_VALID_FS) == 0)
        facts.health = Ext4Facts::Health::suspect;
    return facts;
}

NodeId Ext4FileSystem::root() const {
    return NodeId{EXT2_ROOT_INO};
}

FileStatus Ext4FileSystem::status(NodeId node) const {
    const Inode& found = state_->inode(node);
    const ext2_inode_large& inode = found.fields;
    FileStatus status;
    status.type = type_of(inode.i_mode);
    status.permissions = inode.i_mode & 07777u;
    status.uid = inode.i_uid | std::uint32_t{inode.osd2.linux2.l_i_uid_high} << 16;
    status.gid = inode.i_gid | std::uint32_t{inode.osd2.linux2.l_i_gid_high} << 16;
    status.link_count = inode.i_links_count;
    status.modified.seconds = static_cast<std::int32_t>(inode.i_mtime);
    if (state_->has_extra(found, offsetof(ext2_inode_large, i_mtime_extra) + sizeof inode.i_mtime_extra)) {
        status.modified.seconds += std::int64_t{inode.i_mtime_extra & 3u} << 32;
        status.modified.nanoseconds = std::min<std::uint32_t>(inode.i_mtime_extra >> 2, 999'999'999);
    }
    if (status.type == FileType::regular || status.type == FileType::symlink)
        status.size = EXT2_I_SIZE(&inode);
    if (status.type == FileType::character_device || status.type == FileType::block_device) {
        // The old form, in the first word, has eight bits each; the new one is that of Linux' new_decode_dev().
        if (const std::uint32_t old_form = inode.i_block[0]; old_form != 0) {
            status.device_major = (old_form >> 8) & 0xff;
            status.device_minor = old_form & 0xff;
        } else {
            const std::uint32_t device = inode.i_block[1];
            status.device_major = (device & 0xfff00) >> 8;
            status.device_minor = (device & 0xff) | ((device >> 12) & 0xfff00);
        }
    }
    return status;
}

std::vector<DirectoryEntry> Ext4FileSystem::list(NodeId folder) const {
    return state_->entries_of(folder);
}

std::optional<NodeId> Ext4FileSystem::lookup(NodeId folder, std::string_view name) const {
    const std::vector<DirectoryEntry>& entries = state_->entries_of(folder);
    const auto found = std::lower_bound(entries.begin(), entries.end(), name,
                                        [](const DirectoryEntry& entry, std::string_view n) { return entry.name < n; });
    if (found == entries.end() || found->name != name)
        return std::nullopt;
    return found->node;
}

std::string Ext4FileSystem::read_link(NodeId symlink) const {
    const Inode& found = state_->inode(symlink);
    const ext2_inode_large& inode = found.fields;
    if (type_of(inode.i_mode) != FileType::symlink)
        fail(ErrorKind::corrupt, fmt::format("inode {} is no symlink", found.number));
    State::refuse_encrypted(found);
    const std::uint64_t size = EXT2_I_SIZE(&inode);
    if (size == 0 || size > kMaxLinkTarget)
        fail(ErrorKind::corrupt, fmt::format("the symlink in inode {} has an impossible length", found.number));
    std::string target(static_cast<std::size_t>(size), '\0');
    ext2_inode small;
    std::memcpy(&small, &inode, sizeof small);
    if (ext2fs_is_fast_symlink(&small) != 0)
        std::memcpy(target.data(), inode.i_block, std::min(target.size(), sizeof inode.i_block));
    else
        state_->read(found, 0, std::as_writable_bytes(std::span(target)));
    if (target.find('\0') != std::string::npos)
        fail(ErrorKind::corrupt, fmt::format("the target of the symlink in inode {} holds a NUL", found.number));
    return target;
}

std::vector<ExtendedAttribute> Ext4FileSystem::attributes(NodeId node) const {
    const Inode& found = state_->inode(node);
    return with_context(fmt::format("inode {}", found.number),
                        [&] { return read_attributes(*state_->library, found.number, found.raw); });
}

void Ext4FileSystem::read_at(NodeId file, std::uint64_t offset, std::span<std::byte> buffer) const {
    const Inode& found = state_->inode(file);
    if (type_of(found.fields.i_mode) != FileType::regular)
        fail(ErrorKind::corrupt, fmt::format("inode {} is no regular file", found.number));
    State::refuse_encrypted(found);
    state_->read(found, offset, buffer);
}

std::optional<std::vector<DataRange>> Ext4FileSystem::data_ranges(NodeId file) const {
    const Inode& found = state_->inode(file);
    const std::uint64_t size = EXT2_I_SIZE(&found.fields);
    const std::uint64_t block_size = state_->library->handle()->blocksize;
    state_->map(found);
    if (state_->mapping == State::Mapping::inline_data)
        return std::nullopt;
    std::vector<DataRange> ranges;
    for (const Ext4Extent& extent : state_->mapped_extents) {
        if (extent.state == Ext4Extent::State::unwritten || extent.logical > size / block_size)
            continue;
        const std::uint64_t offset = extent.logical * block_size;
        const std::uint64_t length = std::min(extent.count * block_size, size - offset);
        if (length == 0)
            continue;
        if (!ranges.empty() && ranges.back().offset + ranges.back().length == offset)
            ranges.back().length += length;
        else
            ranges.push_back({offset, length});
    }
    return ranges;
}

FileSystemUsage Ext4FileSystem::usage() const {
    ext2_super_block* super = state_->library->handle()->super;
    const std::uint64_t block_size = state_->library->handle()->blocksize;
    FileSystemUsage usage;
    usage.total_bytes = ext2fs_blocks_count(super) * block_size;
    usage.free_bytes = std::min<std::uint64_t>(ext2fs_free_blocks_count(super) * block_size, usage.total_bytes);
    usage.total_inodes = super->s_inodes_count;
    usage.free_inodes = super->s_free_inodes_count;
    return usage;
}

LogState Ext4FileSystem::log() const {
    return state_->journal;
}

std::optional<std::vector<DataRange>> Ext4FileSystem::free_space() const {
    if (facts().health != Ext4Facts::Health::clean)
        fail(ErrorKind::corrupt, "it was not unmounted or has errors; run e2fsck in the guest to have its free space "
                                 "left out");
    std::vector<DataRange> free;
    visit_free_space(*state_->library,
                     state_->journal == LogState::replayed ? SuperblockCount::stale : SuperblockCount::exact,
                     [&](std::uint64_t offset, std::uint64_t length) {
                         free.push_back({offset, length});
                     });
    return free;
}

} // namespace vm2oci
