#include "formats/block/vmdk/header.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/vmdk/descriptor.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>

namespace vm2oci::vmdk {
namespace {

namespace flag {
constexpr std::uint32_t newline_test = 1U << 0;
constexpr std::uint32_t redundant_directory = 1U << 1;
constexpr std::uint32_t zeroed_grains = 1U << 2;
constexpr std::uint32_t compressed = 1U << 16;
constexpr std::uint32_t markers = 1U << 17;
constexpr std::uint32_t known = newline_test | redundant_directory | zeroed_grains | compressed | markers;
} // namespace flag

constexpr std::uint64_t kDirectoryAtEnd = ~std::uint64_t{0};
constexpr std::uint32_t kDirectoryEntryBytes = 4;
constexpr std::uint32_t kHostedTableEntries = 512;
constexpr std::uint32_t kCowdTableEntries = 4096;
constexpr std::uint64_t kMinGrainSectors = 8;                                // the format's
constexpr std::uint64_t kMaxGrainSectors = 0x200000;                         // QEMU's: 1 GiB
constexpr std::uint64_t kMaxCompressedGrainSectors = 4 * MiB / kSectorBytes; // decoded as a whole; 64 KiB in practice
constexpr std::uint64_t kMaxDirectoryEntries = 32 * MiB;
constexpr std::uint64_t kCowdHeaderBytes = 2048;
constexpr std::uint32_t kDirectoryMarker = 2;
constexpr std::uint32_t kFooterMarker = 3;

using Sector = std::array<std::byte, kSectorBytes>;

std::uint32_t field32(const Sector& bytes, std::size_t at) {
    return load_le<std::uint32_t>(&bytes[at]);
}
std::uint64_t field64(const Sector& bytes, std::size_t at) {
    return load_le<std::uint64_t>(&bytes[at]);
}

Sector read_sector(const BlockDevice& file, std::uint64_t offset, std::string_view what) {
    if (offset + kSectorBytes > file.size())
        fail(ErrorKind::corrupt,
             fmt::format("the file has {} bytes and ends inside the {} of a VMDK", file.size(), what));
    Sector bytes;
    file.read_at(offset, bytes);
    return bytes;
}

// As the file has them.
struct HostedFields {
    std::uint32_t version;
    std::uint32_t flags;
    std::uint64_t capacity;
    std::uint64_t grain;
    std::uint64_t descriptor_offset;
    std::uint64_t descriptor_size;
    std::uint32_t entries;
    std::uint64_t redundant_directory;
    std::uint64_t directory;
    std::uint64_t overhead;
    std::uint8_t unclean;
    std::string_view newlines;
    std::uint16_t compression;
};

HostedFields parse_hosted(const Sector& bytes) {
    if (!as_text(bytes).starts_with(kHostedMagic))
        fail(ErrorKind::corrupt, "not a sparse VMDK: it does not begin with its magic");
    return {field32(bytes, 4),
            field32(bytes, 8),
            field64(bytes, 12),
            field64(bytes, 20),
            field64(bytes, 28),
            field64(bytes, 36),
            field32(bytes, 44),
            field64(bytes, 48),
            field64(bytes, 56),
            field64(bytes, 64),
            std::to_integer<std::uint8_t>(bytes[72]),
            as_text(bytes).substr(73, 4),
            load_le<std::uint16_t>(&bytes[77])};
}

void check_hosted(const HostedFields& fields) {
    if (fields.version < 1 || fields.version > 3)
        fail(ErrorKind::unsupported, fmt::format("version {} of sparse VMDKs is not known here", fields.version));
    if ((fields.flags & ~flag::known) != 0)
        fail(ErrorKind::unsupported, fmt::format("the VMDK has flags {:#x}, of which {:#x} are not known here",
                                                 fields.flags, fields.flags & ~flag::known));
    if ((fields.flags & flag::newline_test) != 0 && fields.newlines != "\n \r\n")
        fail(ErrorKind::corrupt, "the VMDK's line ends were changed on the way: it was copied as text; get it again");
    const bool compressed = (fields.flags & flag::compressed) != 0;
    if (fields.compression > 1)
        fail(ErrorKind::unsupported, fmt::format("VMDK compression {} is not known here", fields.compression));
    if (compressed != (fields.compression == 1))
        fail(ErrorKind::corrupt, fmt::format("the VMDK's compression is {}, and the flag for it is {}",
                                             fields.compression, compressed ? "set" : "not set"));
    if (compressed != ((fields.flags & flag::markers) != 0))
        fail(ErrorKind::unsupported, "the VMDK has compressed grains without markers, or markers without compression");
    if (fields.unclean > 1)
        fail(ErrorKind::corrupt, "the VMDK's header says neither that it was closed nor that it was not");
}

void check_grain(std::uint64_t sectors, std::uint64_t minimum, std::uint64_t maximum) {
    if (!std::has_single_bit(sectors) || sectors < minimum)
        fail(ErrorKind::corrupt,
             fmt::format("the VMDK's grains have {} sectors, which is no power of two from {} on", sectors, minimum));
    if (sectors > maximum)
        fail(ErrorKind::limit, fmt::format("the VMDK's grains have {} sectors; the limit is {}", sectors, maximum));
}

std::uint64_t in_bytes(std::uint64_t sectors, std::string_view what) {
    return checked_multiply(sectors, kSectorBytes, what);
}

// A place that starts behind the header, of what must be there to go on.
Place place_of(std::uint64_t offset_sectors, std::uint64_t length, std::string_view what, std::uint64_t file_size,
               Tolerance truncation) {
    const Place place{in_bytes(offset_sectors, what), length};
    const std::uint64_t end = checked_add(place.offset, length, what);
    if (offset_sectors == 0)
        fail(ErrorKind::corrupt, fmt::format("the VMDK's {} lies over its header", what));
    if (end > file_size && truncation == Tolerance::refuse)
        fail(ErrorKind::corrupt,
             fmt::format("the VMDK's {} ends at byte {}, and the file has {}: it is truncated", what, end, file_size),
             HintKind::allow_truncated);
    return place;
}

std::uint64_t directory_bytes(std::uint64_t capacity, std::uint64_t grain, std::uint64_t entries) {
    const std::uint64_t tables = divide_up(capacity, grain * entries);
    if (tables > kMaxDirectoryEntries)
        fail(ErrorKind::limit,
             fmt::format("the VMDK's grain directory has {} entries; the limit is {}", tables, kMaxDirectoryEntries));
    return tables * kDirectoryEntryBytes;
}

// A marker of metadata: sectors u64, 0 u32, type u32.
bool is_marker(const Sector& bytes, std::uint32_t type) {
    return field32(bytes, 8) == 0 && field32(bytes, 12) == type;
}

// The header of a stream that ends in a footer is right only there.
HostedFields read_footer(const BlockDevice& file, const HostedFields& head, SparseHeader& header) {
    if (file.size() % kSectorBytes != 0 || file.size() < 4 * kSectorBytes)
        fail(ErrorKind::corrupt,
             "the VMDK keeps its grain directory at its end, and its file does not end on a sector: "
             "it is truncated; get it again");
    header.footer = {file.size() - 3 * kSectorBytes, 3 * kSectorBytes};
    const Sector marker = read_sector(file, header.footer.offset, "footer");
    const Sector end = read_sector(file, file.size() - kSectorBytes, "footer");
    const Sector copy = read_sector(file, header.footer.offset + kSectorBytes, "footer");
    if (!is_marker(marker, kFooterMarker) || !as_text(copy).starts_with(kHostedMagic))
        fail(ErrorKind::corrupt,
             "the VMDK keeps its grain directory at its end, and there is no footer: it is truncated; "
             "get it again");
    if (!is_zero(end))
        fail(ErrorKind::corrupt, "the VMDK's last sector is not the marker of its end");
    const HostedFields fields = parse_hosted(copy);
    check_hosted(fields);
    if (fields.directory == kDirectoryAtEnd)
        fail(ErrorKind::corrupt, "the footer of the VMDK does not know where its grain directory is");
    if (fields.version != head.version || fields.flags != head.flags || fields.capacity != head.capacity ||
        fields.grain != head.grain || fields.entries != head.entries ||
        fields.descriptor_offset != head.descriptor_offset || fields.descriptor_size != head.descriptor_size)
        fail(ErrorKind::corrupt, "the VMDK's footer contradicts its header");
    // What is taken for the directory must be one: empty entries would make an empty disk.
    if (fields.directory < 2 || fields.directory >= header.footer.offset / kSectorBytes ||
        !is_marker(read_sector(file, (fields.directory - 1) * kSectorBytes, "grain directory"), kDirectoryMarker))
        fail(ErrorKind::corrupt, "the VMDK has no grain directory where its footer says");
    return fields;
}

} // namespace

SparseHeader read_hosted_header(const BlockDevice& file, Tolerance truncation) {
    const Sector sector = read_sector(file, 0, "header");
    HostedFields fields = parse_hosted(sector);
    check_hosted(fields);
    SparseHeader header;
    header.version = fields.version;
    header.header = {0, kSectorBytes};
    if (fields.descriptor_offset != 0 && fields.descriptor_size != 0) {
        if (fields.descriptor_size > kMaxDescriptorBytes / kSectorBytes)
            fail(ErrorKind::limit, fmt::format("the VMDK descriptor has {} sectors; the limit is {}",
                                               fields.descriptor_size, kMaxDescriptorBytes / kSectorBytes));
        header.descriptor = place_of(fields.descriptor_offset, fields.descriptor_size * kSectorBytes, "descriptor",
                                     file.size(), Tolerance::refuse);
    }
    header.unclean = fields.unclean != 0;
    if (fields.capacity == 0) {
        if (header.descriptor.length == 0)
            fail(ErrorKind::corrupt, "the VMDK holds neither a disk nor a descriptor");
        return header;
    }
    if (fields.directory == kDirectoryAtEnd)
        fields = read_footer(file, fields, header);
    header.zeroed_grains = (fields.flags & flag::zeroed_grains) != 0;
    header.compressed = fields.compression == 1;
    check_grain(fields.grain, kMinGrainSectors, header.compressed ? kMaxCompressedGrainSectors : kMaxGrainSectors);
    if (fields.entries != kHostedTableEntries)
        fail(ErrorKind::corrupt, fmt::format("the VMDK's grain tables have {} entries; the format has {}",
                                             fields.entries, kHostedTableEntries));
    header.capacity = in_bytes(fields.capacity, "capacity of the VMDK");
    header.grain_size = fields.grain * kSectorBytes;
    header.entries_per_table = fields.entries;
    const std::uint64_t bytes = directory_bytes(header.capacity, header.grain_size, header.entries_per_table);
    header.directory = place_of(fields.directory, bytes, "grain directory", file.size(), truncation);
    if ((fields.flags & flag::redundant_directory) != 0)
        header.redundant_directory =
            place_of(fields.redundant_directory, bytes, "redundant grain directory", file.size(), truncation);
    if (in_bytes(fields.overhead, "overhead of the VMDK") > file.size() && truncation == Tolerance::refuse)
        fail(ErrorKind::corrupt,
             fmt::format("the VMDK's metadata has {} sectors, and the file has {} bytes: it is truncated",
                         fields.overhead, file.size()),
             HintKind::allow_truncated);
    return header;
}

SparseHeader read_cowd_header(const BlockDevice& file, Tolerance truncation) {
    const Sector bytes = read_sector(file, 0, "header");
    if (!as_text(bytes).starts_with(kCowdMagic))
        fail(ErrorKind::corrupt, "not a sparse extent of VMFS: it does not begin with its magic");
    SparseHeader header;
    header.version = field32(bytes, 4);
    if (header.version != 1)
        fail(ErrorKind::unsupported,
             fmt::format("version {} of VMFS' sparse extents is not known here", header.version));
    header.header = {0, kCowdHeaderBytes};
    header.capacity = std::uint64_t{field32(bytes, 12)} * kSectorBytes;
    if (header.capacity == 0)
        fail(ErrorKind::corrupt, "the sparse extent is empty");
    const std::uint32_t grain = field32(bytes, 16);
    check_grain(grain, 1, kMaxGrainSectors);
    header.grain_size = std::uint64_t{grain} * kSectorBytes;
    header.entries_per_table = kCowdTableEntries;
    const std::uint64_t needed = directory_bytes(header.capacity, header.grain_size, header.entries_per_table);
    const std::uint64_t present = std::uint64_t{field32(bytes, 24)} * kDirectoryEntryBytes;
    if (present < needed)
        fail(ErrorKind::corrupt,
             fmt::format("the grain directory has {} bytes, and the disk needs {}", present, needed));
    header.directory = place_of(field32(bytes, 20), present, "grain directory", file.size(), truncation);
    return header;
}

void add_metadata(const SparseHeader& header, mapped::RangeSet& taken) {
    const auto add = [&](const Place& place) {
        // Up to the end of the sector: nothing else begins there.
        taken.add(place.offset, place.length == 0 ? place.offset : align_up(place.end(), kSectorBytes));
    };
    add(header.header);
    add(header.descriptor);
    add(header.directory);
    if (header.redundant_directory)
        add(*header.redundant_directory);
    add(header.footer);
}

} // namespace vm2oci::vmdk
