#include "formats/btrfs/inode.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/btrfs/objects.hpp"

#include <fmt/format.h>

namespace vm2oci::btrfs {
namespace {

constexpr std::uint64_t kNoDataSums = 1; // BTRFS_INODE_NODATASUM
constexpr std::uint32_t kNanosecondsEnd = 1'000'000'000;
constexpr std::uint64_t kMaxFileSize = INT64_MAX; // MAX_LFS_FILESIZE of Linux

} // namespace

Inode parse_inode(std::uint64_t number, std::span<const std::byte> item) {
    const auto u32 = [&](std::size_t at) { return load_le<std::uint32_t>(item.data() + at); };
    const auto u64 = [&](std::size_t at) { return load_le<std::uint64_t>(item.data() + at); };
    if (item.size() != kInodeItem)
        fail(ErrorKind::corrupt, fmt::format("inode {} of the btrfs file system is cut off", number));
    const auto type = file_type_of_mode(u32(52));
    const std::uint64_t device = u64(56);
    if (!type || u64(16) > kMaxFileSize || u32(144) >= kNanosecondsEnd)
        fail(ErrorKind::corrupt, fmt::format("inode {} of the btrfs file system is damaged", number));
    Inode inode{number, {}, (u64(64) & kNoDataSums) != 0 ? DataSums::none : DataSums::kept};
    FileStatus& status = inode.status;
    status.type = *type;
    status.permissions = u32(52) & 07777U;
    status.uid = u32(44);
    status.gid = u32(48);
    status.size = u64(16);
    status.modified = {static_cast<std::int64_t>(u64(136)), u32(144)};
    status.link_count = u32(40);
    if (*type == FileType::character_device || *type == FileType::block_device) {
        // As the kernel has it in memory: 12 bits and 20.
        status.device_major = static_cast<std::uint32_t>(device >> 20U & 0xfffU);
        status.device_minor = static_cast<std::uint32_t>(device & 0xfffffU);
    }
    return inode;
}

Inode read_inode(const Volume& volume, const Subvolume& subvolume, std::uint64_t number) {
    const Cursor at(volume, subvolume.root, {number, item::inode, 0}, subvolume.changes);
    if (at.is_at_end() || at.key() != Key{number, item::inode, 0})
        fail(ErrorKind::corrupt,
             fmt::format("inode {} in subvolume {} of the btrfs file system is not there", number, subvolume.number));
    return parse_inode(number, at.data());
}

} // namespace vm2oci::btrfs
