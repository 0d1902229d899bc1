// The qcow2 format as numbers: byte offsets of header fields, flag bits and entry layouts, for the reader and the
// writer. Everything on disk is big-endian. Source: QEMU's docs/interop/qcow2.txt (version 2 and 3).
#pragma once

#include "formats/base/size.hpp"

#include <cstddef>
#include <cstdint>

namespace vm2oci::qcow2 {

inline constexpr std::uint32_t kMagic = 0x514649fb; // "QFI\xfb"
inline constexpr std::uint32_t kVersion2 = 2;
inline constexpr std::uint32_t kVersion3 = 3;

// Byte offsets of the header's fields (width in bits behind).
namespace header_offset {
inline constexpr std::size_t magic = 0;                    // 32
inline constexpr std::size_t version = 4;                  // 32
inline constexpr std::size_t backing_file_offset = 8;      // 64
inline constexpr std::size_t backing_file_size = 16;       // 32
inline constexpr std::size_t cluster_bits = 20;            // 32
inline constexpr std::size_t size = 24;                    // 64
inline constexpr std::size_t crypt_method = 32;            // 32
inline constexpr std::size_t l1_size = 36;                 // 32, entries
inline constexpr std::size_t l1_table_offset = 40;         // 64
inline constexpr std::size_t refcount_table_offset = 48;   // 64
inline constexpr std::size_t refcount_table_clusters = 56; // 32
inline constexpr std::size_t snapshot_count = 60;          // 32
inline constexpr std::size_t snapshots_offset = 64;        // 64
// Version 3 only:
inline constexpr std::size_t incompatible_features = 72; // 64
inline constexpr std::size_t compatible_features = 80;   // 64
inline constexpr std::size_t autoclear_features = 88;    // 64
inline constexpr std::size_t refcount_order = 96;        // 32
inline constexpr std::size_t header_length = 100;        // 32
// Only if header_length covers it:
inline constexpr std::size_t compression_type = 104; // 8
} // namespace header_offset

inline constexpr std::size_t kHeaderLengthVersion2 = 72;
inline constexpr std::size_t kHeaderLengthVersion3 = 104;        // the shortest that version 3 allows
inline constexpr std::size_t kHeaderLengthWithCompression = 112; // with the compression type and its padding

inline constexpr std::uint32_t kMinClusterBits = 9;  // 512 bytes
inline constexpr std::uint32_t kMaxClusterBits = 21; // 2 MiB
inline constexpr std::uint32_t kMinClusterBitsExtendedL2 = 14;
inline constexpr std::uint32_t kMaxRefcountOrder = 6;
inline constexpr std::uint32_t kRefcountOrderVersion2 = 4; // 16 bits

// What QEMU reads at most; a legal image stays below them.
inline constexpr std::uint64_t kMaxL1Bytes = 32 * MiB;            // 4 Mi entries
inline constexpr std::uint64_t kMaxRefcountTableBytes = 8 * MiB;  //
inline constexpr std::uint32_t kMaxSnapshots = 65536;             //
inline constexpr std::uint64_t kMaxSnapshotTableBytes = 64 * MiB; //
inline constexpr std::uint32_t kMaxBackingFileNameBytes = 1023;

namespace incompatible {
inline constexpr std::uint64_t dirty = 1U << 0;
inline constexpr std::uint64_t corrupt = 1U << 1;
inline constexpr std::uint64_t external_data_file = 1U << 2;
inline constexpr std::uint64_t compression_type = 1U << 3;
inline constexpr std::uint64_t extended_l2 = 1U << 4;
inline constexpr std::uint64_t known = dirty | corrupt | external_data_file | compression_type | extended_l2;
} // namespace incompatible

namespace compatible {
inline constexpr std::uint64_t lazy_refcounts = 1U << 0;
}

namespace autoclear {
inline constexpr std::uint64_t bitmaps = 1U << 0;
inline constexpr std::uint64_t raw_external_data = 1U << 1;
} // namespace autoclear

// Header extensions: 32-bit type, 32-bit length, data padded to 8 bytes.
namespace extension {
inline constexpr std::uint32_t end = 0;
inline constexpr std::uint32_t backing_format = 0xe2792aca;
inline constexpr std::uint32_t feature_names = 0x6803f857;
inline constexpr std::uint32_t bitmaps = 0x23852875;
inline constexpr std::uint32_t encryption = 0x0537be77;
inline constexpr std::uint32_t external_data_file = 0x44415441; // "DATA"
inline constexpr std::size_t header_bytes = 8;
inline constexpr std::size_t alignment = 8;
// One entry of the feature name table: 1 byte kind, 1 byte bit, 46 bytes name.
inline constexpr std::size_t feature_name_entry_bytes = 48;
} // namespace extension

// An entry of the snapshot table without its extra data, id and name.
inline constexpr std::size_t kSnapshotEntryBytes = 40;

enum class CryptMethod : std::uint32_t { none = 0, aes = 1, luks = 2 };
enum class CompressionType : std::uint8_t { zlib = 0, zstd = 1 };

// L1 and standard L2 entries, 64 bits each.
inline constexpr std::uint64_t kEntryOffsetMask = 0x00fffffffffffe00; // bits 9 to 55
inline constexpr std::uint64_t kEntryCopied = 1ULL << 63;             // refcount is exactly one
inline constexpr std::uint64_t kEntryCompressed = 1ULL << 62;         // L2 only
inline constexpr std::uint64_t kEntryZero = 1U << 0;                  // L2 of version 3 without extended L2 only
inline constexpr std::uint64_t kRefcountTableOffsetMask = 0xfffffffffffffe00;

inline constexpr std::size_t kTableEntryBytes = 8;
inline constexpr std::size_t kExtendedL2EntryBytes = 16; // the entry, then 32 "allocated" bits and 32 "zero" bits
inline constexpr unsigned kSubclustersPerCluster = 32;

// A compressed L2 entry: bits 0 to x-1 the host offset in bytes, x to 61 the number of further 512-byte sectors that
// the data touches after the sector it begins in; x = 62 - (cluster_bits - 8).
inline constexpr std::uint64_t kCompressedSectorBytes = 512;
constexpr unsigned compressed_offset_bits(unsigned cluster_bits) {
    return 62 - (cluster_bits - 8);
}

} // namespace vm2oci::qcow2
