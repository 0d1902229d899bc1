#include "formats/block/block_device.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace vm2oci;

TEST_CASE("one byte that is not zero is found wherever it lies") {
    CHECK(is_zero({}));
    for (const std::size_t size : {1U, 2U, 31U, 32U, 33U, 255U, 256U, 257U, 1000U}) {
        std::vector<std::byte> bytes(size);
        REQUIRE(is_zero(bytes));
        for (std::size_t at = 0; at < size; ++at) {
            bytes[at] = std::byte{0x80};
            REQUIRE_FALSE(is_zero(bytes));
            REQUIRE(is_zero(std::span(bytes).first(at)));
            REQUIRE(is_zero(std::span(bytes).subspan(at + 1)));
            bytes[at] = std::byte{0};
        }
    }
}

TEST_CASE("a run of equal bytes that are not zero is not zero") {
    const std::vector<std::byte> bytes(4096, std::byte{7});
    CHECK_FALSE(is_zero(bytes));
}
