#include "formats/block/vhdx/headers.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/crc32c.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/base/utf16.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

namespace vm2oci::vhdx {
namespace {

constexpr std::string_view kFileMagic = "vhdxfile";
constexpr std::size_t kCreatorBytes = 512;
constexpr std::uint64_t kHeaderBytes = 4 * KiB;
constexpr std::array<std::uint64_t, 2> kHeaderOffsets = {64 * KiB, 128 * KiB};
constexpr std::uint64_t kRegionTableBytes = 64 * KiB;
constexpr std::array<std::uint64_t, 2> kRegionTableOffsets = {192 * KiB, 256 * KiB};
constexpr std::uint32_t kMaxRegions = 2047;
constexpr std::size_t kRegionEntryBytes = 32;
constexpr std::size_t kRegionTableHeadBytes = 16;
constexpr std::size_t kChecksumOffset = 4;

const Guid& block_table_guid() {
    static const Guid guid = make_guid("2dc27766-f623-4200-9d64-115e9bfd4a08");
    return guid;
}
const Guid& metadata_guid() {
    static const Guid guid = make_guid("8b7ca206-4790-4b9a-b8fe-575f050f886e");
    return guid;
}

// The checksum is that of the bytes with 0 in its own place.
bool checksum_is_right(std::vector<std::byte> bytes) {
    const auto stored = load_le<std::uint32_t>(&bytes[kChecksumOffset]);
    store_le<std::uint32_t>(&bytes[kChecksumOffset], 0);
    return crc32c(bytes) == stored;
}

struct HeaderCopy {
    std::vector<std::byte> bytes;
    std::uint64_t sequence = 0;
};

std::optional<HeaderCopy> read_header_copy(const BlockDevice& file, std::uint64_t offset) {
    HeaderCopy copy;
    copy.bytes.resize(kHeaderBytes);
    file.read_at(offset, copy.bytes);
    if (!as_text(copy.bytes).starts_with("head") || !checksum_is_right(copy.bytes))
        return std::nullopt;
    copy.sequence = load_le<std::uint64_t>(&copy.bytes[8]);
    return copy;
}

std::string read_creator(const BlockDevice& file) {
    std::array<std::byte, kCreatorBytes> bytes;
    file.read_at(kFileMagic.size(), bytes);
    std::vector<std::uint16_t> units;
    for (std::size_t i = 0; i < bytes.size() && load_le<std::uint16_t>(&bytes[i]) != 0; i += 2)
        units.push_back(load_le<std::uint16_t>(&bytes[i]));
    return utf16_to_utf8(units);
}

// At megabytes, behind the headers, within what offsets can say.
Region checked_region(std::uint64_t offset, std::uint64_t length, std::string_view what) {
    if (offset < kHeaderSectionBytes || offset % kRegionAlignment != 0 || length % kRegionAlignment != 0 || length == 0)
        fail(ErrorKind::corrupt, fmt::format("the VHDX' {} is at {:#x} and has {:#x} bytes, which is not in megabytes "
                                             "behind the headers",
                                             what, offset, length));
    checked_add(offset, length, what);
    return {offset, length};
}

FileHeader parse_header(const HeaderCopy& copy) {
    const std::byte* bytes = copy.bytes.data();
    FileHeader header;
    header.data_write_guid = load_guid(bytes + 32);
    header.log_guid = load_guid(bytes + 48);
    const auto log_version = load_le<std::uint16_t>(bytes + 64);
    const auto version = load_le<std::uint16_t>(bytes + 66);
    if (version != 1)
        fail(ErrorKind::unsupported, fmt::format("version {} of VHDX is not known here", version));
    if (log_version != 0)
        fail(ErrorKind::unsupported, fmt::format("version {} of VHDX logs is not known here", log_version));
    header.log = checked_region(load_le<std::uint64_t>(bytes + 72), load_le<std::uint32_t>(bytes + 68), "log");
    return header;
}

std::optional<std::vector<std::byte>> read_table_copy(const BlockDevice& file, std::uint64_t offset) {
    std::vector<std::byte> bytes(kRegionTableBytes);
    file.read_at(offset, bytes);
    if (!as_text(bytes).starts_with("regi") || !checksum_is_right(bytes))
        return std::nullopt;
    if (load_le<std::uint32_t>(&bytes[8]) > kMaxRegions)
        fail(ErrorKind::corrupt, fmt::format("the VHDX has {} regions; the format ends at {}",
                                             load_le<std::uint32_t>(&bytes[8]), kMaxRegions));
    return bytes;
}

bool overlap(const Region& one, const Region& other) {
    return one.offset < other.end() && other.offset < one.end();
}

} // namespace

FileHeader read_file_header(const BlockDevice& file) {
    if (file.size() < kHeaderSectionBytes)
        fail(ErrorKind::corrupt, fmt::format("the file has {} bytes and ends inside the headers of a VHDX: it is "
                                             "truncated; get it again",
                                             file.size()));
    std::array<std::byte, kFileMagic.size()> magic;
    file.read_at(0, magic);
    if (as_text(magic) != kFileMagic)
        fail(ErrorKind::corrupt, "not a VHDX: it does not begin with its magic");
    const std::optional<HeaderCopy> first = read_header_copy(file, kHeaderOffsets[0]);
    const std::optional<HeaderCopy> second = read_header_copy(file, kHeaderOffsets[1]);
    if (!first && !second)
        fail(ErrorKind::corrupt, "neither of the VHDX' headers is sound: their signatures or checksums are wrong");
    // disk2vhd makes two that are the same.
    if (first && second && first->sequence == second->sequence && first->bytes != second->bytes)
        fail(ErrorKind::corrupt, "the VHDX' headers differ and claim to be equally new");
    const bool take_second = !first || (second && second->sequence > first->sequence);
    FileHeader header = parse_header(take_second ? *second : *first);
    header.creator = read_creator(file);
    return header;
}

Regions read_regions(const BlockDevice& file, const FileHeader& header) {
    const auto first = read_table_copy(file, kRegionTableOffsets[0]);
    const auto second = read_table_copy(file, kRegionTableOffsets[1]);
    if (!first && !second)
        fail(ErrorKind::corrupt,
             "neither of the VHDX' region tables is sound: their signatures or checksums are wrong");
    if (first && second && *first != *second)
        fail(ErrorKind::corrupt, "the VHDX' two region tables differ");
    const std::vector<std::byte>& table = first ? *first : *second;
    const auto count = load_le<std::uint32_t>(&table[8]);
    std::vector<Region> all = {header.log};
    std::optional<Region> block_table;
    std::optional<Region> metadata;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::byte* entry = &table[kRegionTableHeadBytes + i * kRegionEntryBytes];
        const Guid guid = load_guid(entry);
        const Region region =
            checked_region(load_le<std::uint64_t>(entry + 16), load_le<std::uint32_t>(entry + 24), "region");
        if (std::ranges::any_of(all, [&](const Region& other) { return overlap(region, other); }))
            fail(ErrorKind::corrupt,
                 fmt::format("the VHDX' region at {:#x} lies over another or the log", region.offset));
        all.push_back(region);
        std::optional<Region>* known = guid == block_table_guid() ? &block_table
                                       : guid == metadata_guid()  ? &metadata
                                                                  : nullptr;
        if (known == nullptr) {
            if ((load_le<std::uint32_t>(entry + 28) & 1) != 0)
                fail(ErrorKind::unsupported, "the VHDX needs a region that is not known here: " + to_string(guid));
            continue;
        }
        if (*known)
            fail(ErrorKind::corrupt, "the VHDX has a region twice: " + to_string(guid));
        *known = region;
    }
    if (!block_table || !metadata)
        fail(ErrorKind::corrupt, "the VHDX has no block allocation table or no metadata");
    return {*block_table, *metadata};
}

} // namespace vm2oci::vhdx
