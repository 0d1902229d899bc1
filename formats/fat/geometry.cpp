#include "formats/fat/geometry.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace vm2oci::fat {
namespace {

constexpr std::uint32_t kMaxClustersFat12 = 4085; // exclusive; the only rule for telling the widths apart
constexpr std::uint32_t kMaxClustersFat16 = 65525;
constexpr std::uint32_t kMaxClustersFat32 = 0x0ffffff5;

[[noreturn]] void fail_corrupt() {
    fail(ErrorKind::corrupt, "the FAT file system is damaged");
}

std::uint32_t read_link(const BlockDevice& device, const Geometry& geometry, std::uint32_t cluster) {
    std::array<std::byte, 4> bytes{};
    const auto read = [&](std::uint64_t at, std::size_t length) {
        device.read_at(geometry.table_at + at, std::span(bytes).first(length));
    };
    switch (geometry.width) {
    case Width::fat12: {
        read(cluster + cluster / 2, 2);
        const std::uint32_t both = load_le<std::uint16_t>(bytes.data());
        return cluster % 2 == 0 ? both & 0xfff : both >> 4;
    }
    case Width::fat16:
        read(std::uint64_t{cluster} * 2, 2);
        return load_le<std::uint16_t>(bytes.data());
    case Width::fat32:
        read(std::uint64_t{cluster} * 4, 4);
        return load_le<std::uint32_t>(bytes.data()) & 0x0fffffff;
    }
    fail_corrupt();
}

bool is_end(Width width, std::uint32_t link) {
    switch (width) {
    case Width::fat12:
        return link >= 0xff8;
    case Width::fat16:
        return link >= 0xfff8;
    case Width::fat32:
        return link >= 0x0ffffff8;
    }
    return true;
}

} // namespace

Geometry read_geometry(const BlockDevice& device) {
    std::array<std::byte, 512> boot;
    if (device.size() < boot.size())
        fail_corrupt();
    device.read_at(0, boot);
    const std::uint64_t sector_size = load_le<std::uint16_t>(boot.data() + 11);
    const std::uint64_t cluster_sectors = std::to_integer<std::uint64_t>(boot[13]);
    const std::uint64_t reserved = load_le<std::uint16_t>(boot.data() + 14);
    const std::uint64_t tables = std::to_integer<std::uint64_t>(boot[16]);
    const std::uint64_t root_entries = load_le<std::uint16_t>(boot.data() + 17);
    std::uint64_t sectors = load_le<std::uint16_t>(boot.data() + 19);
    if (sectors == 0)
        sectors = load_le<std::uint32_t>(boot.data() + 32);
    std::uint64_t table_sectors = load_le<std::uint16_t>(boot.data() + 22);
    if (table_sectors == 0)
        table_sectors = load_le<std::uint32_t>(boot.data() + 36);
    if (sector_size < 512 || sector_size > 4096 || !std::has_single_bit(sector_size) ||
        !std::has_single_bit(cluster_sectors) || reserved == 0 || tables == 0 || table_sectors == 0)
        fail_corrupt();
    if (sectors * sector_size > device.size())
        fail(ErrorKind::corrupt, "the FAT file system is larger than the space it lies in");
    const std::uint64_t root_sectors = divide_up(root_entries * 32, sector_size);
    const std::uint64_t before_data = reserved + tables * table_sectors + root_sectors;
    if (before_data >= sectors)
        fail_corrupt();
    const std::uint64_t clusters = (sectors - before_data) / cluster_sectors;
    if (clusters == 0 || clusters >= kMaxClustersFat32)
        fail_corrupt();

    Geometry geometry;
    geometry.cluster_count = static_cast<std::uint32_t>(clusters);
    geometry.width = clusters < kMaxClustersFat12   ? Width::fat12
                     : clusters < kMaxClustersFat16 ? Width::fat16
                                                    : Width::fat32;
    // FAT32 has no fixed root; a small file system with FAT32's fields is one all the same (mkfs.fat -F 32).
    if (root_entries == 0)
        geometry.width = Width::fat32;
    geometry.cluster_size = cluster_sectors * sector_size;
    geometry.table_at = reserved * sector_size;
    geometry.table_size = table_sectors * sector_size;
    geometry.root_at = (reserved + tables * table_sectors) * sector_size;
    geometry.root_size = root_entries * 32;
    geometry.data_at = before_data * sector_size;
    if (geometry.width == Width::fat32)
        geometry.root_cluster = load_le<std::uint32_t>(boot.data() + 44);
    const std::uint64_t needed = geometry.width == Width::fat12   ? divide_up((clusters + kFirstCluster) * 3, 2)
                                 : geometry.width == Width::fat16 ? (clusters + kFirstCluster) * 2
                                                                  : (clusters + kFirstCluster) * 4;
    if (needed > geometry.table_size)
        fail_corrupt();
    return geometry;
}

std::vector<std::uint32_t> read_chain(const BlockDevice& device, const Geometry& geometry, std::uint32_t first,
                                      std::uint64_t limit) {
    std::vector<std::uint32_t> chain;
    std::uint32_t cluster = first;
    while (!is_end(geometry.width, cluster)) {
        if (cluster < kFirstCluster || cluster - kFirstCluster >= geometry.cluster_count)
            fail_corrupt();
        if (chain.size() >= limit || chain.size() > geometry.cluster_count)
            fail(ErrorKind::corrupt, "a chain of the FAT file system is longer than its file, or has no end");
        chain.push_back(cluster);
        cluster = read_link(device, geometry, cluster);
    }
    return chain;
}

std::uint64_t count_free_clusters(const BlockDevice& device, const Geometry& geometry) {
    constexpr std::uint64_t kStep = 96 * KiB; // whole entries of every width
    std::uint64_t free = 0;
    const std::uint64_t end = std::uint64_t{geometry.cluster_count} + kFirstCluster;
    if (geometry.width == Width::fat12) {
        for (std::uint32_t cluster = kFirstCluster; cluster < end; ++cluster)
            free += read_link(device, geometry, cluster) == 0 ? 1u : 0u;
        return free;
    }
    const std::uint64_t entry_size = geometry.width == Width::fat16 ? 2 : 4;
    std::vector<std::byte> buffer;
    for (std::uint64_t at = kFirstCluster * entry_size; at < end * entry_size;) {
        buffer.resize(static_cast<std::size_t>(std::min(kStep, end * entry_size - at)));
        device.read_at(geometry.table_at + at, buffer);
        for (std::size_t i = 0; i < buffer.size(); i += entry_size) {
            const std::uint32_t link = entry_size == 2 ? load_le<std::uint16_t>(buffer.data() + i)
                                                       : load_le<std::uint32_t>(buffer.data() + i) & 0x0fffffff;
            free += link == 0 ? 1u : 0u;
        }
        at += buffer.size();
    }
    return free;
}

} // namespace vm2oci::fat
