#include "formats/base/checked.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

TEST_CASE("checked arithmetic refuses what would wrap") {
    CHECK(checked_add<std::uint64_t>(1, 2, "sum") == 3);
    CHECK_THROWS_AS(checked_add<std::uint64_t>(~0ULL, 1, "sum"), Error);
    CHECK(checked_multiply<std::uint32_t>(65535, 65537, "product") == 4294967295U);
    CHECK_THROWS_AS(checked_multiply<std::uint32_t>(65536, 65536, "product"), Error);
    CHECK_THROWS_AS(checked_subtract<std::uint64_t>(1, 2, "difference"), Error);
    CHECK(checked_cast<std::uint8_t>(255, "byte") == 255);
    CHECK_THROWS_AS(checked_cast<std::uint8_t>(256, "byte"), Error);
    CHECK_THROWS_AS(checked_cast<std::uint32_t>(-1, "count"), Error);
}

TEST_CASE("alignment works for any unit and for the largest offsets") {
    CHECK(align_up(0, 512) == 0);
    CHECK(align_up(1, 512) == 512);
    CHECK(align_up(512, 512) == 512);
    CHECK(align_up(10, 3) == 12);
    CHECK_THROWS_AS(align_up(~0ULL, 512), Error);
    CHECK(align_down(1023, 512) == 512);
    CHECK(divide_up(~0ULL, 2) == 1ULL << 63);
}
