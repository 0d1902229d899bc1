#include "formats/base/error.hpp"

#include <catch2/catch.hpp>

#include <cerrno>

using namespace vm2oci;

TEST_CASE("context is put in front, outermost first") {
    try {
        with_context("reading a.qcow2",
                     [] { with_context("L1 table", [] { fail(ErrorKind::corrupt, "too large"); }); });
        FAIL("nothing was thrown");
    } catch (const Error& error) {
        CHECK(std::string(error.what()) == "reading a.qcow2: L1 table: too large");
        CHECK(error.kind() == ErrorKind::corrupt);
        CHECK(error.message() == "too large");
        CHECK(error.context().size() == 2);
    }
}

TEST_CASE("with_context returns what its body returns") {
    CHECK(with_context("adding", [] { return 41 + 1; }) == 42);
}

TEST_CASE("a missing file is not_found, other system errors are io") {
    CHECK_THROWS_MATCHES(fail_errno("open x", ENOENT), Error,
                         Catch::Predicate<Error>([](const Error& e) { return e.kind() == ErrorKind::not_found; }));
    CHECK_THROWS_MATCHES(fail_errno("open x", EACCES), Error, Catch::Predicate<Error>([](const Error& e) {
                             return e.kind() == ErrorKind::io && std::string(e.what()) == "open x: Permission denied";
                         }));
}
