#include "formats/btrfs/checksum.hpp"

#include "formats/base/crc32c.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/sha256.hpp"

#include <blake2.h>
#include <xxhash.h>

#include <algorithm>

namespace vm2oci::btrfs {

std::size_t checksum_size(ChecksumType type) {
    switch (type) {
    case ChecksumType::crc32c:
        return 4;
    case ChecksumType::xxhash64:
        return 8;
    case ChecksumType::sha256:
    case ChecksumType::blake2b:
        break;
    }
    return 32;
}

Checksum checksum_of(ChecksumType type, std::span<const std::byte> bytes) {
    Checksum sum{};
    switch (type) {
    case ChecksumType::crc32c:
        store_le(sum.data(), crc32c(bytes));
        break;
    case ChecksumType::xxhash64:
        store_le<std::uint64_t>(sum.data(), XXH64(bytes.data(), bytes.size(), 0));
        break;
    case ChecksumType::sha256:
        sum = sha256(bytes);
        break;
    case ChecksumType::blake2b:
        blake2b(reinterpret_cast<std::uint8_t*>(sum.data()), bytes.data(), nullptr, sum.size(), bytes.size(), 0);
        break;
    }
    return sum;
}

bool has_checksum(ChecksumType type, std::span<const std::byte> bytes, std::span<const std::byte> stored) {
    const Checksum sum = checksum_of(type, bytes);
    return std::equal(sum.begin(), sum.begin() + static_cast<std::ptrdiff_t>(checksum_size(type)), stored.begin());
}

} // namespace vm2oci::btrfs
