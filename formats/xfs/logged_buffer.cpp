#include "formats/xfs/logged_buffer.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace vm2oci::xfs {
namespace {

constexpr std::size_t kBufferHead = 20; // up to the map
constexpr std::size_t kChunk = 128;     // what a bit of the map stands for
constexpr std::size_t kNextDeletedAt = 96;
constexpr std::uint32_t kMaxBufferSectors = 128; // 64 KiB

[[noreturn]] void fail_buffer(std::string_view what) {
    fail(ErrorKind::corrupt, fmt::format("the log of the xfs file system has a block {}", what));
}

// Where blocks of version 5 keep the number of the record that was written with them.
struct NumberPlace {
    std::uint32_t magic;
    std::size_t number;
    std::size_t uuid;
};
constexpr NumberPlace kNumberPlaces[] = {
    {0x41423342, 24, 32},  {0x41423343, 24, 32}, {0x49414233, 24, 32},   {0x46494233, 24, 32}, // AB3B AB3C IAB3 FIB3
    {0x524d4233, 24, 32},  {0x52334643, 24, 32}, {0x424d4133, 32, 40},                         // RMB3 R3FC BMA3
    {0x58414746, 208, 64}, {0x5841464c, 24, 8},  {0x58414749, 320, 296},                       // XAGF XAFL XAGI
    {0x58534c4d, 48, 16},  {0x58444233, 16, 24}, {0x58444433, 16, 24},   {0x58444633, 16, 24}, // XSLM XDB3 XDD3 XDF3
    {0x58465342, 240, 32},                                                                     // XFSB
};
// The same of blocks that have their magic behind two links: index of folders, attributes, nodes.
constexpr unsigned kLinkedMagics[] = {0x3df1, 0x3dff, 0x3ebe, 0x3bee};
constexpr NumberPlace kLinkedPlace{0, 24, 32};

const NumberPlace* find_place(std::span<const std::byte> bytes) {
    const std::uint32_t magic = load_be<std::uint32_t>(bytes.data());
    for (const NumberPlace& place : kNumberPlaces)
        if (place.magic == magic)
            return &place;
    const unsigned linked = load_be<std::uint16_t>(bytes.data() + 8);
    return std::find(std::begin(kLinkedMagics), std::end(kLinkedMagics), linked) != std::end(kLinkedMagics)
               ? &kLinkedPlace
               : nullptr;
}

bool is_set(std::span<const std::byte> map, std::size_t bit) {
    return (load_le<std::uint32_t>(map.data() + bit / 32 * 4) >> bit % 32 & 1u) != 0;
}

} // namespace

BufferItem describe_buffer(const LogItem& item) {
    const std::vector<std::byte>& bytes = item.regions.front();
    if (bytes.size() < kBufferHead)
        fail_buffer("without a place");
    BufferItem found;
    found.flags = load_le<std::uint16_t>(bytes.data() + 4);
    found.sectors = load_le<std::uint16_t>(bytes.data() + 6);
    found.address = load_le<std::uint64_t>(bytes.data() + 8);
    if (load_le<std::uint32_t>(bytes.data() + 16) > (bytes.size() - kBufferHead) / 4)
        fail_buffer("whose map is cut off");
    // Values of attributes are freed in one piece, which may be larger.
    if (!found.is_cancelled() && (found.sectors == 0 || found.sectors > kMaxBufferSectors))
        fail_buffer("of an impossible size");
    return found;
}

bool is_buffer_newer(const Geometry& geometry, std::span<const std::byte> bytes, std::uint64_t number) {
    if (geometry.version != Version::v5)
        return false;
    const NumberPlace* place = find_place(bytes);
    if (place == nullptr)
        return false;
    const Uuid& uuid = place->magic == 0x58465342 ? geometry.uuid : geometry.metadata_uuid;
    if (std::memcmp(bytes.data() + place->uuid, uuid.data(), uuid.size()) != 0)
        return false; // what lies there is of another file system
    const std::uint64_t written = load_be<std::uint64_t>(bytes.data() + place->number);
    return written != 0 && written != ~std::uint64_t{0} && written > number;
}

void replay_buffer(const Geometry& geometry, const BufferItem& buffer, const LogItem& item,
                   const std::function<void(std::uint64_t at, std::span<const std::byte> part)>& write) {
    const std::span<const std::byte> map = std::span<const std::byte>(item.regions.front()).subspan(kBufferHead);
    const std::size_t bits = load_le<std::uint32_t>(item.regions.front().data() + 16) * std::size_t{32};
    std::size_t region = 1;
    for (std::size_t bit = 0; bit < bits;) {
        if (!is_set(map, bit)) {
            ++bit;
            continue;
        }
        std::size_t count = 1;
        while (bit + count < bits && is_set(map, bit + count))
            ++count;
        if (region >= item.regions.size())
            fail_buffer("with fewer bytes than its map says");
        // A run of set bits may come in several regions.
        const std::vector<std::byte>& logged = item.regions[region++];
        count = std::min(count, logged.size() / kChunk);
        const std::size_t at = bit * kChunk;
        if (count == 0 || at + count * kChunk > buffer.sectors * kSectorOfAddresses)
            fail_buffer("that is longer than its place");
        const std::span<const std::byte> part = std::span<const std::byte>(logged).first(count * kChunk);
        if (!buffer.has_inodes()) {
            write(at, part);
        } else {
            const std::size_t size = static_cast<std::size_t>(geometry.inode_size);
            for (std::size_t inode = at / size * size; inode < at + part.size(); inode += size)
                if (inode + kNextDeletedAt >= at && inode + kNextDeletedAt + 4 <= at + part.size())
                    write(inode + kNextDeletedAt, part.subspan(inode + kNextDeletedAt - at, 4));
        }
        bit += count;
    }
}

} // namespace vm2oci::xfs
