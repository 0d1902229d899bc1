#include "formats/base/error.hpp"
#include "libconvert/registry/registries_conf.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::registry;

namespace {

constexpr const char* kConfiguration = R"(
unqualified-search-registries = ["a.test", "b.test"]
[[registry]]
prefix = "registry.test/team"   # with a "comment"
location = 'internal.test:5000/mirror#1'
insecure = true

  [[registry.mirror]]
  location = "near.test/cache"
  [[registry.mirror]]
  location = "digests.test"
  pull-from-mirror = "digest-only"
  insecure = true

[[registry]]
location = "registry.test"

[[registry]]
prefix = "*.corp.test"
insecure = true

[[registry]]
location = "evil.test"
blocked = true

[aliases]
"location" = "nowhere.test"
)";

} // namespace

TEST_CASE("registries.conf says where a repository is") {
    const auto entries = parse_registries_conf(kConfiguration);
    REQUIRE(entries.size() == 4);
    const auto by_tag = endpoints_for(entries, "registry.test", "team/disk", ReferenceBy::tag, Mirrors::use);
    REQUIRE(by_tag.size() == 2);
    CHECK(by_tag[0].registry == "near.test");
    CHECK(by_tag[0].repository == "cache/disk");
    CHECK_FALSE(by_tag[0].insecure);
    CHECK(by_tag[1].registry == "internal.test:5000");
    CHECK(by_tag[1].repository == "mirror#1/disk");
    CHECK(by_tag[1].insecure);
    const auto by_digest = endpoints_for(entries, "registry.test", "team/disk", ReferenceBy::digest, Mirrors::use);
    REQUIRE(by_digest.size() == 3);
    CHECK(by_digest[1].registry == "digests.test");
    CHECK(by_digest[1].repository == "disk");
    CHECK(by_digest[1].insecure);
    CHECK(endpoints_for(entries, "registry.test", "team/disk", ReferenceBy::tag, Mirrors::skip).size() == 1);
}

TEST_CASE("a prefix ends where a part of the name ends") {
    const auto entries = parse_registries_conf(kConfiguration);
    const auto other = endpoints_for(entries, "registry.test", "teams/disk", ReferenceBy::tag, Mirrors::use);
    REQUIRE(other.size() == 1);
    CHECK(other[0].registry == "registry.test");
    CHECK(other[0].repository == "teams/disk");
    CHECK_FALSE(other[0].insecure);
    CHECK_FALSE(endpoints_for(entries, "registry.test:5000", "team/x", ReferenceBy::tag, Mirrors::use)[0].insecure);
}

TEST_CASE("a wildcard covers sub-domains, a blocked registry is refused") {
    const auto entries = parse_registries_conf(kConfiguration);
    const auto corp = endpoints_for(entries, "a.b.corp.test:5000", "x/y", ReferenceBy::tag, Mirrors::use);
    CHECK(corp[0].registry == "a.b.corp.test:5000");
    CHECK(corp[0].repository == "x/y");
    CHECK(corp[0].insecure);
    CHECK_FALSE(endpoints_for(entries, "corp.test", "x", ReferenceBy::tag, Mirrors::use)[0].insecure);
    CHECK_THROWS_AS(endpoints_for(entries, "evil.test", "x", ReferenceBy::tag, Mirrors::use), Error);
}

TEST_CASE("a value of the wrong type names its line") {
    try {
        parse_registries_conf("[[registry]]\nlocation = \"a\"\ninsecure = \"yes\"\n");
        FAIL("it was accepted");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::usage);
        CHECK(std::string(error.what()).find("line 3") != std::string::npos);
    }
    CHECK_THROWS_AS(parse_registries_conf("[[registry]]\nlocation = unquoted"), Error);
    CHECK(parse_registries_conf("").empty());
    CHECK_THROWS_AS(parse_registries_conf("[[registry.mirror]]\nlocation=\"x\""), Error);
}

TEST_CASE("registries.conf is TOML, in every way to write it") {
    const auto inline_form = parse_registries_conf(
        "registry = [{ location = \"a.test\", insecure = true, mirror = [{location=\"m.test\"}] }]\n");
    REQUIRE(inline_form.size() == 1);
    CHECK(inline_form[0].insecure);
    REQUIRE(inline_form[0].mirrors.size() == 1);
    CHECK(inline_form[0].mirrors[0].location == "m.test");
    const auto escapes = parse_registries_conf("[[registry]]\nlocation = \"a\\u002etest\"\n\"insecure\" = true\n"
                                               "[[ registry ]]\nlocation = \'\'\'b.test\'\'\'\n");
    REQUIRE(escapes.size() == 2);
    CHECK(escapes[0].location == "a.test");
    CHECK(escapes[0].insecure);
    CHECK(escapes[1].location == "b.test");
    CHECK(parse_registries_conf("").empty());
    CHECK(parse_registries_conf("unqualified-search-registries = [\n  \"a\",\n  \"b\" # c\n]\n").empty());
}

TEST_CASE("the first format's lists of insecure and blocked registries are obeyed") {
    const auto entries = parse_registries_conf("[registries.search]\nregistries = ['x.test']\n"
                                               "[registries.insecure]\nregistries = ['old.test:5000']\n"
                                               "[registries.block]\nregistries = ['evil.test']\n");
    REQUIRE(entries.size() == 2);
    CHECK(endpoints_for(entries, "old.test:5000", "x", ReferenceBy::tag, Mirrors::use)[0].insecure);
    CHECK_FALSE(endpoints_for(entries, "x.test", "x", ReferenceBy::tag, Mirrors::use)[0].insecure);
    CHECK_THROWS_AS(endpoints_for(entries, "evil.test", "x", ReferenceBy::tag, Mirrors::use), Error);
}

TEST_CASE("a damaged registries.conf names its line") {
    for (const auto& [text, line] :
         std::vector<std::pair<std::string, std::string>>{{"[[registry]]\nlocation = \"a.test\n", "line 2"},
                                                          {"\n\n[[registry]\n", "line 3"},
                                                          {"[[registry]]\ninsecure = \"yes\"\n", "line 2"},
                                                          {"[[registry]]\nlocation = 5\n", "line 2"},
                                                          {"[[registry]]\na = 1\na = 2\n", "line 3"},
                                                          {"registry = 7\n", "line 1"},
                                                          {"[[registry]]\nlocation='a'\nmirror = ['b']\n", "line 3"}}) {
        INFO(text);
        try {
            parse_registries_conf(text);
            FAIL("it was taken");
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::usage);
            CHECK(std::string(error.what()).find(line) != std::string::npos);
        }
    }
}
