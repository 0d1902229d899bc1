#include "formats/base/error.hpp"
#include "libconvert/registry/url.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::registry;

TEST_CASE("an address is taken apart and put together again") {
    const Url url = parse_url("HTTPS://Registry.Test:8443/v2/a%2Fb?x=1&y=%20#part");
    CHECK(url.scheme == "https");
    CHECK(url.host == "registry.test");
    CHECK(url.port == 8443);
    CHECK(url.path_and_query == "/v2/a%2Fb?x=1&y=%20");
    CHECK(url.text() == "https://registry.test:8443/v2/a%2Fb?x=1&y=%20");
    CHECK(parse_url("http://[::1]:5000/").host_and_port() == "[::1]:5000");
    CHECK(parse_url("https://registry.test:443/a").text() == "https://registry.test/a");
    CHECK(parse_url("http://registry.test:443/").host_and_port() == "registry.test:443");
}

TEST_CASE("addresses that could mislead are refused") {
    for (const char* text :
         {"https://user:secret@registry.test/", "https://user@registry.test/", "ftp://registry.test/",
          "file:///etc/passwd", "https://", "https://a b/", "https://a/\r\nX: y", "", "https://a:99999/"}) {
        INFO(text);
        try {
            parse_url(text);
            FAIL("it was accepted");
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::external);
            CHECK(error.message().find("secret") == std::string::npos);
        }
    }
}

TEST_CASE("a Location is resolved as RFC 3986 has it") {
    const Url base = parse_url("https://registry.test:5000/v2/a/blobs/uploads/");
    CHECK(resolve_url(base, "/v2/a/blobs/uploads/1?state=x").text() ==
          "https://registry.test:5000/v2/a/blobs/uploads/1?state=x");
    CHECK(resolve_url(base, "17?s=y").text() == "https://registry.test:5000/v2/a/blobs/uploads/17?s=y");
    CHECK(resolve_url(base, "//other.test/b").text() == "https://other.test/b");
    CHECK(resolve_url(base, "http://other.test/b").text() == "http://other.test/b");
    CHECK_THROWS_AS(resolve_url(base, ""), Error);
    CHECK_THROWS_AS(resolve_url(base, "https://a:b@other.test/"), Error);
}

TEST_CASE("the origin is scheme, host and port") {
    const Url url = parse_url("https://registry.test/a");
    CHECK(url.same_origin(parse_url("https://registry.test:443/b")));
    CHECK_FALSE(url.same_origin(parse_url("http://registry.test:443/a")));
    CHECK_FALSE(url.same_origin(parse_url("https://registry.test.evil.test/a")));
    CHECK_FALSE(url.same_origin(parse_url("https://registry.test:444/a")));
}

TEST_CASE("query values are encoded") {
    CHECK(with_query(parse_url("https://a.test/x"), "digest", "sha256:0f").text() ==
          "https://a.test/x?digest=sha256%3A0f");
    CHECK(with_query(parse_url("https://a.test/x?y=1"), "s", "a&b=c d").text() ==
          "https://a.test/x?y=1&s=a%26b%3Dc%20d");
}

TEST_CASE("only this machine is loopback") {
    CHECK(is_loopback("localhost"));
    CHECK(is_loopback("127.0.0.1"));
    CHECK(is_loopback("127.8.9.1"));
    CHECK(is_loopback("[::1]"));
    CHECK_FALSE(is_loopback("127.0.0.1.evil.test"));
    CHECK_FALSE(is_loopback("localhost.evil.test"));
    CHECK_FALSE(is_loopback("127.1"));
    CHECK_FALSE(is_loopback("128.0.0.1"));
}
