#include "formats/base/crc32c.hpp"

#include "formats/base/endian.hpp"

#include <array>

namespace vm2oci {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78; // reflected
constexpr std::size_t kSlices = 8;

using CrcTables = std::array<std::array<std::uint32_t, 256>, kSlices>;

// Table k holds what a byte adds that k more bytes follow.
constexpr CrcTables make_crc_tables() {
    CrcTables tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t value = byte;
        for (int bit = 0; bit < 8; ++bit)
            value = value >> 1 ^ ((value & 1) != 0 ? kPolynomial : 0);
        tables[0][byte] = value;
    }
    for (std::size_t k = 1; k < kSlices; ++k)
        for (std::size_t byte = 0; byte < 256; ++byte)
            tables[k][byte] = tables[k - 1][byte] >> 8 ^ tables[0][tables[k - 1][byte] & 0xff];
    return tables;
}

constexpr CrcTables kCrcTables = make_crc_tables();

} // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t so_far) {
    std::uint32_t crc = ~so_far;
    while (bytes.size() >= kSlices) {
        const std::uint64_t word = load_le<std::uint64_t>(bytes.data()) ^ crc;
        crc = 0;
        for (std::size_t i = 0; i < kSlices; ++i)
            crc ^= kCrcTables[kSlices - 1 - i][word >> (8 * i) & 0xff];
        bytes = bytes.subspan(kSlices);
    }
    for (const std::byte byte : bytes)
        crc = crc >> 8 ^ kCrcTables[0][(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xff];
    return ~crc;
}

} // namespace vm2oci
