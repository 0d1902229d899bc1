#include "guest-kernel/agent/growing.hpp"

#include "formats/base/escape.hpp"

#include "guest-kernel/agent/mounted_editor.hpp"
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <string>

namespace vm2oci::guest {
namespace {

// The kernel's fs/xfs/libxfs/xfs_fs.h and fs/ext4/ext4.h, which no package of headers brings everywhere.
struct XfsGeometry { // struct xfs_fsop_geom_v1
    std::uint32_t block_size;
    std::uint32_t realtime_extent_size;
    std::uint32_t group_blocks;
    std::uint32_t group_count;
    std::uint32_t log_blocks;
    std::uint32_t sector_size;
    std::uint32_t inode_size;
    std::uint32_t inodes_percent;
    std::uint64_t data_blocks;
    std::uint64_t realtime_blocks;
    std::uint64_t realtime_extents;
    std::uint64_t log_start;
    unsigned char uuid[16];
    std::uint32_t stripe_unit;
    std::uint32_t stripe_width;
    std::int32_t version;
    std::uint32_t flags;
    std::uint32_t log_sector_size;
    std::uint32_t realtime_sector_size;
    std::uint32_t folder_block_size;
};
struct XfsGrowth { // struct xfs_growfs_data
    std::uint64_t blocks;
    std::uint32_t inodes_percent;
};
constexpr unsigned long kXfsGeometry = _IOR('X', 100, XfsGeometry);
constexpr unsigned long kXfsGrow = _IOW('X', 110, XfsGrowth);
constexpr unsigned long kExt4Grow = _IOW('f', 16, std::uint64_t);

void grow_xfs(int folder, std::uint64_t size) {
    XfsGeometry geometry{};
    if (::ioctl(folder, kXfsGeometry, &geometry) != 0)
        fail_number("cannot learn the size of the file system", errno);
    XfsGrowth growth{};
    growth.blocks = size / geometry.block_size;
    growth.inodes_percent = geometry.inodes_percent;
    if (growth.blocks > geometry.data_blocks && ::ioctl(folder, kXfsGrow, &growth) != 0)
        fail_number("cannot grow the file system", errno);
}

void grow_ext4(int folder, std::uint64_t size) {
    struct statfs status {};
    if (::fstatfs(folder, &status) != 0)
        fail_number("cannot learn the size of the file system", errno);
    std::uint64_t blocks = size / static_cast<std::uint64_t>(status.f_bsize);
    // It is refused to shrink, and says yes where nothing changes.
    if (::ioctl(folder, kExt4Grow, &blocks) != 0)
        fail_number("cannot grow the file system", errno);
}

void grow_btrfs(int folder) {
    btrfs_ioctl_vol_args arguments{};
    std::strncpy(arguments.name, "1:max", sizeof arguments.name - 1); // the first device; there is one
    if (::ioctl(folder, BTRFS_IOC_RESIZE, &arguments) != 0)
        fail_number("cannot grow the file system", errno);
}

} // namespace

void grow_file_system(int folder, std::string_view type, std::uint64_t size) {
    if (type == "xfs")
        grow_xfs(folder, size);
    else if (type == "ext4" || type == "ext3" || type == "ext2")
        grow_ext4(folder, size);
    else if (type == "btrfs")
        grow_btrfs(folder);
    else
        fail(ErrorKind::unsupported, "the appliance cannot grow " + quote_untrusted(type));
}

void trim_file_system(int folder) {
    fstrim_range range{};
    range.len = std::numeric_limits<__u64>::max();
    if (::ioctl(folder, FITRIM, &range) != 0)
        fail_number("cannot discard free space", errno);
}

} // namespace vm2oci::guest
