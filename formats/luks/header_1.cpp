// LUKS1: one block of fixed fields, big-endian, without a checksum.
#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/luks/cipher.hpp"
#include "formats/luks/header.hpp"

#include <algorithm>
#include <array>

namespace vm2oci::luks {
namespace {

constexpr std::size_t kHeader1 = 592;
constexpr std::size_t kSlots = 8;
constexpr std::size_t kSlotsAt = 208;
constexpr std::size_t kSlotBytes = 48;
constexpr std::size_t kSalt1 = 32;
constexpr std::uint32_t kSlotInUse = 0x00ac71f3;
constexpr std::uint32_t kSlotFree = 0x0000dead;

std::string text_at(std::span<const std::byte> bytes, std::size_t at, std::size_t width) {
    std::string text(reinterpret_cast<const char*>(bytes.data()) + at, width);
    text.resize(std::min(text.find('\0'), text.size()));
    return text;
}

} // namespace

Header read_header_1(const BlockDevice& device) {
    std::array<std::byte, kHeader1> bytes;
    if (device.size() < bytes.size())
        fail(ErrorKind::corrupt, "its header is cut");
    device.read_at(0, bytes);
    const auto word = [&](std::size_t at) { return load_be<std::uint32_t>(bytes.data() + at); };
    const auto salt = [&](std::size_t at) {
        return std::vector<std::byte>(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                      bytes.begin() + static_cast<std::ptrdiff_t>(at + kSalt1));
    };
    Header header;
    header.version = 1;
    header.cipher = text_at(bytes, 8, 32) + "-" + text_at(bytes, 40, 32);
    const std::string hash = text_at(bytes, 72, 32);
    const std::size_t key_size = word(108);
    if (key_size == 0 || key_size > kMaxKeySize)
        fail(ErrorKind::corrupt, "its key has an impossible size");
    header.offset = std::uint64_t{word(104)} * kSector;
    header.size = header.offset < device.size() ? align_down(device.size() - header.offset, kSector) : 0;
    header.digest.kdf = {KdfKind::pbkdf2, hash, word(164), 0, 0, 0, salt(132)};
    header.digest.digest.assign(bytes.begin() + 112, bytes.begin() + 132);
    std::uint64_t end = kHeader1;
    for (std::size_t i = 0; i < kSlots; ++i) {
        const std::size_t at = kSlotsAt + i * kSlotBytes;
        if (word(at) == kSlotFree)
            continue;
        if (word(at) != kSlotInUse)
            fail(ErrorKind::corrupt, "one of its slots for keys is damaged");
        KeySlot slot;
        slot.number = static_cast<std::uint32_t>(i);
        slot.kdf = {KdfKind::pbkdf2, hash, word(at + 4), 0, 0, 0, salt(at + 8)};
        slot.area_key_size = key_size;
        slot.area_cipher = header.cipher;
        slot.area_offset = std::uint64_t{word(at + 40)} * kSector;
        slot.stripes = word(at + 44);
        slot.stripe_hash = hash;
        slot.key_size = key_size;
        if (slot.stripes == 0 || slot.stripes > kMaxStripes)
            fail(ErrorKind::corrupt, "one of its slots for keys is damaged");
        end = std::max(end, slot.area_offset + align_up(slot.stripes * key_size, kSector));
        header.digest.slots.push_back(slot.number);
        header.slots.push_back(std::move(slot));
    }
    check_data(device, header, end);
    return header;
}

void check_data(const BlockDevice& device, const Header& header, std::uint64_t header_end) {
    if (header.offset == 0)
        fail(ErrorKind::unsupported, "its data lies apart from its header; join them, or decrypt it in the machine");
    if (header.offset < header_end || header.offset >= device.size() || header.size > device.size() - header.offset ||
        header.size == 0)
        fail(ErrorKind::corrupt, "its data lies in its header or outside of the device");
}

} // namespace vm2oci::luks
