#include "formats/base/error.hpp"
#include "libconvert/package/architecture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

TEST_CASE("architectures are given in Go's names, whatever they are called") {
    CHECK(parse_architecture("x86_64") == "amd64");
    CHECK(parse_architecture("amd64") == "amd64");
    CHECK(parse_architecture("aarch64") == "arm64");
    CHECK(parse_architecture("riscv64") == "riscv64");
    CHECK(parse_architecture("linux/s390x") == "s390x");
    CHECK(parse_wanted_platform("linux/armhf") == "arm");
    CHECK(parse_wanted_platform("linux/arm/v6") == "arm/v6");
    CHECK_THROWS_WITH(parse_architecture("freebsd/arm64"), Catch::Contains("freebsd") && Catch::Contains("name arm64"));
    CHECK_THROWS_WITH(parse_wanted_platform("linux/vax"), Catch::Contains("linux/arm64"));
    CHECK_THROWS_AS(parse_architecture("vax"), Error);
    CHECK_THROWS_AS(parse_architecture(""), Error);
    CHECK_FALSE(host_architecture().empty());
}
