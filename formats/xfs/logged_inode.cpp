#include "formats/xfs/logged_inode.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace vm2oci::xfs {
namespace {

constexpr unsigned kLoggedMagic = 0x494e; // "IN"
constexpr std::size_t kLoggedCore2 = 96;  // all but the pointer to the next one that was deleted
constexpr std::size_t kLoggedCore3 = 176;
constexpr std::size_t kLiteralAt2 = 100;
constexpr std::size_t kLiteralAt3 = 176;
constexpr unsigned kMaxFlushes = 0xffff;

constexpr std::uint32_t kLoggedData = 0x002;
constexpr std::uint32_t kLoggedExtents = 0x004;
constexpr std::uint32_t kLoggedRoot = 0x008;
constexpr std::uint32_t kLoggedDevice = 0x010;
constexpr std::uint32_t kLoggedAttributes = 0x040;
constexpr std::uint32_t kLoggedAttributeExtents = 0x080;
constexpr std::uint32_t kLoggedAttributeRoot = 0x100;
constexpr std::uint32_t kLoggedNewOwner = 0x600;

[[noreturn]] void fail_logged(std::uint64_t number, std::string_view what) {
    fail(ErrorKind::corrupt, fmt::format("the log of the xfs file system {} inode {}", what, number));
}

// The core in the log is that of the disk in the machine's byte order: where its fields are, and how wide.
struct LoggedField {
    std::uint8_t at;
    std::uint8_t width;
};
constexpr LoggedField kFieldsOfBoth[] = {{0, 2},  {2, 2},  {8, 4},  {12, 4}, {16, 4}, {20, 2}, {22, 2},
                                         {56, 8}, {64, 8}, {72, 4}, {84, 4}, {88, 2}, {90, 2}, {92, 4}};
constexpr LoggedField kBytesOfBoth[] = {{4, 1}, {5, 1}, {82, 1}, {83, 1}};
constexpr LoggedField kFieldsOf3[] = {{104, 8}, {120, 8}, {128, 4}, {152, 8}};
constexpr std::uint8_t kTimes[] = {32, 40, 48, 144}; // the last one of version 3 alone

void copy_swapped(std::span<const std::byte> from, std::span<std::byte> to, LoggedField field) {
    std::reverse_copy(from.begin() + field.at, from.begin() + field.at + field.width, to.begin() + field.at);
}

void copy_core(std::span<const std::byte> core, std::span<std::byte> inode, std::uint64_t record) {
    const bool is_3 = core[4] == std::byte{3};
    const std::uint64_t flags2 = is_3 ? load_le<std::uint64_t>(core.data() + 120) : 0;
    const bool has_big_time = (flags2 & 0x08) != 0;
    const bool has_large_counters = (flags2 & 0x10) != 0;
    for (const LoggedField field : kFieldsOfBoth)
        copy_swapped(core, inode, field);
    for (const LoggedField field : kBytesOfBoth)
        copy_swapped(core, inode, field);
    std::fill_n(inode.begin() + 6, 2, std::byte{0}); // the number of links of version 1
    for (std::size_t i = 0; i < (is_3 ? 4 : 3); ++i) {
        if (has_big_time) {
            copy_swapped(core, inode, {kTimes[i], 8});
        } else {
            copy_swapped(core, inode, {kTimes[i], 4});
            copy_swapped(core, inode, {static_cast<std::uint8_t>(kTimes[i] + 4), 4});
        }
    }
    if (has_large_counters) {
        copy_swapped(core, inode, {24, 8});
        copy_swapped(core, inode, {76, 4});
        copy_swapped(core, inode, {80, 2});
    } else {
        copy_swapped(core, inode, {76, 4});
        copy_swapped(core, inode, {80, 2});
        std::fill_n(inode.begin() + 24, 8, std::byte{0});
        if (!is_3)
            copy_swapped(core, inode, {30, 2}); // how often it was flushed
    }
    if (!is_3)
        return;
    for (const LoggedField field : kFieldsOf3)
        copy_swapped(core, inode, field);
    store_be<std::uint64_t>(inode.data() + 112, record);
    std::fill_n(inode.begin() + 132, 12, std::byte{0});
    std::copy_n(core.begin() + 160, 16, inode.begin() + 160);
}

// The root of a B+tree is logged as it is in memory, with the header of a block, and its pointers behind room for more
// keys or fewer than the disk has.
void copy_root(std::span<const std::byte> root, std::span<std::byte> fork, Version version, std::uint64_t number) {
    const std::size_t header = version == Version::v5 ? 72 : 24;
    if (root.size() < header || fork.size() < 4)
        fail_logged(number, "has half of a B+tree of");
    const std::size_t records = load_be<std::uint16_t>(root.data() + 6);
    const std::size_t room_logged = (root.size() - header) / 16;
    const std::size_t room_on_disk = (fork.size() - 4) / 16;
    if (records > room_logged || records > room_on_disk)
        fail_logged(number, "has a B+tree larger than its place of");
    std::copy_n(root.begin() + 4, 4, fork.begin()); // level, number of records
    const auto copy = [&](std::size_t from, std::size_t to) {
        std::copy_n(root.begin() + static_cast<std::ptrdiff_t>(from), records * 8,
                    fork.begin() + static_cast<std::ptrdiff_t>(to));
    };
    copy(header, 4);
    copy(header + room_logged * 8, 4 + room_on_disk * 8);
}

void copy_fork(const LogItem& item, std::size_t region, bool is_root, std::span<std::byte> fork, Version version,
               std::uint64_t number) {
    if (region >= item.regions.size())
        fail_logged(number, "lacks a part of");
    const std::vector<std::byte>& bytes = item.regions[region];
    if (is_root)
        return copy_root(bytes, fork, version, number);
    if (bytes.size() > fork.size())
        fail_logged(number, "has more than fits into");
    std::copy(bytes.begin(), bytes.end(), fork.begin());
}

bool is_newer_on_disk(const Geometry& geometry, std::span<const std::byte> core, std::span<const std::byte> inode,
                      std::uint64_t record) {
    if (geometry.version == Version::v5) {
        const std::uint64_t written = load_be<std::uint64_t>(inode.data() + 112);
        return written != 0 && written != ~std::uint64_t{0} && written > record;
    }
    const unsigned logged = load_le<std::uint16_t>(core.data() + 30);
    const unsigned written = load_be<std::uint16_t>(inode.data() + 30);
    // The counter begins again.
    return logged < written && !(written == kMaxFlushes && logged < kMaxFlushes / 2);
}

} // namespace

InodeItem describe_inode(const LogItem& item) {
    const std::vector<std::byte>& bytes = item.regions.front();
    if (bytes.size() != 56 && bytes.size() != 52)
        fail(ErrorKind::corrupt, "the log of the xfs file system describes an inode in an unknown way");
    // On machines of 32 bits there is no padding before the number.
    const std::size_t shift = bytes.size() == 56 ? 0 : 4;
    InodeItem found;
    found.fields = load_le<std::uint32_t>(bytes.data() + 4);
    found.number = load_le<std::uint64_t>(bytes.data() + 16 - shift);
    found.device = load_le<std::uint32_t>(bytes.data() + 24 - shift);
    found.buffer = load_le<std::uint64_t>(bytes.data() + 40 - shift);
    found.buffer_length = load_le<std::uint32_t>(bytes.data() + 48 - shift);
    found.at = load_le<std::uint32_t>(bytes.data() + 52 - shift);
    return found;
}

void replay_inode(const Geometry& geometry, const InodeItem& description, const LogItem& item, std::uint64_t number,
                  std::span<std::byte> inode) {
    const std::uint64_t name = description.number;
    const std::size_t core_size = geometry.version == Version::v5 ? kLoggedCore3 : kLoggedCore2;
    if (item.regions.size() < 2 || item.regions[1].size() < core_size)
        fail_logged(name, "has no core of");
    const std::span<const std::byte> core = std::span<const std::byte>(item.regions[1]).first(core_size);
    if (load_be<std::uint16_t>(inode.data()) != kLoggedMagic || load_le<std::uint16_t>(core.data()) != kLoggedMagic ||
        (geometry.version == Version::v5) != (core[4] == std::byte{3}))
        fail_logged(name, "changes what is no");
    if ((description.fields & kLoggedNewOwner) != 0)
        fail(ErrorKind::unsupported, "the log of the xfs file system has an exchange of extents (xfs_fsr), which only "
                                     "the kernel replays: mount it once in its machine and shut that down cleanly");
    if (is_newer_on_disk(geometry, core, inode, number))
        return;
    copy_core(core, inode, number);
    const std::span<std::byte> literal = inode.subspan(geometry.version == Version::v5 ? kLiteralAt3 : kLiteralAt2);
    const std::size_t fork_at = std::to_integer<std::size_t>(inode[82]) * 8;
    if (fork_at > literal.size())
        fail_logged(name, "puts attributes behind the end of");
    const std::span<std::byte> data = fork_at == 0 ? literal : literal.first(fork_at);
    if ((description.fields & kLoggedDevice) != 0 && data.size() >= 4)
        store_be<std::uint32_t>(data.data(), description.device);
    std::size_t region = 2;
    if ((description.fields & (kLoggedData | kLoggedExtents | kLoggedRoot)) != 0)
        copy_fork(item, region++, (description.fields & kLoggedRoot) != 0, data, geometry.version, name);
    if ((description.fields & (kLoggedAttributes | kLoggedAttributeExtents | kLoggedAttributeRoot)) != 0)
        copy_fork(item, region, (description.fields & kLoggedAttributeRoot) != 0,
                  fork_at == 0 ? std::span<std::byte>() : literal.subspan(fork_at), geometry.version, name);
}

} // namespace vm2oci::xfs
