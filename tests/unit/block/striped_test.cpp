#include "formats/base/error.hpp"
#include "formats/block/striped.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

std::shared_ptr<test::MemoryDevice> filled(std::uint64_t size, std::uint8_t value) {
    auto disk = std::make_shared<test::MemoryDevice>(size);
    disk->fill(0, size, value);
    return disk;
}

} // namespace

TEST_CASE("stripes come from each disk in turn") {
    const auto second = std::make_shared<test::MemoryDevice>(4096); // never written
    const StripedDevice device({filled(4096, 1), second, filled(4096, 3)}, 1024);
    REQUIRE(device.size() == 3 * 4096);
    std::vector<std::byte> all(device.size());
    device.read_at(0, all);
    for (std::size_t at = 0; at < all.size(); ++at) {
        constexpr unsigned kValues[] = {1, 0, 3};
        if (std::to_integer<unsigned>(all[at]) != kValues[at / 1024 % 3])
            FAIL("another byte at " << at);
    }
    std::vector<std::byte> part(2000);
    device.read_at(1023, part);
    CHECK(part[0] == std::byte{1});
    CHECK(part[1] == std::byte{0});
    CHECK(part[1025] == std::byte{3});
    CHECK(device.extent_at(100).length == 924);
    CHECK(device.extent_at(100).kind == ExtentKind::data);
    CHECK(device.extent_at(1024).kind == ExtentKind::unallocated);
    CHECK(device.extent_at(1024).length == 1024);
    CHECK_THROWS_AS(device.read_at(device.size() - 1, part), Error);
}

TEST_CASE("stripes that do not fit are refused") {
    CHECK_THROWS_AS(StripedDevice({}, 512), Error);
    CHECK_THROWS_AS(StripedDevice({filled(4096, 1)}, 0), Error);
    CHECK_THROWS_AS(StripedDevice({filled(4096, 1), filled(8192, 1)}, 512), Error);
    CHECK_THROWS_AS(StripedDevice({filled(4096, 1)}, 3000), Error);
}
