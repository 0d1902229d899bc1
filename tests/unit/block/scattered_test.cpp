#include "formats/base/error.hpp"
#include "formats/block/scattered.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace vm2oci;
using test::MemoryDevice;

namespace {

std::vector<std::byte> bytes_at(const BlockDevice& device, std::uint64_t offset, std::size_t size) {
    std::vector<std::byte> bytes(size, std::byte{0x77});
    device.read_at(offset, bytes);
    return bytes;
}

} // namespace

TEST_CASE("a scattered disk has its pieces in their places, and zeros between them") {
    const auto stored = std::make_shared<MemoryDevice>(3000);
    stored->fill(0, 1000, 1).fill(1000, 500, 2).fill(1500, 1500, 3);
    const ScatteredDevice disk(stored, {{100, 1000}, {1100, 500}, {5000, 0}, {6000, 1500}}, 10000);
    REQUIRE(disk.size() == 10000);
    const std::vector<std::byte> all = bytes_at(disk, 0, 10000);
    for (std::size_t i = 0; i < all.size(); ++i) {
        const int expected = i < 100 ? 0 : i < 1100 ? 1 : i < 1600 ? 2 : i < 6000 ? 0 : i < 7500 ? 3 : 0;
        REQUIRE(std::to_integer<int>(all[i]) == expected);
    }
    for (const std::size_t at : {0U, 99U, 100U, 1099U, 1599U, 1600U, 5999U, 7499U, 9990U})
        CHECK(bytes_at(disk, at, 10) == std::vector<std::byte>(all.begin() + static_cast<std::ptrdiff_t>(at),
                                                               all.begin() + static_cast<std::ptrdiff_t>(at) + 10));
    CHECK(disk.extent_at(0).length == 100);
    CHECK(disk.extent_at(0).kind == ExtentKind::unallocated);
    CHECK(disk.extent_at(150).kind == ExtentKind::data);
    CHECK(disk.extent_at(1600).length == 4400);
    CHECK(disk.extent_at(7500).length == 2500);
}

TEST_CASE("pieces that do not fit are refused") {
    const auto stored = std::make_shared<MemoryDevice>(10);
    const std::vector<ScatteredDevice::Piece> pieces =
        GENERATE(std::vector<ScatteredDevice::Piece>{{0, 9}}, std::vector<ScatteredDevice::Piece>{{0, 5}, {4, 5}},
                 std::vector<ScatteredDevice::Piece>{{95, 10}}, std::vector<ScatteredDevice::Piece>{{101, 10}});
    CHECK_THROWS_AS(ScatteredDevice(stored, pieces, 100), Error);
}
