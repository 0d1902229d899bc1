// Inside of the room: a range of a device in which signatures are looked for.
#pragma once

#include "formats/base/endian.hpp"
#include "formats/block/block_device.hpp"
#include "formats/partition/signature.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::signatures {

inline std::string hexadecimal(std::uint64_t value, unsigned digits, std::string_view alphabet = "0123456789ABCDEF") {
    std::string text;
    for (unsigned i = digits; i > 0; --i)
        text += alphabet[value >> (i - 1) * 4U & 15U];
    return text;
}

// A range of the device; beyond the end it reads as zeros, which no magic number is.
class Window {
  public:
    Window(const BlockDevice& device, std::uint64_t offset, std::size_t length) : bytes_(length) {
        if (offset >= device.size())
            return;
        const std::uint64_t available = std::min<std::uint64_t>(length, device.size() - offset);
        device.read_at(offset, std::span(bytes_).first(static_cast<std::size_t>(available)));
    }

    bool has(std::size_t at, std::string_view magic) const {
        return std::memcmp(bytes_.data() + at, magic.data(), magic.size()) == 0;
    }
    std::span<const std::byte> first(std::size_t length) const { return std::span(bytes_).first(length); }
    template <class T>
    T le(std::size_t at) const {
        return load_le<T>(bytes_.data() + at);
    }
    template <class T>
    T be(std::size_t at) const {
        return load_be<T>(bytes_.data() + at);
    }
    // A field of fixed width, ended by its first NUL or its trailing blanks.
    std::string text(std::size_t at, std::size_t width) const {
        std::string value(reinterpret_cast<const char*>(bytes_.data() + at), width);
        value.resize(std::min(value.find('\0'), value.size()));
        while (!value.empty() && value.back() == ' ')
            value.pop_back();
        return value;
    }
    // Sixteen bytes as 8-4-4-4-12; empty when all are zero.
    std::string uuid(std::size_t at) const {
        std::string value;
        bool any = false;
        for (std::size_t i = 0; i < 16; ++i) {
            if (i == 4 || i == 6 || i == 8 || i == 10)
                value += '-';
            const unsigned byte = std::to_integer<unsigned>(bytes_[at + i]);
            any = any || byte != 0;
            value += hexadecimal(byte, 2, "0123456789abcdef");
        }
        return any ? value : std::string();
    }

  private:
    std::vector<std::byte> bytes_;
};

// Of systems, volume managers and file systems that this program names and does not read; facts are libblkid's.
// Those with a magic number of four bytes or more, which nothing else's data are likely to hold.
std::optional<Signature> probe_foreign(const BlockDevice& device, const Window& head);
// The image of a suspended system in a swap area.
std::optional<Signature> probe_suspended(const BlockDevice& device, const Window& head);
// The label in the root folder of a FAT file system, which goes before that of its boot sector; nullopt: it has none.
std::optional<std::string> read_fat_label(const BlockDevice& device, const Window& head);

} // namespace vm2oci::signatures
