#include "libconvert/registry/challenge.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci::registry;

TEST_CASE("a bearer challenge is read") {
    const auto found = parse_challenges(
        R"(Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a/b:pull,push",error="invalid_token")");
    REQUIRE(found.size() == 1);
    CHECK(found[0].scheme == AuthScheme::bearer);
    CHECK(found[0].realm == "https://auth.test/token");
    CHECK(found[0].service == "registry.test");
    CHECK(found[0].scope == "repository:a/b:pull,push");
    CHECK(found[0].error == "invalid_token");
}

TEST_CASE("several challenges in one header are told apart") {
    const auto found = parse_challenges(R"(Negotiate, Basic realm="a, b", bearer REALM = "x\"y" , service=plain)");
    REQUIRE(found.size() == 3);
    CHECK(found[0].scheme == AuthScheme::other);
    CHECK(found[1].scheme == AuthScheme::basic);
    CHECK(found[1].realm == "a, b");
    CHECK(found[2].scheme == AuthScheme::bearer);
    CHECK(found[2].realm == "x\"y");
    CHECK(found[2].service == "plain");
}

TEST_CASE("what is no challenge ends quietly") {
    CHECK(parse_challenges("").empty());
    CHECK(parse_challenges(" , ,").empty());
    CHECK(parse_challenges("\"").empty());
    const auto open = parse_challenges(R"(Bearer realm="never closed)");
    REQUIRE(open.size() == 1);
    CHECK(open[0].realm == "never closed");
    CHECK(parse_challenges(R"(Bearer realm="x\)").size() == 1);
    CHECK(parse_challenges("Bearer realm=").at(0).realm.empty());
    std::string many;
    for (int i = 0; i < 1000; ++i)
        many += "Basic realm=x, ";
    CHECK(parse_challenges(many).size() <= 16);
}
