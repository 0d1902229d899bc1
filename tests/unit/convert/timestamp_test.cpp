#include "formats/base/error.hpp"
#include "libconvert/package/timestamp.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

using namespace vm2oci;

TEST_CASE("times are read in every form that people use") {
    CHECK(parse_timestamp("0") == 0);
    CHECK(parse_timestamp("@1700000000") == 1700000000);
    CHECK(parse_timestamp("2023-11-14T22:13:20Z") == 1700000000);
    CHECK(parse_timestamp("2023-11-14 23:13:20.999+01:00") == 1700000000);
    CHECK(parse_timestamp("2023-11-14T16:43:20-05:30") == 1700000000);
    CHECK(parse_timestamp("1969-12-31") == -86400);
    for (const char* bad : {"", "yesterday", "2023-02-30", "2023-11-14T25:00:00Z", "2023-11-14T22:13:20", "1e9",
                            "99999999999999", "2023-11-14T22:13:20+1"})
        CHECK_THROWS_AS(parse_timestamp(bad), Error);
}

TEST_CASE("times are printed in UTC") {
    CHECK(format_timestamp(0) == "1970-01-01T00:00:00Z");
    CHECK(format_timestamp(1700000000) == "2023-11-14T22:13:20Z");
    CHECK(format_timestamp(-1) == "1969-12-31T23:59:59Z");
    CHECK(format_timestamp(253402300799) == "9999-12-31T23:59:59Z");
}

TEST_CASE("SOURCE_DATE_EPOCH is the default time") {
    ::unsetenv("SOURCE_DATE_EPOCH");
    CHECK(default_timestamp() == 0);
    ::setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
    CHECK(default_timestamp() == 1700000000);
    ::setenv("SOURCE_DATE_EPOCH", "today", 1);
    CHECK_THROWS_AS(default_timestamp(), Error);
    ::unsetenv("SOURCE_DATE_EPOCH");
}
