#include "formats/partition/signature.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/partition/window.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace vm2oci {
namespace {

using signatures::hexadecimal;
using signatures::Window;

using Found = std::optional<Signature>;

Found probe_luks(const Window& head) {
    if (!head.has(0, std::string_view("LUKS\xba\xbe", 6)))
        return std::nullopt;
    const unsigned version = head.be<std::uint16_t>(6);
    return Signature{ContentKind::encrypted, "crypto_LUKS", head.text(168, 40),
                     version == 2 ? head.text(24, 48) : std::string(), std::to_string(version)};
}

// LUKS2 whose first header is gone: the second one stands behind it, and says where.
Found probe_second_luks(const BlockDevice& device) {
    for (std::uint64_t offset = 16 * KiB; offset <= 4 * MiB; offset *= 2) {
        const Window copy(device, offset, 512);
        if (copy.has(0, std::string_view("SKUL\xba\xbe", 6)) && copy.be<std::uint16_t>(6) == 2 &&
            copy.be<std::uint64_t>(256) == offset)
            return Signature{ContentKind::encrypted, "crypto_LUKS", copy.text(168, 40), copy.text(24, 48), "2"};
    }
    return std::nullopt;
}

Found probe_lvm(const Window& head) {
    for (std::size_t sector = 0; sector < 4; ++sector) {
        const std::size_t at = sector * 512;
        if (!head.has(at, "LABELONE") || !head.has(at + 24, "LVM2 001"))
            continue;
        // Thirty-two letters, written by LVM in groups of 6-4-4-4-4-4-6.
        std::string id = head.text(at + 32, 32);
        for (const std::size_t dash : {26u, 22u, 18u, 14u, 10u, 6u})
            if (id.size() > dash)
                id.insert(dash, "-");
        return Signature{ContentKind::volume_group, "LVM2_member", id, "", "LVM2 001"};
    }
    return std::nullopt;
}

constexpr std::uint32_t kMdMagic = 0xa92b4efc;

Found md_version_1(const Window& window, std::size_t at, std::string_view version) {
    if (window.le<std::uint32_t>(at) != kMdMagic || window.le<std::uint32_t>(at + 4) != 1)
        return std::nullopt;
    return Signature{ContentKind::raid, "linux_raid_member", window.uuid(at + 16), window.text(at + 32, 32),
                     std::string(version)};
}

// Words, which libblkid and mdadm write as numbers.
std::string md_uuid_0(const Window& window) {
    std::string digits;
    for (const std::size_t at : {20u, 52u, 56u, 60u})
        digits += hexadecimal(window.le<std::uint32_t>(at), 8, "0123456789abcdef");
    for (const std::size_t dash : {20u, 16u, 12u, 8u})
        digits.insert(dash, "-");
    return digits;
}

Found probe_md(const BlockDevice& device, const Window& head) {
    if (Found found = md_version_1(head, 4096, "1.2"))
        return found;
    if (Found found = md_version_1(head, 0, "1.1"))
        return found;
    // Where the superblock stands at the end: drivers/md/md.c, super_1_load and super_90_load.
    const std::uint64_t sectors = device.size() / 512;
    if (sectors < 256)
        return std::nullopt;
    if (Found found = md_version_1(Window(device, ((sectors - 16) & ~std::uint64_t{7}) * 512, 512), 0, "1.0"))
        return found;
    const Window oldest(device, align_down(device.size(), 64 * KiB) - 64 * KiB, 512);
    if (oldest.le<std::uint32_t>(0) == kMdMagic && oldest.le<std::uint32_t>(4) == 0)
        return Signature{ContentKind::raid, "linux_raid_member", md_uuid_0(oldest), "", "0.90"};
    return std::nullopt;
}

Found probe_ext(const Window& head) {
    constexpr std::size_t kSuper = 1024;
    if (head.le<std::uint16_t>(kSuper + 56) != 0xef53)
        return std::nullopt;
    const std::uint32_t compatible = head.le<std::uint32_t>(kSuper + 92);
    const std::uint32_t incompatible = head.le<std::uint32_t>(kSuper + 96);
    const std::uint32_t read_only = head.le<std::uint32_t>(kSuper + 100);
    constexpr std::uint32_t kHasJournal = 0x4;
    constexpr std::uint32_t kJournalDevice = 0x8;
    constexpr std::uint32_t kExt3Incompatible = 0x2 | 0x4 | 0x10; // filetype, recover, meta_bg
    constexpr std::uint32_t kExt3ReadOnly = 0x1 | 0x2 | 0x4;      // sparse_super, large_file, btree_dir
    std::string type = "ext2";
    if ((incompatible & kJournalDevice) != 0)
        type = "jbd";
    else if ((incompatible & ~kExt3Incompatible) != 0 || (read_only & ~kExt3ReadOnly) != 0)
        type = "ext4";
    else if ((compatible & kHasJournal) != 0)
        type = "ext3";
    return Signature{ContentKind::file_system, type, head.uuid(kSuper + 104), head.text(kSuper + 120, 16), ""};
}

Found probe_swap(const Window& head, const BlockDevice& device) {
    for (const std::uint64_t page : {4 * KiB, 8 * KiB, 16 * KiB, 64 * KiB}) {
        const Window tail(device, page - 10, 10);
        if (tail.has(0, "SWAPSPACE2") || tail.has(0, "SWAP-SPACE"))
            return Signature{ContentKind::swap, "swap", head.uuid(1024 + 12), head.text(1024 + 28, 16), ""};
    }
    return std::nullopt;
}

// One of the uberblocks of its four labels: any may be all that is left (vdev_impl.h).
Found probe_zfs(const BlockDevice& device) {
    constexpr std::uint64_t kLabel = 256 * KiB;
    constexpr std::uint64_t kRing = 128 * KiB;
    constexpr std::uint64_t kMagic = 0x00bab10c;
    if (device.size() < 4 * kLabel)
        return std::nullopt;
    const std::uint64_t end = align_down(device.size(), kLabel);
    for (const std::uint64_t label : {std::uint64_t{0}, kLabel, end - 2 * kLabel, end - kLabel}) {
        const Window ring(device, label + kRing, kRing);
        for (std::size_t at = 0; at < kRing; at += 1024)
            if (ring.le<std::uint64_t>(at) == kMagic || ring.be<std::uint64_t>(at) == kMagic)
                return Signature{ContentKind::file_system, "zfs_member", "", "", ""};
    }
    return std::nullopt;
}

// At its end: what it mirrors to another machine begins with a signature of its own (drbd, struct meta_data_on_disk).
Found probe_drbd(const BlockDevice& device) {
    constexpr std::uint64_t kBlock = 4 * KiB;
    if (device.size() < kBlock)
        return std::nullopt;
    const std::uint32_t magic = Window(device, align_down(device.size(), kBlock) - kBlock, 64).be<std::uint32_t>(60);
    if (magic < 0x8374026b || magic > 0x8374026d)
        return std::nullopt;
    return Signature{ContentKind::file_system, "drbd", "", "", ""};
}

// Of the BSDs; ufs/ffs/fs.h.
Found probe_ufs(const BlockDevice& device) {
    constexpr std::uint64_t kMagicInSuper = 1372;
    constexpr std::uint32_t kUfs1 = 0x00011954;
    constexpr std::uint32_t kUfs2 = 0x19540119;
    for (const std::uint64_t super : {64 * KiB, 8 * KiB, std::uint64_t{0}, 256 * KiB}) {
        const Window window(device, super + kMagicInSuper, 4);
        for (const std::uint32_t magic : {window.le<std::uint32_t>(0), window.be<std::uint32_t>(0)})
            if (magic == kUfs1 || magic == kUfs2)
                return Signature{ContentKind::file_system, "ufs", "", "", magic == kUfs1 ? "1" : "2"};
    }
    return std::nullopt;
}

std::string serial_as_uuid(std::uint32_t serial) {
    return hexadecimal(serial >> 16U, 4) + "-" + hexadecimal(serial & 0xffffU, 4);
}

Found probe_boot_sector(const BlockDevice& device, const Window& head) {
    if (head.has(3, "-FVE-FS-"))
        return Signature{ContentKind::encrypted, "BitLocker", "", "", ""};
    if (head.has(3, "NTFS    "))
        return Signature{ContentKind::file_system, "ntfs", hexadecimal(head.le<std::uint64_t>(72), 16), "", ""};
    if (head.has(3, "EXFAT   "))
        return Signature{ContentKind::file_system, "exfat", serial_as_uuid(head.le<std::uint32_t>(100)), "", ""};
    const unsigned sector_size = head.le<std::uint16_t>(11);
    const unsigned cluster_sectors = head.le<std::uint8_t>(13);
    const unsigned reserved = head.le<std::uint16_t>(14);
    const unsigned tables = head.le<std::uint8_t>(16);
    const unsigned media = head.le<std::uint8_t>(21);
    if (head.le<std::uint16_t>(510) != 0xaa55 || sector_size < 512 || sector_size > 4096 ||
        !std::has_single_bit(sector_size) || !std::has_single_bit(cluster_sectors) || reserved == 0 || tables == 0 ||
        tables > 2 || (media != 0xf0 && media < 0xf8))
        return std::nullopt;
    const bool is_fat32 = head.le<std::uint16_t>(22) == 0 && head.le<std::uint32_t>(36) != 0;
    const std::size_t at = is_fat32 ? 66 : 38; // the extended boot signature; then serial and label
    Signature found{ContentKind::file_system, "vfat", "", "", is_fat32 ? "FAT32" : head.text(54, 8)};
    const unsigned extended = head.le<std::uint8_t>(at);
    if (extended == 0x28 || extended == 0x29)
        found.uuid = serial_as_uuid(head.le<std::uint32_t>(at + 1));
    if (extended == 0x29 && !head.has(at + 5, "NO NAME    "))
        found.label = head.text(at + 5, 11);
    if (const std::optional<std::string> label = signatures::read_fat_label(device, head))
        found.label = *label;
    return found;
}

Found probe_head(const Window& head) {
    if (head.has(0, "XFSB"))
        return Signature{ContentKind::file_system, "xfs", head.uuid(32), head.text(108, 12), ""};
    if (head.has(0, "hsqs"))
        return Signature{ContentKind::file_system, "squashfs", "", "",
                         std::to_string(head.le<std::uint16_t>(28)) + "." + std::to_string(head.le<std::uint16_t>(30))};
    if (head.le<std::uint32_t>(1024) == 0xe0f5e1e2)
        return Signature{ContentKind::file_system, "erofs", head.uuid(1024 + 48), head.text(1024 + 64, 16), ""};
    if (head.le<std::uint32_t>(1024) == 0xf2f52010)
        return Signature{ContentKind::file_system, "f2fs", head.uuid(1024 + 108), "", ""};
    return std::nullopt;
}

// The time of the last change, else of creation: "2026-11-23-04-05-03-00" (ECMA-119, 8.4.26).
std::string iso_uuid(const Window& descriptor) {
    for (const std::size_t at : {830u, 813u}) {
        const std::string digits = descriptor.text(at, 16);
        if (digits.size() != 16 || digits.find_first_not_of("0123456789") != std::string::npos ||
            digits.find_first_not_of('0') == std::string::npos)
            continue;
        std::string text = digits.substr(0, 4);
        for (std::size_t i = 4; i < digits.size(); i += 2)
            text += '-' + digits.substr(i, 2);
        return text;
    }
    return {};
}

Found probe_far(const BlockDevice& device) {
    const Window btrfs(device, 64 * KiB, 1024);
    if (btrfs.has(64, "_BHRfS_M"))
        return Signature{ContentKind::file_system, "btrfs", btrfs.uuid(32), btrfs.text(299, 256), ""};
    if (btrfs.has(52, "ReIsEr2Fs") || btrfs.has(52, "ReIsEr3Fs") || btrfs.has(52, "ReIsErFs"))
        return Signature{ContentKind::file_system, "reiserfs", btrfs.uuid(84), btrfs.text(100, 16), ""};
    if (btrfs.has(0, "ReIsEr4"))
        return Signature{ContentKind::file_system, "reiser4", "", "", ""};
    if (Window(device, 8 * KiB, 64).has(52, "ReIsErFs"))
        return Signature{ContentKind::file_system, "reiserfs", "", "", ""};
    const Window iso(device, 32 * KiB, 1024);
    if (iso.has(1, "CD001"))
        return Signature{ContentKind::file_system, "iso9660", iso_uuid(iso), iso.text(40, 32), ""};
    if (iso.has(0, "JFS1"))
        return Signature{ContentKind::file_system, "jfs", iso.uuid(136), iso.text(152, 16), ""};
    return std::nullopt;
}

} // namespace

std::string_view to_string(ContentKind kind) {
    switch (kind) {
    case ContentKind::file_system:
        return "file system";
    case ContentKind::swap:
        return "swap";
    case ContentKind::volume_group:
        return "LVM physical volume";
    case ContentKind::encrypted:
        return "encrypted";
    case ContentKind::raid:
        return "RAID member";
    }
    return "file system";
}

std::optional<Signature> probe_signature(const BlockDevice& device) {
    const Window head(device, 0, 4096 + 512);
    // The member of an array may have its superblock at its end, and begins with what is in the array.
    if (Found found = probe_md(device, head))
        return found;
    if (Found found = probe_luks(head))
        return found;
    if (Found found = probe_lvm(head))
        return found;
    if (Found found = probe_head(head))
        return found;
    if (Found found = probe_ext(head))
        return found;
    if (Found found = signatures::probe_foreign(device, head))
        return found;
    if (Found found = probe_far(device))
        return found;
    // A swap signature stands where these write nothing, and outlives their making.
    if (Found found = probe_ufs(device))
        return found;
    if (Found found = probe_zfs(device))
        return found;
    if (Found found = probe_drbd(device))
        return found;
    if (Found found = probe_swap(head, device))
        return found;
    if (Found found = signatures::probe_suspended(device, head))
        return found;
    if (Found found = probe_boot_sector(device, head))
        return found;
    return probe_second_luks(device);
}

std::optional<SwapArea> read_swap_area(const BlockDevice& device) {
    constexpr std::size_t kHeader = 1024;         // behind the boot block
    constexpr std::size_t kBadPages = 1024 + 512; // a list of numbers, up to the signature
    const Window head(device, 0, 4096 + 512);
    // mkswap leaves zeros there. Disk labels (Solaris', whose partitions have the type of Linux' swap), boot sectors
    // and the superblocks of other formats write nothing over the signature, which outlives their making.
    if (!is_zero(head.first(kHeader)))
        return std::nullopt;
    for (const std::uint64_t page : {4 * KiB, 8 * KiB, 16 * KiB, 64 * KiB}) {
        if (!Window(device, page - 10, 10).has(0, "SWAPSPACE2"))
            continue;
        const std::uint64_t last_page = head.le<std::uint32_t>(kHeader + 4);
        const std::uint64_t bad_pages = head.le<std::uint32_t>(kHeader + 8);
        if (head.le<std::uint32_t>(kHeader) != 1 || last_page == 0 || last_page >= device.size() / page ||
            bad_pages > (page - 10 - kBadPages) / 4)
            return std::nullopt;
        return SwapArea{page, last_page * page};
    }
    return std::nullopt;
}

} // namespace vm2oci
