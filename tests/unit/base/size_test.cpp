#include "formats/base/error.hpp"
#include "formats/base/size.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

TEST_CASE("sizes are read as people write them") {
    CHECK(parse_size("4096") == 4096);
    CHECK(parse_size("20G") == 20 * GiB);
    CHECK(parse_size("512MiB") == 512 * MiB);
    CHECK(parse_size("1.5t") == TiB + TiB / 2);
    CHECK(parse_size("10kB") == 10 * KiB);
    CHECK(parse_size("9007199254740993") == 9007199254740993ULL); // 2^53 + 1
    for (const char* bad : {"", "G", "-1", "1X", "1GG", "0x10", "1 G", "inf", "99999999E"})
        CHECK_THROWS_AS(parse_size(bad), Error);
}

TEST_CASE("sizes are printed with one decimal") {
    CHECK(format_size(17) == "17 B");
    CHECK(format_size(64 * KiB) == "64 KiB");
    CHECK(format_size(GiB + GiB / 5) == "1.2 GiB");
}

TEST_CASE("durations add up") {
    using namespace std::chrono_literals;
    CHECK(parse_duration("90s") == 90s);
    CHECK(parse_duration("1h30m") == 90min);
    CHECK(parse_duration("250ms") == 250ms);
    CHECK(parse_duration("120") == 120s);
    for (const char* bad : {"", "s", "5x", "-3s", "1h m"})
        CHECK_THROWS_AS(parse_duration(bad), Error);
}
