#include "formats/xfs/geometry.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/crc32c.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>
#include <vector>

namespace vm2oci::xfs {
namespace {

constexpr std::uint32_t kSuperblockMagic = 0x58465342; // "XFSB"
constexpr std::size_t kSuperblockChecksumAt = 224;
constexpr std::uint64_t kMinSuperblock = 512;
constexpr std::uint64_t kMinGroupBlocks = 64;
constexpr std::uint64_t kMaxBlockSize = 64 * KiB;
constexpr std::uint64_t kMaxLogBytes = 2 * GiB;

constexpr unsigned kVersionLogV2 = 0x0400;
constexpr unsigned kVersionShared = 0x0200;
constexpr unsigned kVersionFolders2 = 0x2000;
constexpr unsigned kVersionFoldedNames = 0x4000;
constexpr unsigned kVersionMore = 0x8000;

constexpr std::uint32_t kMoreLazyCounters = 0x02;
constexpr std::uint32_t kMoreFileTypes = 0x200;
// Lazy counters, attributes of version 2, project numbers of 32 bits, file types.
constexpr std::uint32_t kMoreKnown = 0x02 | 0x08 | 0x80 | 0x200;

// Free inode B+tree, reverse mapping, reference counts, counted inode B+trees: none of them is read here.
constexpr std::uint32_t kReadOnlyKnown = 0x0f;
constexpr std::uint32_t kIncompatFileTypes = 0x01;
constexpr std::uint32_t kIncompatMetaUuid = 0x04;

struct NamedFeature {
    std::uint32_t bit;
    const char* name; // null: read here
    const char* advice;
};
constexpr NamedFeature kIncompatible[] = {
    {0x001, nullptr, nullptr}, // file types in folders
    {0x002, nullptr, nullptr}, // sparse inode chunks
    {0x004, nullptr, nullptr}, // a UUID of its own for metadata
    {0x008, nullptr, nullptr}, // big timestamps
    {0x010, "needsrepair", "run xfs_repair on it in its machine"},
    {0x020, nullptr, nullptr}, // large extent counters
    {0x040, nullptr, nullptr}, // exchange of mappings; it concerns the log alone
    {0x080, nullptr, nullptr}, // parent pointers, as attributes
    {0x100, "metadir", "its metadata folders and realtime groups are not read here"},
    {0x200, "zoned", "its zoned realtime device is not read here"},
};

struct Fields {
    std::span<const std::byte> bytes;

    unsigned u8(std::size_t at) const { return std::to_integer<unsigned>(bytes[at]); }
    unsigned u16(std::size_t at) const { return load_be<std::uint16_t>(bytes.data() + at); }
    std::uint32_t u32(std::size_t at) const { return load_be<std::uint32_t>(bytes.data() + at); }
    std::uint64_t u64(std::size_t at) const { return load_be<std::uint64_t>(bytes.data() + at); }
    Uuid uuid(std::size_t at) const {
        Uuid found;
        std::memcpy(found.data(), bytes.data() + at, found.size());
        return found;
    }
};

[[noreturn]] void fail_superblock(const std::string& what) {
    fail(ErrorKind::corrupt, "the superblock of the xfs file system " + what);
}

void refuse_features(std::uint32_t incompatible) {
    for (const NamedFeature& feature : kIncompatible) {
        if ((incompatible & feature.bit) != 0 && feature.name != nullptr)
            fail(ErrorKind::unsupported,
                 fmt::format("the xfs file system has the feature '{}': {}", feature.name, feature.advice));
        incompatible &= ~feature.bit;
    }
    if (incompatible != 0)
        fail(ErrorKind::unsupported,
             fmt::format("the xfs file system has features that are not known here (incompat {:#x})", incompatible));
}

void read_version_4(const Fields& super, Geometry& geometry) {
    const unsigned version = super.u16(100);
    // Some kernels of 32 bits wrote the field behind its place.
    const std::uint32_t more = (version & kVersionMore) != 0 ? super.u32(200) | super.u32(204) : 0;
    if ((version & kVersionFolders2) == 0)
        fail(ErrorKind::unsupported, "the xfs file system has folders of version 1, which no Linux has");
    if ((version & kVersionShared) != 0)
        fail(ErrorKind::unsupported, "the xfs file system has the feature 'shared', which is not read here");
    if ((more & ~kMoreKnown) != 0)
        fail(ErrorKind::unsupported,
             fmt::format("the xfs file system has features that are not known here (features2 {:#x})", more));
    geometry.version = Version::v4;
    geometry.log_version = (version & kVersionLogV2) != 0 ? LogVersion::v2 : LogVersion::v1;
    geometry.counters = (more & kMoreLazyCounters) != 0 ? Counters::lazy : Counters::exact;
    geometry.file_types = (more & kMoreFileTypes) != 0 ? FileTypes::in_entries : FileTypes::none;
}

void check_superblock_sum(const Fields& super) {
    const std::uint32_t stored = load_le<std::uint32_t>(super.bytes.data() + kSuperblockChecksumAt);
    std::vector<std::byte> copy(super.bytes.begin(), super.bytes.end());
    std::fill_n(copy.begin() + kSuperblockChecksumAt, 4, std::byte{0});
    if (crc32c(copy) != stored)
        fail_superblock("has a wrong checksum");
}

void read_version_5(const Fields& super, Geometry& geometry) {
    const std::uint32_t incompatible = super.u32(216);
    refuse_features(incompatible);
    geometry.version = Version::v5;
    geometry.log_features = super.u32(220);
    geometry.is_extended = (super.u32(212) & ~kReadOnlyKnown) != 0;
    geometry.file_types = (incompatible & kIncompatFileTypes) != 0 ? FileTypes::in_entries : FileTypes::none;
    if ((incompatible & kIncompatMetaUuid) != 0)
        geometry.metadata_uuid = super.uuid(248);
}

bool is_power(std::uint64_t value, unsigned bits) {
    return bits < 32 && value == std::uint64_t{1} << bits;
}

void read_sizes(const Fields& super, Geometry& geometry) {
    geometry.block_size = super.u32(4);
    geometry.sector_size = super.u16(102);
    geometry.inode_size = super.u16(104);
    geometry.inode_in_block_bits = super.u8(123);
    if (!is_power(geometry.block_size, super.u8(120)) || geometry.block_size < 512 ||
        geometry.block_size > kMaxBlockSize)
        fail_superblock("has an impossible block size");
    if (!is_power(geometry.sector_size, super.u8(121)) || geometry.sector_size < 512 ||
        geometry.sector_size > geometry.block_size)
        fail_superblock("has an impossible sector size");
    if (!is_power(geometry.inode_size, super.u8(122)) || geometry.inode_size < 256 || geometry.inode_size > 2048 ||
        geometry.inode_size > geometry.block_size ||
        !is_power(geometry.block_size / geometry.inode_size, geometry.inode_in_block_bits))
        fail_superblock("has an impossible inode size");
    const unsigned folder_bits = super.u8(192);
    if (folder_bits > 7 || geometry.block_size << folder_bits > kMaxBlockSize)
        fail_superblock("has an impossible size of folder blocks");
    geometry.folder_block_size = geometry.block_size << folder_bits;
}

void read_groups(const Fields& super, const BlockDevice& device, Geometry& geometry) {
    geometry.blocks = super.u64(8);
    geometry.group_blocks = super.u32(84);
    geometry.groups = super.u32(88);
    geometry.group_block_bits = super.u8(124);
    if (geometry.group_blocks < kMinGroupBlocks || geometry.groups == 0 ||
        geometry.group_block_bits != std::bit_width(geometry.group_blocks - 1))
        fail_superblock("has impossible allocation groups");
    if (geometry.groups > kMaxGroups)
        fail(ErrorKind::limit, fmt::format("the xfs file system has {} allocation groups", geometry.groups));
    const std::uint64_t before_last = (geometry.groups - 1) * geometry.group_blocks;
    if (geometry.blocks < before_last + kMinGroupBlocks || geometry.blocks > before_last + geometry.group_blocks)
        fail_superblock("counts other blocks than its allocation groups have");
    if (checked_multiply(geometry.blocks, geometry.block_size, "the size of the xfs file system") > device.size())
        fail(ErrorKind::corrupt, "the xfs file system is larger than its volume");
}

void read_log_place(const Fields& super, Geometry& geometry) {
    geometry.log_start = super.u64(48);
    geometry.log_blocks = super.u32(96);
    if (geometry.log_start == 0)
        fail(ErrorKind::unsupported, "the log of the xfs file system lies on another disk (logdev): whether all of its "
                                     "changes are on this one cannot be told");
    if (geometry.log_blocks == 0 || geometry.log_blocks * geometry.block_size > kMaxLogBytes)
        fail_superblock("has a log of an impossible size");
    geometry.offset_of(geometry.log_start, geometry.log_blocks);
}

} // namespace

std::uint64_t Geometry::blocks_of_group(std::uint64_t group) const {
    return group + 1 == groups ? blocks - group * group_blocks : group_blocks;
}

std::uint64_t Geometry::offset_of(std::uint64_t block, std::uint64_t count) const {
    const std::uint64_t group = block >> group_block_bits;
    const std::uint64_t within = block & ((std::uint64_t{1} << group_block_bits) - 1);
    if (group >= groups || within >= blocks_of_group(group) || count > blocks_of_group(group) - within)
        fail(ErrorKind::corrupt, "the xfs file system names blocks that it does not have");
    return (group * group_blocks + within) * block_size;
}

std::uint64_t Geometry::offset_of_inode(std::uint64_t inode) const {
    const std::uint64_t within = inode & ((std::uint64_t{1} << inode_in_block_bits) - 1);
    return offset_of(inode >> inode_in_block_bits, 1) + within * inode_size;
}

Geometry read_geometry(const BlockDevice& device, SuperblockSum sum) {
    if (device.size() < kMinSuperblock)
        fail(ErrorKind::corrupt, "the volume is too small for an xfs file system");
    std::vector<std::byte> bytes(kMinSuperblock);
    device.read_at(0, bytes);
    if (load_be<std::uint32_t>(bytes.data()) != kSuperblockMagic)
        fail(ErrorKind::corrupt, "there is no xfs superblock");
    Geometry geometry;
    read_sizes(Fields{bytes}, geometry);
    if (geometry.sector_size > device.size())
        fail(ErrorKind::corrupt, "the volume is too small for an xfs file system");
    bytes.resize(static_cast<std::size_t>(geometry.sector_size));
    device.read_at(0, bytes);
    const Fields super{bytes};
    geometry.uuid = geometry.metadata_uuid = super.uuid(32);
    const unsigned version = super.u16(100) & 15;
    if (version == 5 && sum == SuperblockSum::checked)
        check_superblock_sum(super);
    if (version == 5)
        read_version_5(super, geometry);
    else if (version == 4)
        read_version_4(super, geometry);
    else
        fail(ErrorKind::unsupported, fmt::format("the xfs file system has version {}, and 4 and 5 are read", version));
    if ((super.u16(100) & kVersionFoldedNames) != 0)
        geometry.name_case = NameCase::ascii_folded;
    if (super.u8(126) != 0)
        fail_superblock("says that its making was not finished");
    read_groups(super, device, geometry);
    read_log_place(super, geometry);
    geometry.root_inode = super.u64(56);
    const char* label = reinterpret_cast<const char*>(bytes.data() + 108);
    geometry.label.assign(label, strnlen(label, 12));
    geometry.inode_percent = super.u8(127);
    geometry.inodes = super.u64(128);
    geometry.free_inodes = super.u64(136);
    geometry.free_blocks = super.u64(144);
    return geometry;
}

} // namespace vm2oci::xfs
