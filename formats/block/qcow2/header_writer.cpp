#include "formats/block/qcow2/header_writer.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/size.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace vm2oci::qcow2 {
namespace {

constexpr std::uint64_t kSectorBytes = 512;
constexpr std::uint64_t kMaxVirtualSize = kMaxL1Bytes / kTableEntryBytes * kEntriesPerTable * kClusterSize; // 2 PiB

} // namespace

std::uint64_t written_virtual_size(std::uint64_t disk_size, std::uint64_t virtual_size) {
    check_not_cut(disk_size, virtual_size);
    if (virtual_size > kMaxVirtualSize)
        fail(ErrorKind::limit, "a qcow2 image with clusters of 64 KiB holds at most " + format_size(kMaxVirtualSize));
    return align_up(virtual_size, kSectorBytes);
}

std::uint64_t l1_entries(std::uint64_t virtual_size) {
    return std::max<std::uint64_t>(1, divide_up(virtual_size, kEntriesPerTable * kClusterSize));
}

RefcountClusters refcount_clusters(std::uint64_t other_clusters) {
    RefcountClusters result;
    for (;;) {
        const std::uint64_t blocks = divide_up(other_clusters + result.blocks + result.table, kRefcountsPerBlock);
        const std::uint64_t table = divide_up(blocks, kEntriesPerTable);
        if (blocks == result.blocks && table == result.table)
            return result;
        result = {blocks, table};
    }
}

void write_header(const WrittenHeader& header, std::span<std::byte> cluster) {
    std::fill(cluster.begin(), cluster.end(), std::byte{0});
    const auto put32 = [&](std::size_t at, std::uint32_t value) { store_be(&cluster[at], value); };
    const auto put64 = [&](std::size_t at, std::uint64_t value) { store_be(&cluster[at], value); };
    const bool zstd = header.compression == CompressionType::zstd;
    put32(header_offset::magic, kMagic);
    put32(header_offset::version, kVersion3);
    put32(header_offset::cluster_bits, kWrittenClusterBits);
    put64(header_offset::size, header.virtual_size);
    put32(header_offset::l1_size, header.l1_entries);
    put64(header_offset::l1_table_offset, header.l1_offset);
    put64(header_offset::refcount_table_offset, header.refcount_table_offset);
    put32(header_offset::refcount_table_clusters, header.refcount_table_clusters);
    put64(header_offset::incompatible_features, zstd ? incompatible::compression_type : 0);
    put32(header_offset::refcount_order, kWrittenRefcountOrder);
    put32(header_offset::header_length, kHeaderLengthWithCompression);
    cluster[header_offset::compression_type] = static_cast<std::byte>(header.compression);
    if (!zstd)
        return; // what follows are zeros: the end of the header extensions

    constexpr std::size_t kAt = kHeaderLengthWithCompression;
    constexpr std::byte kKindIncompatible{0};
    constexpr std::byte kBit{3};
    constexpr std::string_view kName = "compression type";
    put32(kAt, extension::feature_names);
    put32(kAt + 4, extension::feature_name_entry_bytes);
    cluster[kAt + extension::header_bytes] = kKindIncompatible;
    cluster[kAt + extension::header_bytes + 1] = kBit;
    std::memcpy(&cluster[kAt + extension::header_bytes + 2], kName.data(), kName.size());
}

} // namespace vm2oci::qcow2
