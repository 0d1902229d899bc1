#include "formats/codec/xxh64.hpp"

#include "formats/base/endian.hpp"

#include <bit>

namespace vm2oci {
namespace {

constexpr std::uint64_t kPrime1 = 0x9E3779B185EBCA87;
constexpr std::uint64_t kPrime2 = 0xC2B2AE3D27D4EB4F;
constexpr std::uint64_t kPrime3 = 0x165667B19E3779F9;
constexpr std::uint64_t kPrime4 = 0x85EBCA77C2B2AE63;
constexpr std::uint64_t kPrime5 = 0x27D4EB2F165667C5;
constexpr std::size_t kStripe = 32; // four lanes of eight bytes

std::uint64_t round(std::uint64_t lane, std::uint64_t input) {
    return std::rotl(lane + input * kPrime2, 31) * kPrime1;
}

std::uint64_t merge(std::uint64_t sum, std::uint64_t lane) {
    return (sum ^ round(0, lane)) * kPrime1 + kPrime4;
}

} // namespace

std::uint64_t xxh64(std::span<const std::byte> bytes) {
    const std::byte* at = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t sum = kPrime5;
    if (left >= kStripe) {
        std::uint64_t lane1 = kPrime1 + kPrime2;
        std::uint64_t lane2 = kPrime2;
        std::uint64_t lane3 = 0;
        std::uint64_t lane4 = 0 - kPrime1;
        for (; left >= kStripe; left -= kStripe, at += kStripe) {
            lane1 = round(lane1, load_le<std::uint64_t>(at));
            lane2 = round(lane2, load_le<std::uint64_t>(at + 8));
            lane3 = round(lane3, load_le<std::uint64_t>(at + 16));
            lane4 = round(lane4, load_le<std::uint64_t>(at + 24));
        }
        sum = std::rotl(lane1, 1) + std::rotl(lane2, 7) + std::rotl(lane3, 12) + std::rotl(lane4, 18);
        for (const std::uint64_t lane : {lane1, lane2, lane3, lane4})
            sum = merge(sum, lane);
    }
    sum += bytes.size();
    for (; left >= 8; left -= 8, at += 8)
        sum = std::rotl(sum ^ round(0, load_le<std::uint64_t>(at)), 27) * kPrime1 + kPrime4;
    if (left >= 4) {
        sum = std::rotl(sum ^ load_le<std::uint32_t>(at) * kPrime1, 23) * kPrime2 + kPrime3;
        left -= 4;
        at += 4;
    }
    for (; left > 0; --left, ++at)
        sum = std::rotl(sum ^ std::to_integer<std::uint64_t>(*at) * kPrime5, 11) * kPrime1;
    sum = (sum ^ sum >> 33) * kPrime2;
    sum = (sum ^ sum >> 29) * kPrime3;
    return sum ^ sum >> 32;
}

} // namespace vm2oci
