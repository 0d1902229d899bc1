#include "formats/base/error.hpp"
#include "formats/base/system_error.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <filesystem>
#include <system_error>

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
    CHECK_THROWS_WITH(fail_errno("cannot write y", EFBIG), Catch::Contains("this process, or the file system, allows"));
}

TEST_CASE("what the standard library throws is said in words") {
    const auto denied = std::make_error_code(std::errc::permission_denied);
    CHECK(refused_by_system(std::filesystem::filesystem_error("status", "/srv/a\nb", denied)).message() ==
          "cannot access /srv/a\\x0ab: Permission denied");
    CHECK_THAT(
        refused_by_system(std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again))).message(),
        Catch::Contains("cannot start a thread") && Catch::Contains("container"));
    CHECK_THAT(refused_by_system(std::system_error(denied, "x")).message(), Catch::Contains("refused: x"));
}
