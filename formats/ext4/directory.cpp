#include "formats/ext4/directory.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::size_t kDirectoryEntryHeader = 8; // inode, record length, name length, type
constexpr std::size_t kInlineParentBytes = 4;    // an inline folder begins with its parent's inode number
constexpr std::size_t kInlineFirstArea = 60;     // what fits into the inode itself; the rest is a second area

// A record of 64 KiB does not fit into sixteen bits (fs/ext4/ext4.h, ext4_rec_len_from_disk).
std::size_t record_length(std::uint16_t stored, std::size_t block_size) {
    if (block_size < 65536)
        return stored;
    if (stored == 65535 || stored == 0)
        return block_size;
    return (stored & 65532u) | ((stored & 3u) << 16);
}

} // namespace

void DirectoryReader::add_entries(std::span<const std::byte> area) {
    const std::size_t block_size = library_.handle()->blocksize;
    std::size_t at = 0;
    while (at < area.size()) {
        if (area.size() - at < kDirectoryEntryHeader)
            fail(ErrorKind::corrupt, fmt::format("the folder in inode {} is damaged", folder_));
        const std::byte* entry = area.data() + at;
        const std::uint32_t inode = load_le<std::uint32_t>(entry);
        const std::size_t length = record_length(load_le<std::uint16_t>(entry + 4), block_size);
        const std::size_t name_length = std::to_integer<std::size_t>(entry[6]);
        if (length < kDirectoryEntryHeader || length % 4 != 0 || length > area.size() - at ||
            (inode != 0 && name_length > length - kDirectoryEntryHeader))
            fail(ErrorKind::corrupt, fmt::format("the folder in inode {} is damaged", folder_));
        at += length;
        if (inode == 0)
            continue;
        const std::string_view name(reinterpret_cast<const char*>(entry + kDirectoryEntryHeader), name_length);
        if (name == "." || name == "..") {
            if (++own_entries_ > 2)
                fail(ErrorKind::corrupt, fmt::format("the folder in inode {} names itself twice", folder_));
            continue;
        }
        if (!is_valid_file_name(name))
            fail(ErrorKind::corrupt, fmt::format("the folder in inode {} holds a name that cannot be", folder_));
        entries_.push_back({std::string(name), NodeId{inode}});
    }
}

void DirectoryReader::add_blocks(std::span<const Ext4Extent> extents, std::uint64_t size) {
    const std::uint64_t block_size = library_.handle()->blocksize;
    if (size > kMaxDirectoryBytes)
        fail(ErrorKind::limit, fmt::format("the folder in inode {} is larger than any real one", folder_));
    // Folders have no holes; a size that its blocks do not back would let a small image ask for much work.
    std::vector<std::byte> block(block_size);
    for (std::uint64_t index = 0; index < divide_up(size, block_size); ++index) {
        const auto extent =
            std::upper_bound(extents.begin(), extents.end(), index,
                             [](std::uint64_t wanted, const Ext4Extent& e) { return wanted < e.logical + e.count; });
        if (extent == extents.end() || index < extent->logical)
            fail(ErrorKind::corrupt, fmt::format("the folder in inode {} has a hole", folder_));
        library_.check(
            io_channel_read_blk64(library_.handle()->io, extent->physical + (index - extent->logical), 1, block.data()),
            "reading a folder");
        if (ext2fs_dir_block_csum_verify(library_.handle(), folder_, reinterpret_cast<ext2_dir_entry*>(block.data())) ==
            0)
            fail(ErrorKind::corrupt, fmt::format("the checksum of the folder in inode {} is wrong", folder_));
        add_entries(block);
    }
}

void DirectoryReader::add_inline(std::span<const std::byte> bytes) {
    if (bytes.size() < kInlineParentBytes)
        fail(ErrorKind::corrupt, fmt::format("the folder in inode {} is damaged", folder_));
    const std::size_t first_end = std::min(bytes.size(), kInlineFirstArea);
    add_entries(bytes.subspan(kInlineParentBytes, first_end - kInlineParentBytes));
    add_entries(bytes.subspan(first_end));
}

std::vector<DirectoryEntry> DirectoryReader::finish() {
    std::sort(entries_.begin(), entries_.end(),
              [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
    for (std::size_t i = 1; i < entries_.size(); ++i)
        if (entries_[i].name == entries_[i - 1].name)
            fail(ErrorKind::corrupt, fmt::format("the folder in inode {} holds one name twice", folder_));
    return std::move(entries_);
}

} // namespace vm2oci
