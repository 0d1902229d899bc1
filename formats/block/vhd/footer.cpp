#include "formats/block/vhd/footer.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/sha256.hpp"
#include "formats/base/size.hpp"
#include "formats/base/utf16.hpp"

#include <fmt/format.h>

#include <bit>
#include <span>
#include <vector>

namespace vm2oci::vhd {
namespace {

constexpr std::uint32_t kVersion = 0x00010000;
constexpr std::uint64_t kMaxDiskBytes = 2040 * GiB; // the format's
constexpr std::uint64_t kMaxGeometrySectors = std::uint64_t{65535} * 16 * 255;
constexpr std::uint32_t kMaxBlockBytes = 1U << 30;        // 2 MiB in practice
constexpr std::uint64_t kMaxBlocks = 32ull * 1024 * 1024; // each is looked at: 2 TiB in blocks of 64 KiB
constexpr std::string_view kHeaderMagic = "cxsparse";

namespace at {
constexpr std::size_t version = 12;
constexpr std::size_t data_offset = 16;
constexpr std::size_t creator = 28;
constexpr std::size_t current_size = 48;
constexpr std::size_t geometry = 56;
constexpr std::size_t type = 60;
constexpr std::size_t checksum = 64;
constexpr std::size_t id = 68;
constexpr std::size_t header_table = 16;
constexpr std::size_t header_version = 24;
constexpr std::size_t header_entries = 28;
constexpr std::size_t header_block_size = 32;
constexpr std::size_t header_checksum = 36;
constexpr std::size_t header_parent_id = 40;
constexpr std::size_t header_parent_name = 64;
} // namespace at
constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kParentNameBytes = 512;

// The ones' complement of the sum of all bytes but its own.
void require_checksum(std::span<const std::byte> bytes, std::size_t place, std::string_view what) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        if (i < place || i >= place + 4)
            sum += std::to_integer<std::uint32_t>(bytes[i]);
    if (load_be<std::uint32_t>(&bytes[place]) != ~sum)
        fail(ErrorKind::corrupt, fmt::format("the checksum of the VHD's {} is wrong", what));
}

std::string uuid_text(std::span<const std::byte> bytes) {
    std::string text = to_hex(bytes.first(kIdBytes));
    for (const std::size_t dash : {8U, 13U, 18U, 23U})
        text.insert(dash, "-");
    return text;
}

std::string parent_name(std::span<const std::byte> bytes) {
    std::vector<std::uint16_t> units;
    for (std::size_t i = 0; i + 1 < bytes.size() && load_be<std::uint16_t>(&bytes[i]) != 0; i += 2)
        units.push_back(load_be<std::uint16_t>(&bytes[i]));
    return utf16_to_utf8(units);
}

// Bytes, by the footer's own rule.
void decide_size(Footer& footer) {
    const auto* bytes = footer.bytes.data();
    const auto current = load_be<std::uint64_t>(bytes + at::current_size);
    const std::uint64_t sectors = std::uint64_t{load_be<std::uint16_t>(bytes + at::geometry)} *
                                  std::to_integer<std::uint64_t>(bytes[at::geometry + 2]) *
                                  std::to_integer<std::uint64_t>(bytes[at::geometry + 3]);
    footer.size_by_geometry = (footer.creator == "vpc " || footer.creator == "qemu") && sectors != kMaxGeometrySectors;
    footer.size = footer.size_by_geometry ? sectors * kSectorBytes : current;
    if (footer.size == 0 || footer.size % kSectorBytes != 0)
        fail(ErrorKind::corrupt, fmt::format("the VHD claims a disk of {} bytes", footer.size));
    if (footer.size > kMaxDiskBytes)
        fail(ErrorKind::corrupt, fmt::format("the VHD claims a disk of {}; the format ends at {}",
                                             format_size(footer.size), format_size(kMaxDiskBytes)));
}

} // namespace

Footer read_footer(const BlockDevice& file, std::uint64_t offset) {
    Footer footer;
    if (file.size() < kFooterBytes)
        fail(ErrorKind::corrupt,
             fmt::format("the file has {} bytes, which is less than the footer of a VHD", file.size()));
    file.read_at(offset, footer.bytes);
    if (!as_text(footer.bytes).starts_with(kFooterMagic))
        fail(ErrorKind::corrupt, "not a VHD: there is no footer");
    require_checksum(footer.bytes, at::checksum, "footer");
    const auto version = load_be<std::uint32_t>(&footer.bytes[at::version]);
    if (version != kVersion)
        fail(ErrorKind::unsupported, fmt::format("version {:#x} of VHDs is not known here", version));
    const auto type = load_be<std::uint32_t>(&footer.bytes[at::type]);
    if (type < static_cast<std::uint32_t>(DiskType::fixed) || type > static_cast<std::uint32_t>(DiskType::differencing))
        fail(ErrorKind::unsupported, fmt::format("VHDs of type {} are not known here", type));
    footer.type = static_cast<DiskType>(type);
    footer.header_offset = load_be<std::uint64_t>(&footer.bytes[at::data_offset]);
    footer.creator = as_text(footer.bytes).substr(at::creator, 4);
    footer.id = uuid_text(std::span(footer.bytes).subspan(at::id));
    decide_size(footer);
    return footer;
}

BlockHeader read_block_header(const BlockDevice& file, const Footer& footer) {
    std::array<std::byte, kHeaderBytes> bytes;
    if (checked_add(footer.header_offset, kHeaderBytes, "end of the VHD's header") > file.size())
        fail(ErrorKind::corrupt, "the VHD's header lies beyond the end of the file: it is truncated; get it again");
    if (footer.header_offset < kFooterBytes)
        fail(ErrorKind::corrupt, "the VHD's header lies over its footer");
    file.read_at(footer.header_offset, bytes);
    if (!as_text(bytes).starts_with(kHeaderMagic))
        fail(ErrorKind::corrupt, "the VHD has no header where its footer says");
    require_checksum(bytes, at::header_checksum, "header");
    if (const auto version = load_be<std::uint32_t>(&bytes[at::header_version]); version != kVersion)
        fail(ErrorKind::unsupported, fmt::format("version {:#x} of VHD headers is not known here", version));
    BlockHeader header;
    header.table_offset = load_be<std::uint64_t>(&bytes[at::header_table]);
    header.entries = load_be<std::uint32_t>(&bytes[at::header_entries]);
    header.block_size = load_be<std::uint32_t>(&bytes[at::header_block_size]);
    header.parent_id = uuid_text(std::span(bytes).subspan(at::header_parent_id));
    header.parent_name = parent_name(std::span(bytes).subspan(at::header_parent_name, kParentNameBytes));
    if (!std::has_single_bit(header.block_size) || header.block_size < kSectorBytes)
        fail(ErrorKind::corrupt, fmt::format("the VHD's blocks have {} bytes, which is no power of two from {} on",
                                             header.block_size, kSectorBytes));
    if (header.block_size > kMaxBlockBytes)
        fail(ErrorKind::limit, fmt::format("the VHD's blocks have {}; the limit is {}", format_size(header.block_size),
                                           format_size(kMaxBlockBytes)));
    if (header.entries > kMaxBlocks)
        fail(ErrorKind::limit,
             fmt::format("the VHD's table has {} entries; the limit is {}", header.entries, kMaxBlocks));
    if (header.entries < divide_up(footer.size, header.block_size))
        fail(ErrorKind::corrupt,
             fmt::format("the VHD's table has {} entries, and a disk of {} needs {}", header.entries,
                         format_size(footer.size), divide_up(footer.size, header.block_size)));
    return header;
}

} // namespace vm2oci::vhd
