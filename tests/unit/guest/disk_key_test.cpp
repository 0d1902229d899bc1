// What --key says: whom a key fits, and what of a file is tried.
#include "formats/base/error.hpp"
#include "libconvert/guest/disk_key.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>

namespace vm2oci {
namespace {

using namespace std::string_literals;

std::vector<std::string> secrets_in(const std::string& content) {
    const test::TemporaryFolder folder;
    const std::string path = folder.path() / "a key file";
    std::ofstream(path, std::ios::binary) << content;
    const DiskKey key = read_disk_key("all:file:" + path);
    CHECK(key.selector == "all");
    std::vector<std::string> result;
    for (const std::string_view secret : key.secrets())
        result.emplace_back(secret);
    return result;
}

TEST_CASE("keys fit what they name") {
    const DiskKey key{"A1B2", "secret"};
    CHECK(key.fits("/dev/sda2", "a1b2"));
    CHECK_FALSE(key.fits("/dev/sda2", "a1b3"));
    CHECK_FALSE(key.fits("/dev/sda2", ""));
    CHECK(DiskKey{"/dev/sda2", ""}.fits("/dev/sda2", "x"));
    CHECK_FALSE(DiskKey{"/dev/sda2", ""}.fits("/dev/sda22", "x"));
    CHECK_FALSE(DiskKey{"/dev/SDA2", ""}.fits("/dev/sda2", "x")); // only identifiers are of either case
    CHECK(DiskKey{"all", ""}.fits("/dev/sda2", "x"));
    CHECK_FALSE(DiskKey{"ALL", ""}.fits("/dev/sda2", "x"));
    for (const char* text : {"", "all", "all:file:", ":file:x", "all:key:secret", "all:FILE:x"}) {
        INFO(text);
        CHECK_THROWS_AS(read_disk_key(text), Error);
    }
}

TEST_CASE("of a key file the first line is tried, then all of it") {
    using Secrets = std::vector<std::string>;
    CHECK(secrets_in("passphrase") == Secrets{"passphrase"});
    CHECK(secrets_in("passphrase\n") == Secrets{"passphrase", "passphrase\n"});
    CHECK(secrets_in("passphrase\r\n") == Secrets{"passphrase\r", "passphrase\r\n"});
    CHECK(secrets_in("first\nsecond") == Secrets{"first", "first\nsecond"});
    CHECK(secrets_in("\nsecond") == Secrets{"\nsecond"});
    CHECK(secrets_in("\n") == Secrets{"\n"});
    CHECK(secrets_in("with a space \xc3\xa9") == Secrets{"with a space \xc3\xa9"});
    // What no passphrase is: a NUL in the first line, or more than 512 bytes of it.
    CHECK(secrets_in("a\0b\nc"s) == Secrets{"a\0b\nc"s});
    CHECK(secrets_in("a\nb\0c"s) == Secrets{"a", "a\nb\0c"s});
    CHECK(secrets_in("\0"s) == Secrets{"\0"s});
    CHECK(secrets_in(std::string(512, 'x') + "\n") == Secrets{std::string(512, 'x'), std::string(512, 'x') + "\n"});
    CHECK(secrets_in(std::string(513, 'x') + "\n") == Secrets{std::string(513, 'x') + "\n"});
}

TEST_CASE("key files that hold no key are refused by name") {
    const auto message = [](const std::string& content) {
        try {
            secrets_in(content);
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::usage);
            return std::string(error.what());
        }
        return std::string("taken");
    };
    CHECK_THAT(message(""), Catch::Contains("a key file") && Catch::Contains("it is empty"));
    CHECK(message(std::string(std::size_t{8} << 20U, '\1')) == "taken");
    CHECK_THAT(message(std::string((std::size_t{8} << 20U) + 1, '\1')), Catch::Contains("more than 8 MiB"));
    try {
        read_disk_key("all:file:/no/such/file");
        FAIL("read");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::not_found);
        CHECK_THAT(error.what(), Catch::Contains("/no/such/file"));
    }
}

} // namespace
} // namespace vm2oci
