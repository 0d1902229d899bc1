#include "formats/base/error.hpp"
#include "formats/ext4/attributes.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace std::string_literals;

TEST_CASE("an access control list becomes that of the system call") {
    // user::rw-, user:1000:r--, group::r--, mask::r--, other::---
    const std::string stored = "\1\0\0\0"
                               "\1\0\6\0"
                               "\2\0\4\0\xe8\3\0\0"
                               "\4\0\4\0"
                               "\x10\0\4\0"
                               "\x20\0\0\0"s;
    const std::string none = "\xff\xff\xff\xff"s;
    const std::string expected = "\2\0\0\0"s + "\1\0\6\0"s + none + "\2\0\4\0\xe8\3\0\0"s + "\4\0\4\0"s + none +
                                 "\x10\0\4\0"s + none + "\x20\0\0\0"s + none;
    CHECK(convert_acl(stored) == expected);
}

TEST_CASE("a damaged access control list is refused") {
    CHECK_THROWS_AS(convert_acl(""), Error);
    CHECK_THROWS_AS(convert_acl("\2\0\0\0"s), Error);
    CHECK_THROWS_AS(convert_acl("\1\0\0\0\1\0"s), Error);
    CHECK_THROWS_AS(convert_acl("\1\0\0\0\2\0\4\0\1"s), Error);
}
