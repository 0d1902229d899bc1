#include "formats/base/error.hpp"
#include "libconvert/registry/token.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::registry;
using std::chrono::seconds;

TEST_CASE("a token answer is read under both names") {
    CHECK(parse_token_answer(R"({"token":"abc","expires_in":300})").value == "abc");
    CHECK(parse_token_answer(R"({"token":"abc","expires_in":300})").lifetime == seconds(300));
    CHECK(parse_token_answer(R"({"access_token":"xyz"})").value == "xyz");
    CHECK(parse_token_answer(R"({"access_token":"xyz"})").lifetime == seconds(60));
    CHECK(parse_token_answer(R"({"token":"a","expires_in":-5})").lifetime == seconds(60));
    CHECK(parse_token_answer(R"({"token":"a","expires_in":1e300})").lifetime == std::chrono::hours(24));
}

TEST_CASE("a token that cannot be sent is refused and not shown") {
    for (const char* text : {"", "[]", "{}", R"({"token":""})", R"({"token":"s3cret\r\nX: y"})",
                             R"({"token":"s3cret b"})", R"({"token":5})", "<html>s3cret</html>"}) {
        INFO(text);
        try {
            parse_token_answer(text);
            FAIL("it was accepted");
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::external);
            CHECK(std::string(error.what()).find("s3cret") == std::string::npos);
        }
    }
}

TEST_CASE("a cached token ends before it expires and can be forgotten") {
    TokenCache cache;
    const TokenCache::TimePoint start{};
    cache.store("scope", {"one", seconds(60)}, start);
    CHECK(cache.find("scope", start) == "one");
    CHECK(cache.find("other", start) == std::nullopt);
    CHECK(cache.find("scope", start + seconds(54)) == "one");
    CHECK(cache.find("scope", start + seconds(56)) == std::nullopt);
    cache.forget("scope", "another one");
    CHECK(cache.find("scope", start) == "one");
    cache.forget("scope", "one");
    CHECK(cache.find("scope", start) == std::nullopt);
}
