// The bytes of a disk image that a test makes, and breaks, by hand.
#pragma once

#include "formats/base/endian.hpp"
#include "tests/support/memory_device.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace vm2oci::test {

// What is written behind the end makes the file longer, with zeros between.
class ImageBytes {
  public:
    std::vector<std::byte> bytes;

    std::uint64_t size() const { return bytes.size(); }

    void put(std::uint64_t offset, std::span<const std::byte> content) {
        if (offset + content.size() > bytes.size())
            bytes.resize(static_cast<std::size_t>(offset + content.size()));
        std::copy(content.begin(), content.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    void put(std::uint64_t offset, std::string_view text) {
        put(offset, std::as_bytes(std::span(text.data(), text.size())));
    }
    void fill(std::uint64_t offset, std::uint64_t length, std::uint8_t value) {
        put(offset, std::vector<std::byte>(static_cast<std::size_t>(length), std::byte{value}));
    }
    // The low `width` bytes of `value`, little- or big-endian.
    void put_le(std::uint64_t offset, std::size_t width, std::uint64_t value) {
        std::array<std::byte, 8> stored;
        store_le<std::uint64_t>(stored.data(), value);
        put(offset, std::span(stored).first(width));
    }
    void put_be(std::uint64_t offset, std::size_t width, std::uint64_t value) {
        std::array<std::byte, 8> stored;
        store_be<std::uint64_t>(stored.data(), value);
        put(offset, std::span(stored).last(width));
    }
    std::span<std::byte> at(std::uint64_t offset, std::uint64_t length) {
        if (offset + length > bytes.size())
            throw std::out_of_range("behind the end of the image");
        return std::span(bytes).subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
    }
    // Up to a multiple of `unit`.
    void align(std::uint64_t unit) { bytes.resize(static_cast<std::size_t>((size() + unit - 1) / unit * unit)); }

    std::shared_ptr<MemoryDevice> device() const {
        auto device = std::make_shared<MemoryDevice>(bytes.size());
        if (!bytes.empty())
            device->put(0, std::span<const std::byte>(bytes));
        return device;
    }
};

} // namespace vm2oci::test
