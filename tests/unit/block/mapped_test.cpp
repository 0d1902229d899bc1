#include "formats/base/crc32c.hpp"
#include "formats/block/mapped/range_set.hpp"
#include "formats/block/mapped/survey.hpp"
#include "tests/unit/block/foreign_fixture.hpp"

using namespace vm2oci;
using namespace vm2oci::test;
using mapped::RangeSet;

TEST_CASE("ranges in any order may touch, and not lie over each other") {
    RangeSet set;
    for (const std::uint64_t begin : {40U, 0U, 20U, 10U, 30U})
        set.add(begin, begin + 10);
    CHECK_NOTHROW(set.check());
    set.add(50, 50); // nothing
    set.add(60, 70);
    CHECK_NOTHROW(set.check());
    const auto [begin, end] =
        GENERATE(std::pair<std::uint64_t, std::uint64_t>{0, 1}, std::pair<std::uint64_t, std::uint64_t>{49, 50},
                 std::pair<std::uint64_t, std::uint64_t>{55, 61}, std::pair<std::uint64_t, std::uint64_t>{69, 100},
                 std::pair<std::uint64_t, std::uint64_t>{60, 70});
    set.add(begin, end);
    CHECK(error_of([&] { set.check(); }).kind() == ErrorKind::corrupt);
}

TEST_CASE("many ranges without gaps cost nothing, and many with gaps are a limit") {
    RangeSet dense;
    constexpr std::uint64_t count = 6'000'000;
    for (std::uint64_t i = 0; i < count; ++i)
        dense.add((i ^ 1) * 8, (i ^ 1) * 8 + 8); // in pairs, swapped
    CHECK_NOTHROW(dense.check());
    dense.add(8 * 77, 8 * 77 + 1);
    CHECK_THROWS_AS(dense.check(), Error);
    const auto scatter = [&] {
        RangeSet scattered;
        for (std::uint64_t i = 0; i < count; ++i)
            scattered.add(i * 16, i * 16 + 8);
    };
    CHECK(error_of(scatter).kind() == ErrorKind::limit);
}

TEST_CASE("the last unit of a file may end on a sector") {
    CHECK(mapped::is_stored(4096, 0, 4096, 4096));
    CHECK(mapped::is_stored(4096, 4096, 8192, 4608));
    CHECK_FALSE(mapped::is_stored(4096, 4096, 8192, 4096));
    CHECK_FALSE(mapped::is_stored(4096, 4096, 8192, 4600));
    CHECK_FALSE(mapped::is_stored(4096, 0, 8192, 4096));
}

TEST_CASE("CRC-32C of what everybody computes it of") {
    CHECK(crc32c({}) == 0);
    CHECK(crc32c(as_bytes("123456789")) == 0xe3069283);
    CHECK(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))) == 0xe3069283);
    CHECK(crc32c(std::vector<std::byte>(32)) == 0x8a9136aa); // RFC 3720, B.4
}
