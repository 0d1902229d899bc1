#include "formats/md/superblock.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace vm2oci::md {
namespace {

constexpr std::uint32_t kMagic = 0xa92b4efc;
constexpr std::uint64_t kSector = 512;
constexpr std::size_t kSuper = 4096; // the most that version 1 takes
constexpr std::size_t kFixed = 256;  // of it, in front of the table of roles
constexpr std::size_t kMaxDevices = (kSuper - kFixed) / 2;

// Features of version 1.
enum Feature : std::uint32_t {
    kHasRecoveryOffset = 1U << 1U,
    kHasReshape = 1U << 2U,
    kHasBadBlocks = 1U << 3U,
    kHasJournal = 1U << 9U,
    kHasParityLog = 3U << 10U, // of one stripe, or of several
    kKnown = (1U << 13U) - 1,  // up to RAID0_LAYOUT, the last that Linux has
};

std::uint64_t in_bytes(std::uint64_t sectors, std::string_view what) {
    return checked_multiply(sectors, kSector, what);
}

std::uint32_t checksum_1(std::span<const std::byte> bytes) {
    constexpr std::size_t kSum = 216;
    std::uint64_t sum = 0;
    std::size_t at = 0;
    for (; at + 4 <= bytes.size(); at += 4)
        if (at != kSum)
            sum += load_le<std::uint32_t>(bytes.data() + at);
    if (at + 2 <= bytes.size())
        sum += load_le<std::uint16_t>(bytes.data() + at);
    return static_cast<std::uint32_t>(sum) + static_cast<std::uint32_t>(sum >> 32U);
}

// The log of bad blocks is a list of words, ended by one that is all ones.
bool has_bad_blocks(const BlockDevice& device, std::span<const std::byte> bytes, std::uint64_t place) {
    const std::uint64_t size = in_bytes(load_le<std::uint16_t>(bytes.data() + 186), "md bad block log");
    const auto offset = static_cast<std::int32_t>(load_le<std::uint32_t>(bytes.data() + 188));
    if (offset == 0 || size == 0)
        return false;
    const std::int64_t at = static_cast<std::int64_t>(place) + offset * static_cast<std::int64_t>(kSector);
    if (at < 0)
        fail(ErrorKind::corrupt, "its list of bad blocks lies outside of the device");
    std::array<std::byte, 8> first;
    device.read_at(static_cast<std::uint64_t>(at), first);
    return load_le<std::uint64_t>(first.data()) != ~std::uint64_t{0};
}

std::string text_of(std::span<const std::byte> bytes) {
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    text.resize(std::min(text.find('\0'), text.size()));
    return text;
}

// Throws for one that the magic number marks and that is no superblock.
Superblock parse_superblock_1(const BlockDevice& device, std::span<const std::byte> bytes, std::uint64_t place,
                              std::string version) {
    const std::uint32_t features = load_le<std::uint32_t>(bytes.data() + 8);
    const std::uint32_t devices = load_le<std::uint32_t>(bytes.data() + 220);
    if (devices > kMaxDevices)
        fail(ErrorKind::corrupt, "it names more devices than it has room for");
    if (load_le<std::uint32_t>(bytes.data() + 216) != checksum_1(bytes.first(kFixed + devices * std::size_t{2})))
        fail(ErrorKind::corrupt, "its checksum is wrong");
    if (load_le<std::uint64_t>(bytes.data() + 144) != place / kSector)
        fail(ErrorKind::corrupt, "it belongs to another place");
    if ((features & ~std::uint32_t{kKnown}) != 0)
        fail(ErrorKind::unsupported, fmt::format("it has features that are not known ({:#x})", features));
    Superblock found;
    std::copy_n(bytes.begin() + 16, found.set.size(), found.set.begin());
    found.uuid = colon_uuid(found.set);
    found.name = text_of(bytes.subspan(32, 32));
    found.version = std::move(version);
    found.place = place;
    found.level = static_cast<std::int32_t>(load_le<std::uint32_t>(bytes.data() + 72));
    found.layout = load_le<std::uint32_t>(bytes.data() + 76);
    found.used = in_bytes(load_le<std::uint64_t>(bytes.data() + 80), "md component size");
    found.chunk = in_bytes(load_le<std::uint32_t>(bytes.data() + 88), "md chunk size");
    found.members = load_le<std::uint32_t>(bytes.data() + 92);
    found.offset = in_bytes(load_le<std::uint64_t>(bytes.data() + 128), "md data offset");
    found.size = in_bytes(load_le<std::uint64_t>(bytes.data() + 136), "md data size");
    found.number = load_le<std::uint32_t>(bytes.data() + 160);
    found.events = load_le<std::uint64_t>(bytes.data() + 200);
    for (std::size_t i = 0; i < devices; ++i)
        found.roles.push_back(load_le<std::uint16_t>(bytes.data() + kFixed + 2 * i));
    // Up to where parity was made; all ones: everywhere.
    found.is_clean = load_le<std::uint64_t>(bytes.data() + 208) == ~std::uint64_t{0};
    found.has_journal = (features & kHasJournal) != 0;
    found.has_parity_log = (features & kHasParityLog) != 0;
    found.is_recovering = (features & kHasRecoveryOffset) != 0;
    found.is_reshaping = (features & kHasReshape) != 0;
    found.has_bad_blocks = (features & kHasBadBlocks) != 0 && has_bad_blocks(device, bytes, place);
    if (found.offset > device.size() || found.size > device.size() - found.offset)
        fail(ErrorKind::corrupt, "its data lies outside of the device");
    return found;
}

} // namespace

std::string colon_uuid(std::span<const std::byte> bytes) {
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        text += fmt::format("{}{:02x}", i != 0 && i % 4 == 0 ? ":" : "", std::to_integer<unsigned>(bytes[i]));
    return text;
}

Superblock read_superblock(const BlockDevice& device) {
    const std::uint64_t sectors = device.size() / kSector;
    struct Place {
        std::uint64_t offset;
        const char* version;
    };
    std::vector<Place> places = {{4 * KiB, "1.2"}, {0, "1.1"}};
    // No member is smaller (md.c: super_1_load wants 12 KiB behind it, mdadm more).
    if (sectors >= 256) {
        places.push_back({((sectors - 16) & ~std::uint64_t{7}) * kSector, "1.0"});
        places.push_back({align_down(device.size(), 64 * KiB) - 64 * KiB, "0.90"});
    }
    for (const auto& [offset, version] : places) {
        std::array<std::byte, kSuper> bytes;
        if (offset > device.size() || bytes.size() > device.size() - offset)
            continue;
        device.read_at(offset, bytes);
        const std::uint32_t major = std::string_view(version) == "0.90" ? 0 : 1;
        if (load_le<std::uint32_t>(bytes.data()) != kMagic || load_le<std::uint32_t>(bytes.data() + 4) != major)
            continue;
        return major == 0 ? parse_superblock_0(bytes, offset) : parse_superblock_1(device, bytes, offset, version);
    }
    fail(ErrorKind::corrupt, "there is no superblock");
}

} // namespace vm2oci::md
