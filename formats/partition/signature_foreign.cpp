// Signatures of what is named and not read. Where they stand: util-linux, libblkid/src/superblocks.
#include "formats/base/checked.hpp"
#include "formats/base/size.hpp"
#include "formats/partition/window.hpp"

#include <array>
#include <bit>

namespace vm2oci::signatures {
namespace {

struct Mark {
    std::uint64_t at; // on the device
    std::string_view magic;
    std::string_view type;
    ContentKind kind = ContentKind::file_system;
    std::uint64_t uuid_at = 0;  // 0: none
    std::uint64_t label_at = 0; // 0: none
    std::size_t label_size = 0;
};

constexpr std::string_view kBcache("\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", 16);
constexpr std::string_view kBcachefs("\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef", 16);

// Within the first 4.5 KiB, which are read anyway.
constexpr Mark kHeadMarks[] = {
    {0, "dmvdo001", "vdo", ContentKind::file_system, 40},
    {32, "NXSB", "apfs", ContentKind::file_system, 72},
    {0, std::string_view("\0\0\0ReFS\0", 8), "ReFS"},
    {32, "ORCLDISK", "oracleasm"},
    {512 + 4, std::string_view("!Stra0tis\x86\xff\x02^\x41rh", 16), "stratis"},
    {0, "bluestore block device", "ceph_bluestore"},
    {0, std::string_view("verity\0\0", 8), "DM_verity_hash"},
    {0, std::string_view("integrt\0", 8), "DM_integrity"},
    {0, "-rom1fs-", "romfs"},
    {0, "\x45\x3d\xcd\x28", "cramfs"},
    {4096 + 24, kBcache, "bcache", ContentKind::file_system, 4096 + 40},
    {4096 + 24, kBcachefs, "bcachefs", ContentKind::file_system, 4096 + 56, 4096 + 72, 32},
    {1024, std::string_view("OCFSV2", 6), "ocfs2", ContentKind::file_system, 1024 + 336, 1024 + 272, 64},
    {2048, std::string_view("OCFSV2", 6), "ocfs2", ContentKind::file_system, 2048 + 336, 2048 + 272, 64},
    {4096, std::string_view("OCFSV2", 6), "ocfs2", ContentKind::file_system, 4096 + 336, 4096 + 272, 64},
};

// Farther away.
constexpr Mark kFarMarks[] = {
    {8 * KiB, std::string_view("OCFSV2", 6), "ocfs2", ContentKind::file_system, 8 * KiB + 336, 8 * KiB + 272, 64},
    {8 * KiB, std::string_view("\x49\xe8\x95\xf9", 4), "hpfs"},
    {1 * MiB, std::string_view("\x0d\xd0\x01\xc0", 4), "VMFS_volume_member"},
    {2 * MiB, std::string_view("\x5e\xf1\xab\x2f", 4), "VMFS"},
};

std::optional<Signature> by_marks(std::span<const Mark> marks, const BlockDevice& device, const Window* head) {
    for (const Mark& mark : marks) {
        const bool matches =
            head != nullptr ? head->has(mark.at, mark.magic) : Window(device, mark.at, 32).has(0, mark.magic);
        if (!matches)
            continue;
        Signature found{mark.kind, std::string(mark.type), "", "", ""};
        if (mark.uuid_at != 0)
            found.uuid = Window(device, mark.uuid_at, 16).uuid(0);
        if (mark.label_at != 0)
            found.label = Window(device, mark.label_at, mark.label_size).text(0, mark.label_size);
        return found;
    }
    return std::nullopt;
}

// Two bytes of magic are few: revision, size and blocks must be such as mkfs makes.
std::optional<Signature> probe_nilfs(const Window& head) {
    constexpr std::size_t kSuper = 1024;
    if (head.le<std::uint16_t>(kSuper + 6) != 0x3434 || head.le<std::uint32_t>(kSuper) != 2 ||
        head.le<std::uint32_t>(kSuper + 20) > 6 || head.le<std::uint16_t>(kSuper + 8) > 1024)
        return std::nullopt;
    return Signature{ContentKind::file_system, "nilfs2", head.uuid(kSuper + 152), head.text(kSuper + 168, 80), ""};
}

// Apple's: HFS+ by itself, or within an HFS that is there for older systems.
std::optional<Signature> probe_hfs(const Window& head) {
    const auto plausible = [&] {
        return head.be<std::uint16_t>(1024 + 2) == 4 || head.be<std::uint16_t>(1024 + 2) == 5;
    };
    if ((head.has(1024, "H+") || head.has(1024, "HX")) && plausible())
        return Signature{ContentKind::file_system, "hfsplus", "", "", ""};
    // The allocation block's size is a multiple of a sector (hfs_mdb, al_blk_size).
    const std::uint32_t block = head.be<std::uint32_t>(1024 + 20);
    if (head.has(1024, "BD") && block != 0 && block % 512 == 0) {
        const bool wraps = head.has(1024 + 0x7c, "H+") || head.has(1024 + 0x7c, "HX");
        return Signature{ContentKind::file_system, wraps ? "hfsplus" : "hfs", "", "", ""};
    }
    return std::nullopt;
}

std::optional<Signature> probe_gfs(const BlockDevice& device) {
    const Window super(device, 64 * KiB, 512);
    if (super.be<std::uint32_t>(0) != 0x01161970 || super.be<std::uint32_t>(4) != 1)
        return std::nullopt;
    const bool second = super.be<std::uint32_t>(24) >= 1800;
    return Signature{ContentKind::file_system, second ? "gfs2" : "gfs", second ? super.uuid(256) : "",
                     super.text(160, 64), ""};
}

// Volume recognition (ECMA-167, part 2): "NSR" between "BEA01" and "TEA01", one descriptor a block.
std::optional<Signature> probe_udf(const BlockDevice& device) {
    for (const std::uint64_t block : {2 * KiB, 4 * KiB, 512 * std::uint64_t{1}}) {
        bool begun = false;
        for (std::uint64_t i = 0; i < 16; ++i) {
            const Window descriptor(device, 32 * KiB + i * block, 8);
            if (descriptor.has(1, "BEA01"))
                begun = true;
            else if (begun && (descriptor.has(1, "NSR02") || descriptor.has(1, "NSR03")))
                return Signature{ContentKind::file_system, "udf", "", "", ""};
            else if (!descriptor.has(1, "CD001") && !descriptor.has(1, "BOOT2"))
                break;
        }
    }
    return std::nullopt;
}

} // namespace

std::optional<Signature> probe_foreign(const BlockDevice& device, const Window& head) {
    if (auto found = by_marks(kHeadMarks, device, &head))
        return found;
    if (auto found = probe_nilfs(head))
        return found;
    if (auto found = probe_hfs(head))
        return found;
    if (auto found = by_marks(kFarMarks, device, nullptr))
        return found;
    if (auto found = probe_gfs(device))
        return found;
    return probe_udf(device);
}

std::optional<Signature> probe_suspended(const BlockDevice& device, const Window& head) {
    const auto found = [&] {
        return Signature{ContentKind::swap, "swsuspend", head.uuid(1024 + 12), head.text(1024 + 28, 16), ""};
    };
    if (head.has(0, std::string_view("\xed\xc3\x02\xe9\x98\x56\xe5\x0c", 8))) // TuxOnIce
        return found();
    for (const std::uint64_t page : {4 * KiB, 8 * KiB, 16 * KiB, 64 * KiB}) {
        const Window tail(device, page - 10, 10);
        for (const std::string_view magic : {"S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001"})
            if (tail.has(0, magic))
                return found();
    }
    return std::nullopt;
}

std::optional<std::string> read_fat_label(const BlockDevice& device, const Window& head) {
    constexpr unsigned kEntry = 32;
    constexpr unsigned kMaxClusters = 100; // of FAT32's root folder: labels stand at its front
    constexpr std::byte kVolume{0x08};
    constexpr std::byte kFolder{0x10};
    constexpr std::byte kLongName{0x0f};
    const std::uint64_t sector = head.le<std::uint16_t>(11);
    const std::uint64_t cluster = head.le<std::uint8_t>(13) * sector;
    const std::uint64_t reserved = head.le<std::uint16_t>(14) * sector;
    const std::uint64_t entries = head.le<std::uint16_t>(17);
    const std::uint64_t sectors_of_table =
        head.le<std::uint16_t>(22) != 0 ? head.le<std::uint16_t>(22) : head.le<std::uint32_t>(36);
    const std::uint64_t root = reserved + head.le<std::uint8_t>(16) * sectors_of_table * sector;
    if (sector == 0 || cluster == 0)
        return std::nullopt;

    bool at_end = false;
    const auto look = [&](std::uint64_t offset, std::uint64_t length) -> std::optional<std::string> {
        if (offset >= device.size())
            return std::nullopt;
        std::vector<std::byte> bytes(static_cast<std::size_t>(std::min(length, device.size() - offset)));
        device.read_at(offset, bytes);
        for (std::size_t at = 0; at + kEntry <= bytes.size(); at += kEntry) {
            if (bytes[at] == std::byte{0}) {
                at_end = true;
                return std::nullopt;
            }
            const std::byte attributes = bytes[at + 11];
            if (bytes[at] == std::byte{0xe5} || (attributes & std::byte{0x3f}) == kLongName ||
                (attributes & (kVolume | kFolder)) != kVolume)
                continue;
            std::string label(reinterpret_cast<const char*>(bytes.data() + at), 11);
            if (label[0] == '\x05')
                label[0] = '\xe5';
            label.resize(label.find_last_not_of(' ') + 1);
            return label;
        }
        return std::nullopt;
    };
    if (entries != 0) // FAT12 and FAT16
        return look(root, entries * kEntry);
    std::uint32_t number = head.le<std::uint32_t>(44);
    for (unsigned i = 0; i < kMaxClusters && number >= 2 && number < 0x0ffffff7 && !at_end; ++i) {
        if (auto label = look(root + (number - 2) * cluster, cluster))
            return label;
        number = Window(device, reserved + std::uint64_t{number} * 4, 4).le<std::uint32_t>(0) & 0x0fffffff;
    }
    return std::nullopt;
}

} // namespace vm2oci::signatures
