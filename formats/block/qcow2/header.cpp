#include "formats/block/qcow2/header.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vm2oci::qcow2 {
namespace {

// QEMU writes one name for each feature that it knows, about ten; 64 bits of three kinds is all there can be.
constexpr std::size_t kMaxFeatureNames = 192;
constexpr std::uint32_t kMaxBackingFormatBytes = 15; // QEMU's limit
constexpr std::uint32_t kBitmapsExtensionBytes = 24;
constexpr std::uint32_t kEncryptionExtensionBytes = 16;
constexpr std::uint32_t kMaxBitmaps = 65535;                 // QEMU's limit
constexpr std::uint64_t kMaxBitmapDirectoryBytes = 64 * MiB; // QEMU's limit: 1 KiB an entry
constexpr std::uint64_t kMaxTableEnd = 0x7fffffffffffffff;   // file offsets are signed
constexpr std::size_t kMaxReportedNameBytes = 4096;          // a path: PATH_MAX

std::uint32_t field32(std::span<const std::byte> bytes, std::size_t offset) {
    return load_be<std::uint32_t>(bytes.subspan(offset, 4).data());
}

std::uint64_t field64(std::span<const std::byte> bytes, std::size_t offset) {
    return load_be<std::uint64_t>(bytes.subspan(offset, 8).data());
}

std::string read_text(const BlockDevice& container, std::uint64_t offset, std::size_t length) {
    std::string text(length, '\0');
    container.read_at(offset, std::as_writable_bytes(std::span(text)));
    return text;
}

void read_feature_names(const BlockDevice& container, std::uint64_t offset, std::uint32_t length, Header& header) {
    const std::size_t count = std::min(length / extension::feature_name_entry_bytes, kMaxFeatureNames);
    const std::string table = read_text(container, offset, count * extension::feature_name_entry_bytes);
    for (std::size_t i = 0; i < count; ++i) {
        const std::string_view entry = std::string_view(table).substr(i * extension::feature_name_entry_bytes,
                                                                      extension::feature_name_entry_bytes);
        const std::string_view name = entry.substr(2);
        header.feature_names.push_back({static_cast<FeatureKind>(entry[0]), static_cast<unsigned char>(entry[1]),
                                        std::string(name.substr(0, name.find('\0')))});
    }
}

void read_extension(const BlockDevice& container, std::uint32_t type, std::uint64_t offset, std::uint32_t length,
                    Header& header) {
    switch (type) {
    case extension::backing_format:
        // The format comes from the user, never from here; only its shape is checked.
        if (length > kMaxBackingFormatBytes)
            fail(ErrorKind::corrupt, fmt::format("the name of the backing file's format is {} bytes long", length));
        break;
    case extension::feature_names:
        read_feature_names(container, offset, length, header);
        break;
    case extension::external_data_file:
        header.data_file_name = read_text(container, offset, std::min<std::size_t>(length, kMaxReportedNameBytes));
        break;
    case extension::encryption:
        if (length != kEncryptionExtensionBytes)
            fail(ErrorKind::corrupt, fmt::format("the encryption header extension is {} bytes long", length));
        header.has_encryption_extension = true;
        break;
    case extension::bitmaps: {
        if (length != kBitmapsExtensionBytes)
            fail(ErrorKind::corrupt, fmt::format("the bitmaps header extension is {} bytes long", length));
        std::array<std::byte, kBitmapsExtensionBytes> data;
        container.read_at(offset, data);
        header.bitmaps = BitmapsExtension{field32(data, 0), field32(data, 4), field64(data, 8), field64(data, 16)};
        break;
    }
    default: // unknown extensions may be ignored
        break;
    }
}

std::string unknown_feature_names(const Header& header) {
    constexpr int kShown = 8;
    std::string names;
    int count = 0;
    for (unsigned bit = 0; bit < 64; ++bit) {
        const std::uint64_t mask = 1ULL << bit;
        if ((header.incompatible_features & ~incompatible::known & mask) == 0 || ++count > kShown)
            continue;
        const auto named = std::ranges::find_if(header.feature_names, [&](const FeatureName& feature) {
            return feature.kind == FeatureKind::incompatible && feature.bit == bit;
        });
        names += names.empty() ? "" : ", ";
        names += fmt::format("bit {}", bit);
        if (named != header.feature_names.end() && !named->name.empty())
            names += " " + quote_untrusted(named->name, 46);
    }
    return count > kShown ? names + fmt::format(" and {} more", count - kShown) : names;
}

void check_encryption(const Header& header) {
    constexpr const char* kAdvice = "; decrypt it first with qemu-img convert";
    if (header.crypt_method == static_cast<std::uint32_t>(CryptMethod::aes))
        fail(ErrorKind::unsupported, std::string("the image is encrypted with AES") + kAdvice);
    if (header.crypt_method == static_cast<std::uint32_t>(CryptMethod::luks))
        fail(ErrorKind::unsupported, std::string("the image is encrypted with LUKS") + kAdvice);
    if (header.crypt_method != static_cast<std::uint32_t>(CryptMethod::none))
        fail(ErrorKind::unsupported,
             fmt::format("the image is encrypted by method {}, which is not known here", header.crypt_method));
    if (header.has_encryption_extension)
        fail(ErrorKind::corrupt, "the image has an encryption header and says that it is not encrypted");
}

void check_table(const Header& header, std::string_view what, std::uint64_t offset, std::uint64_t bytes,
                 std::uint64_t max_bytes) {
    if (bytes > max_bytes)
        fail(ErrorKind::limit, fmt::format("the {} has {} bytes; the format's limit is {}", what, bytes, max_bytes));
    if (offset % header.cluster_size() != 0)
        fail(ErrorKind::corrupt, fmt::format("the {} is at offset {:#x}, which is not on a cluster", what, offset));
    if (offset > kMaxTableEnd - bytes)
        fail(ErrorKind::corrupt, fmt::format("the {} is at the impossible offset {:#x}", what, offset));
    if (bytes != 0 && offset < header.cluster_size())
        fail(ErrorKind::corrupt, fmt::format("the {} lies over the header", what));
}

void require_in_file(std::string_view what, std::uint64_t end, std::uint64_t container_size, Tolerance truncation) {
    if (end > container_size && truncation == Tolerance::refuse)
        fail(ErrorKind::corrupt,
             fmt::format("the {} ends at byte {}, and the file has {}: it is truncated", what, end, container_size),
             HintKind::allow_truncated);
}

void check_bitmaps(const Header& header) {
    if (!header.bitmaps || (header.autoclear_features & autoclear::bitmaps) == 0)
        return;
    const BitmapsExtension& bitmaps = *header.bitmaps;
    if (bitmaps.reserved != 0 || bitmaps.count == 0 || bitmaps.count > kMaxBitmaps ||
        bitmaps.directory_size > kMaxBitmapDirectoryBytes || bitmaps.directory_offset % header.cluster_size() != 0)
        fail(ErrorKind::corrupt, "the bitmaps header extension is not sound");
}

} // namespace

std::uint64_t Header::l1_entries_needed() const {
    return divide_up(size, l1_entry_reach());
}

Header read_header(const BlockDevice& container) {
    std::array<std::byte, kHeaderLengthWithCompression> bytes{};
    const auto present = static_cast<std::size_t>(std::min<std::uint64_t>(container.size(), bytes.size()));
    container.read_at(0, std::span(bytes).first(present));

    if (present < 8 || field32(bytes, header_offset::magic) != kMagic)
        fail(ErrorKind::corrupt, "not a qcow2 image: it does not begin with its magic");
    Header header;
    header.version = field32(bytes, header_offset::version);
    if (header.version == 1)
        fail(ErrorKind::unsupported, "the image is of the old qcow format, version 1; convert it with qemu-img");
    if (header.version != kVersion2 && header.version != kVersion3)
        fail(ErrorKind::unsupported, fmt::format("qcow2 version {} is not known here", header.version));
    const std::size_t minimum = header.version == kVersion2 ? kHeaderLengthVersion2 : kHeaderLengthVersion3;
    if (present < minimum)
        fail(ErrorKind::corrupt, fmt::format("the file has {} bytes and ends inside the header", present));

    header.backing_file_offset = field64(bytes, header_offset::backing_file_offset);
    header.backing_file_size = field32(bytes, header_offset::backing_file_size);
    header.cluster_bits = field32(bytes, header_offset::cluster_bits);
    header.size = field64(bytes, header_offset::size);
    header.crypt_method = field32(bytes, header_offset::crypt_method);
    header.l1_size = field32(bytes, header_offset::l1_size);
    header.l1_table_offset = field64(bytes, header_offset::l1_table_offset);
    header.refcount_table_offset = field64(bytes, header_offset::refcount_table_offset);
    header.refcount_table_clusters = field32(bytes, header_offset::refcount_table_clusters);
    header.snapshot_count = field32(bytes, header_offset::snapshot_count);
    header.snapshots_offset = field64(bytes, header_offset::snapshots_offset);
    if (header.cluster_bits < kMinClusterBits || header.cluster_bits > kMaxClusterBits)
        fail(ErrorKind::corrupt, fmt::format("the cluster size is 2^{} bytes; the format allows 2^{} to 2^{}",
                                             header.cluster_bits, kMinClusterBits, kMaxClusterBits));
    if (header.version == kVersion3) {
        header.incompatible_features = field64(bytes, header_offset::incompatible_features);
        header.compatible_features = field64(bytes, header_offset::compatible_features);
        header.autoclear_features = field64(bytes, header_offset::autoclear_features);
        header.refcount_order = field32(bytes, header_offset::refcount_order);
        header.header_length = field32(bytes, header_offset::header_length);
        if (header.header_length < kHeaderLengthVersion3 || header.header_length > header.cluster_size())
            fail(ErrorKind::corrupt, fmt::format("the header claims a length of {} bytes", header.header_length));
        if (header.header_length > header_offset::compression_type)
            header.compression_type = std::to_integer<std::uint8_t>(bytes[header_offset::compression_type]);
    }
    return header;
}

void read_extensions(const BlockDevice& container, Header& header) {
    if (header.has_backing_file()) {
        const std::uint64_t offset = header.backing_file_offset;
        if (offset < header.header_length || offset >= header.cluster_size())
            fail(ErrorKind::corrupt, "the backing file's name does not lie behind the header in its cluster");
        if (header.backing_file_size == 0 ||
            header.backing_file_size >
                std::min<std::uint64_t>(kMaxBackingFileNameBytes, header.cluster_size() - offset))
            fail(ErrorKind::corrupt,
                 fmt::format("the backing file's name has a length of {} bytes", header.backing_file_size));
        if (offset + header.backing_file_size > container.size())
            fail(ErrorKind::corrupt, "the file ends inside the backing file's name");
        header.backing_file_name = read_text(container, offset, header.backing_file_size);
    }

    // The extensions end where the backing file's name begins, at the latest. What a truncated file lacks is no end
    // mark.
    const std::uint64_t end = header.has_backing_file() ? header.backing_file_offset : header.cluster_size();
    std::uint64_t offset = header.header_length;
    while (offset < end && offset + extension::header_bytes <= container.size()) {
        if (end - offset < extension::header_bytes)
            fail(ErrorKind::corrupt, "a header extension leaves the header");
        std::array<std::byte, extension::header_bytes> head;
        container.read_at(offset, head);
        const std::uint32_t type = field32(head, 0);
        const std::uint32_t length = field32(head, 4);
        offset += extension::header_bytes;
        if (length > end - offset || length > container.size() - offset)
            fail(ErrorKind::corrupt, fmt::format("a header extension of {} bytes leaves the header", length));
        if (type == extension::end)
            return;
        read_extension(container, type, offset, length, header);
        offset += align_up(length, extension::alignment);
    }
}

void check_features(const Header& header) {
    if ((header.incompatible_features & ~incompatible::known) != 0)
        fail(ErrorKind::unsupported, "the image needs features that are not known here: " +
                                         unknown_feature_names(header) + "; convert it with the tool that made it");
    const bool compression_bit = (header.incompatible_features & incompatible::compression_type) != 0;
    if (compression_bit != (header.compression_type != static_cast<std::uint8_t>(CompressionType::zlib)))
        fail(ErrorKind::corrupt, fmt::format("the compression type is {}, and the feature bit for it is {}",
                                             header.compression_type, compression_bit ? "set" : "not set"));
    if (header.compression_type > static_cast<std::uint8_t>(CompressionType::zstd))
        fail(ErrorKind::unsupported, fmt::format("compression type {} is not known here", header.compression_type));
    if (header.has_extended_l2() && header.cluster_bits < kMinClusterBitsExtendedL2)
        fail(ErrorKind::corrupt, "extended L2 entries need clusters of at least 16 KiB");
    if ((header.autoclear_features & autoclear::raw_external_data) != 0 && !header.has_data_file())
        fail(ErrorKind::corrupt, "the image promises a raw external data file and has no external data file");
    if (header.refcount_order > kMaxRefcountOrder)
        fail(ErrorKind::corrupt,
             fmt::format("refcount order {} is above {}", header.refcount_order, kMaxRefcountOrder));
}

void check_policy(const Header& header, const DiskPolicy& policy) {
    check_encryption(header);
    if ((header.incompatible_features & incompatible::corrupt) != 0 && policy.corrupt_bit == Tolerance::refuse)
        fail(ErrorKind::corrupt, "the image is marked corrupt", HintKind::allow_corrupt);
    check_virtual_size(header.virtual_size(), policy);
}

void check_layout(const Header& header, std::uint64_t container_size, Tolerance truncation) {
    check_bitmaps(header);
    const std::uint64_t l1_bytes = std::uint64_t{header.l1_size} * kTableEntryBytes;
    check_table(header, "L1 table", header.l1_table_offset, l1_bytes, kMaxL1Bytes);
    if (header.l1_size < header.l1_entries_needed())
        fail(ErrorKind::corrupt, fmt::format("the L1 table has {} entries, and a disk of {} needs {}", header.l1_size,
                                             format_size(header.virtual_size()), header.l1_entries_needed()));
    require_in_file("L1 table", header.l1_table_offset + l1_bytes, container_size, truncation);

    const std::uint64_t refcount_bytes = std::uint64_t{header.refcount_table_clusters} << header.cluster_bits;
    if (refcount_bytes == 0)
        fail(ErrorKind::corrupt, "the image has no refcount table");
    check_table(header, "refcount table", header.refcount_table_offset, refcount_bytes, kMaxRefcountTableBytes);
    require_in_file("refcount table", header.refcount_table_offset + refcount_bytes, container_size, truncation);

    if (header.snapshot_count > kMaxSnapshots)
        fail(ErrorKind::limit,
             fmt::format("the image has {} snapshots; the format's limit is {}", header.snapshot_count, kMaxSnapshots));
    check_table(header, "snapshot table", header.snapshots_offset,
                std::uint64_t{header.snapshot_count} * kSnapshotEntryBytes, kMaxSnapshotTableBytes);
}

std::vector<std::string> describe_features(const Header& header) {
    std::vector<std::string> features;
    const auto add = [&](std::uint64_t bits, std::uint64_t mask, const char* name) {
        if ((bits & mask) != 0)
            features.emplace_back(name);
    };
    add(header.incompatible_features, incompatible::dirty, "dirty");
    add(header.incompatible_features, incompatible::corrupt, "corrupt");
    add(header.incompatible_features, incompatible::external_data_file, "external data file");
    add(header.incompatible_features, incompatible::compression_type, "compression type");
    add(header.incompatible_features, incompatible::extended_l2, "extended L2");
    add(header.compatible_features, compatible::lazy_refcounts, "lazy refcounts");
    add(header.autoclear_features, autoclear::bitmaps, "bitmaps");
    add(header.autoclear_features, autoclear::raw_external_data, "raw external data");
    if (header.crypt_method == static_cast<std::uint32_t>(CryptMethod::aes))
        features.emplace_back("AES encryption");
    if (header.crypt_method == static_cast<std::uint32_t>(CryptMethod::luks))
        features.emplace_back("LUKS encryption");
    return features;
}

} // namespace vm2oci::qcow2
