// The header of a qcow2 and its extensions, as values.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/block/disk_policy.hpp"
#include "formats/block/qcow2/format.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci::qcow2 {

enum class FeatureKind : std::uint8_t { incompatible = 0, compatible = 1, autoclear = 2 };

struct FeatureName {
    FeatureKind kind;
    unsigned bit;
    std::string name; // untrusted
};

struct BitmapsExtension {
    std::uint32_t count;
    std::uint32_t reserved;
    std::uint64_t directory_size;
    std::uint64_t directory_offset;
};

struct Header {
    std::uint32_t version = 0;
    std::uint32_t cluster_bits = 0;
    std::uint64_t size = 0; // as stored: see virtual_size()
    std::uint32_t crypt_method = 0;
    std::uint32_t l1_size = 0;
    std::uint64_t l1_table_offset = 0;
    std::uint64_t refcount_table_offset = 0;
    std::uint32_t refcount_table_clusters = 0;
    std::uint32_t snapshot_count = 0;
    std::uint64_t snapshots_offset = 0;
    std::uint64_t backing_file_offset = 0;
    std::uint32_t backing_file_size = 0;
    std::uint64_t incompatible_features = 0;
    std::uint64_t compatible_features = 0;
    std::uint64_t autoclear_features = 0;
    std::uint32_t refcount_order = kRefcountOrderVersion2;
    std::uint32_t header_length = kHeaderLengthVersion2;
    std::uint8_t compression_type = 0;

    // Filled by read_extensions(); raw bytes from the image.
    std::optional<std::string> backing_file_name;
    std::optional<std::string> data_file_name;
    std::vector<FeatureName> feature_names;
    std::optional<BitmapsExtension> bitmaps;
    bool has_encryption_extension = false;

    std::uint64_t cluster_size() const { return 1ULL << cluster_bits; }
    // What the guest sees: whole sectors, the rest of the last one cut off, as QEMU does it.
    std::uint64_t virtual_size() const { return size - size % 512; }
    bool has_backing_file() const { return backing_file_offset != 0; }
    bool has_data_file() const { return (incompatible_features & incompatible::external_data_file) != 0; }
    bool has_extended_l2() const { return (incompatible_features & incompatible::extended_l2) != 0; }
    std::uint64_t l2_entry_bytes() const { return has_extended_l2() ? kExtendedL2EntryBytes : kTableEntryBytes; }
    std::uint64_t l2_entries() const { return cluster_size() / l2_entry_bytes(); }
    // Guest bytes that one L1 entry stands for.
    std::uint64_t l1_entry_reach() const { return l2_entries() << cluster_bits; }
    // L1 entries that the active layer needs; the rest holds states of virtual machines.
    std::uint64_t l1_entries_needed() const;
};

// Reads the fixed fields. Error{corrupt, unsupported} only where nothing that follows would make sense: no magic, too
// short, another version, an impossible cluster size or header length.
Header read_header(const BlockDevice& container);

// Reads the names and extensions in the header's cluster into `header`, as far as they are sound; Error{corrupt} at the
// first that is not.
void read_extensions(const BlockDevice& container, Header& header);

// The three steps below throw Error{unsupported, corrupt, limit}; together they are all that can be judged without the
// tables. First: features that change what the tables mean. If this throws, nothing behind the header can be read.
void check_features(const Header& header);
// What we do not convert, or not unless the user says so: encryption, the corrupt bit, the virtual size.
void check_policy(const Header& header, const DiskPolicy& policy);
// Sizes and places of the tables. If this throws, the tables cannot be read.
void check_layout(const Header& header, std::uint64_t container_size, Tolerance truncation);

// The features in the field's terms, for DiskInfo.
std::vector<std::string> describe_features(const Header& header);

} // namespace vm2oci::qcow2
