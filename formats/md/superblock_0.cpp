// The superblock of version 0.90: words, and a table of at most 27 devices.
#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/md/superblock.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::md {
namespace {

constexpr std::size_t kWords = 1024;
constexpr std::uint32_t kMaxDevices0 = 27;
constexpr std::size_t kTable = 128; // of devices, 32 words each
constexpr std::size_t kOfDevice = 32;
constexpr std::size_t kThisDevice = 992;
constexpr std::size_t kStateWord = 33; // its lowest bit: clean
constexpr std::size_t kSumWord = 38;

enum DeviceState : std::uint32_t { kIsFaulty = 1, kIsActive = 2, kIsInSync = 4, kIsRemoved = 8 };

// Sixteen bits of a sum: some machines write it folded (md.c, md_csum_fold).
std::uint32_t fold(std::uint32_t sum) {
    sum = (sum & 0xffffU) + (sum >> 16U);
    return (sum & 0xffffU) + (sum >> 16U);
}

} // namespace

Superblock parse_superblock_0(std::span<const std::byte> bytes, std::uint64_t offset) {
    const auto word = [&](std::size_t index) { return load_le<std::uint32_t>(bytes.data() + 4 * index); };
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < kWords; ++i)
        if (i != kSumWord)
            sum += word(i);
    if (fold(static_cast<std::uint32_t>(sum) + static_cast<std::uint32_t>(sum >> 32U)) != fold(word(kSumWord)))
        fail(ErrorKind::corrupt, "its checksum is wrong");
    const std::uint32_t minor_version = word(2);
    if (minor_version != 90 && minor_version != 91)
        fail(ErrorKind::unsupported, fmt::format("it is of version 0.{}", minor_version));
    Superblock found;
    std::copy_n(bytes.begin() + 20, 4, found.set.begin());
    std::copy_n(bytes.begin() + 52, 12, found.set.begin() + 4);
    // mdadm writes the words of this version as numbers.
    found.uuid = fmt::format("{:08x}:{:08x}:{:08x}:{:08x}", word(5), word(13), word(14), word(15));
    found.minor = word(11);
    found.version = "0.90";
    found.place = offset;
    found.level = static_cast<std::int32_t>(word(7));
    found.used = std::uint64_t{word(8)} * 1024;
    found.members = word(10);
    found.layout = word(64);
    found.chunk = word(65);
    found.size = offset;
    found.events = word(39) | std::uint64_t{word(40)} << 32U;
    found.number = word(kThisDevice);
    found.is_clean = (word(kStateWord) & 1U) != 0;
    found.is_reshaping = minor_version == 91;
    found.roles.assign(kMaxDevices0, Superblock::kSpare);
    for (std::size_t i = 0; i < kMaxDevices0; ++i) {
        const std::size_t at = kTable + i * kOfDevice;
        const std::uint32_t state = word(at + 4);
        if ((state & kIsFaulty) != 0)
            found.roles[i] = Superblock::kFaulty;
        else if ((state & kIsInSync) != 0 && (state & kIsRemoved) == 0 && word(at + 3) < found.members)
            found.roles[i] =
                static_cast<std::uint16_t>(std::min<std::uint32_t>(word(at + 3), Superblock::kJournal - 1));
    }
    if (found.members > kMaxDevices0)
        fail(ErrorKind::corrupt, "it names more devices than it has room for");
    return found;
}

} // namespace vm2oci::md
