#include "formats/btrfs/geometry.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

namespace vm2oci::btrfs {
namespace {

constexpr std::size_t kMaxFirstChunks = 2048;
constexpr unsigned kMaxRootLevel = 7;

constexpr std::uint64_t kMetadataUuidBit = 1ull << 10U;
constexpr std::uint64_t kBlockGroupTreeBit = 1ull << 3U;
constexpr std::uint64_t kKnownReadOnly = 0xf; // free space tree, that it is valid, verity, block group tree

struct Bit {
    unsigned number;
    const char* name;
};
constexpr Bit kRefusedFeatures[] = {{12, "zones (zoned devices)"},
                                    {13, "version 2 of the extent tree"},
                                    {14, "a tree of RAID stripes"},
                                    {17, "a tree of remapped chunks"}};
// All others up to 17 are read, or are about chunks, which are looked at one by one.
constexpr std::uint64_t kKnownFeatures = ((1ull << 12U) - 1) | 1ull << 16U;

constexpr Bit kRefusedFlags[] = {{32, "a seed of other file systems"},
                                 {33, "a dump of metadata (btrfs-image) without its data"},
                                 {34, "a dump of metadata (btrfs-image) without its data"},
                                 {35, "in the middle of a change of its UUID"},
                                 {36, "in the middle of a change of its UUID"},
                                 {38, "in the middle of a change to a block group tree"},
                                 {39, "in the middle of a change of its checksums"},
                                 {40, "in the middle of a change of its checksums"}};
constexpr std::uint64_t kKnownFlags = 0x7; // written, relocated, an error was seen

void check_features(std::uint64_t features, std::uint64_t flags) {
    for (const Bit& bit : kRefusedFeatures)
        if ((features >> bit.number & 1U) != 0)
            fail(ErrorKind::unsupported, fmt::format("the btrfs file system has {}, which is not read here", bit.name));
    if ((features & ~kKnownFeatures) != 0)
        fail(ErrorKind::unsupported, fmt::format("the btrfs file system has features that are not known here ({:#x})",
                                                 features & ~kKnownFeatures));
    for (const Bit& bit : kRefusedFlags)
        if ((flags >> bit.number & 1U) != 0)
            fail(ErrorKind::unsupported, fmt::format("the btrfs file system is {}, which is not read here", bit.name));
    if ((flags & ~kKnownFlags) != 0)
        fail(ErrorKind::unsupported,
             fmt::format("the btrfs file system has flags that are not known here ({:#x})", flags & ~kKnownFlags));
}

Uuid uuid_at(const std::byte* at) {
    Uuid uuid;
    std::memcpy(uuid.data(), at, uuid.size());
    return uuid;
}

void check_sizes(const Geometry& geometry, std::uint32_t sector_size, std::uint64_t device_size) {
    if (std::has_single_bit(sector_size) && sector_size != kSectorSize && sector_size <= 64 * 1024)
        fail(ErrorKind::unsupported,
             fmt::format("the btrfs file system has sectors of {} bytes; 4096 are read here", sector_size));
    if (sector_size != kSectorSize || !std::has_single_bit(geometry.node_size) || geometry.node_size < kSectorSize ||
        geometry.node_size > 64 * 1024)
        fail(ErrorKind::corrupt, "the btrfs file system has impossible sizes of sectors or nodes");
    if (geometry.root_level > kMaxRootLevel || geometry.chunk_root_level > kMaxRootLevel ||
        geometry.log_root_level > kMaxRootLevel)
        fail(ErrorKind::corrupt, "the btrfs file system has a tree of impossible height");
    if (geometry.device_bytes > device_size)
        fail(ErrorKind::corrupt, fmt::format("the btrfs file system is {} bytes long, and its device {}",
                                             geometry.device_bytes, device_size));
    for (const std::uint64_t root : {geometry.root, geometry.chunk_root, geometry.log_root})
        if (root % kSectorSize != 0)
            fail(ErrorKind::corrupt, "a tree of the btrfs file system begins within a sector");
}

} // namespace

Geometry read_geometry(const BlockDevice& device) {
    const std::uint64_t place = kSuperblockPlaces[0];
    if (device.size() < place + kSuperblockSize)
        fail(ErrorKind::corrupt, "the device is too small for a btrfs file system");
    std::vector<std::byte> raw(kSuperblockSize);
    device.read_at(place, raw);
    const auto u16 = [&](std::size_t at) { return load_le<std::uint16_t>(raw.data() + at); };
    const auto u32 = [&](std::size_t at) { return load_le<std::uint32_t>(raw.data() + at); };
    const auto u64 = [&](std::size_t at) { return load_le<std::uint64_t>(raw.data() + at); };
    if (std::memcmp(raw.data() + 64, "_BHRfS_M", 8) != 0)
        fail(ErrorKind::corrupt, "there is no btrfs file system");
    if (u16(196) > 3)
        fail(ErrorKind::unsupported,
             fmt::format("the btrfs file system has checksums of a kind that is not known here ({})", u16(196)));
    Geometry geometry;
    geometry.checksum = static_cast<ChecksumType>(u16(196));
    if (!has_checksum(geometry.checksum, std::span(raw).subspan(32), raw))
        fail(ErrorKind::corrupt, "the checksum of the superblock of the btrfs file system is wrong");
    if (u64(48) != place)
        fail(ErrorKind::corrupt, "the superblock of the btrfs file system lies in another's place");
    const std::uint64_t features = u64(188);
    check_features(features, u64(56));
    geometry.uuid = uuid_at(raw.data() + 32);
    geometry.metadata_uuid = (features & kMetadataUuidBit) != 0 ? uuid_at(raw.data() + 571) : geometry.uuid;
    geometry.generation = u64(72);
    geometry.root = u64(80);
    geometry.chunk_root = u64(88);
    geometry.log_root = u64(96);
    geometry.total_bytes = u64(112);
    geometry.bytes_used = u64(120);
    geometry.root_folder = u64(128);
    geometry.node_size = u32(148);
    geometry.chunk_root_generation = u64(164);
    geometry.root_level = std::to_integer<unsigned>(raw[198]);
    geometry.chunk_root_level = std::to_integer<unsigned>(raw[199]);
    geometry.log_root_level = std::to_integer<unsigned>(raw[200]);
    geometry.device = u64(201);
    geometry.device_bytes = u64(209);
    geometry.block_groups =
        (u64(180) & kBlockGroupTreeBit) != 0 ? BlockGroups::in_own_tree : BlockGroups::in_extent_tree;
    geometry.is_extended = (u64(180) & ~kKnownReadOnly) != 0;
    if (u64(136) != 1)
        fail(ErrorKind::unsupported,
             fmt::format("the btrfs file system lies on {} devices; one is read here", u64(136)));
    check_sizes(geometry, u32(144), device.size());
    const std::uint32_t first_chunks = u32(160);
    if (first_chunks > kMaxFirstChunks)
        fail(ErrorKind::corrupt, "the superblock of the btrfs file system has more chunks than fit into it");
    geometry.first_chunks.assign(raw.begin() + 811, raw.begin() + 811 + first_chunks);
    return geometry;
}

} // namespace vm2oci::btrfs
