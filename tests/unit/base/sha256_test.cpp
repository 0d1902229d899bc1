#include "formats/base/fd.hpp"
#include "formats/base/sha256.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

TEST_CASE("SHA-256 of the FIPS 180-4 examples, in one piece and in two") {
    const std::string expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    CHECK(to_hex(sha256(as_bytes("abc"))) == expected);
    Sha256 hash;
    hash.update(as_bytes("a"));
    hash.update(as_bytes("bc"));
    CHECK(to_hex(hash.finish()) == expected);
}
