#include "formats/base/error.hpp"
#include "formats/block/padded.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::MemoryDevice;

TEST_CASE("a padded disk reads as zeros behind the disk's end") {
    const auto disk = std::make_shared<MemoryDevice>(1000);
    disk->fill(0, 1000, 7);
    const PaddedDevice padded(disk, 5000);
    std::vector<std::byte> content(5000, std::byte{0xee});
    padded.read_at(0, content);
    for (std::size_t at = 0; at < content.size(); ++at)
        REQUIRE(content[at] == std::byte(at < 1000 ? 7 : 0));
    std::vector<std::byte> tail(100, std::byte{0xee});
    padded.read_at(2000, tail);
    CHECK(is_zero(tail));
    CHECK(padded.extent_at(0).kind == ExtentKind::data);
    CHECK(padded.extent_at(0).length == 1000);
    CHECK(padded.extent_at(1000).kind == ExtentKind::unallocated);
    CHECK(padded.extent_at(1000).length == 4000);
    CHECK_THROWS_AS(padded.read_at(4999, std::span(tail).first(2)), Error);
    CHECK_THROWS_AS(PaddedDevice(disk, 999), Error);
}

TEST_CASE("a raw image has whole sectors") {
    const auto sectors = std::make_shared<MemoryDevice>(1024);
    const auto odd = std::make_shared<MemoryDevice>(1000);
    CHECK(raw_image(sectors) == sectors);
    CHECK(raw_image(odd)->size() == 1024);
    CHECK(raw_image(odd, 1025)->size() == 1536);
    CHECK_THROWS_AS(raw_image(odd, 999), Error);
}
