// Which machine of a batch is like another one.
#include "tools/batch/look_alikes.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace vm2oci;

namespace {

std::string inspection(const std::string& distribution, const std::string& version, const std::string& packages) {
    return fmt::format(
        R"({{"inside": {{"guest": {{"os": {{"distribution": {}, "version": "{}", "architecture": "amd64"}},)"
        R"( "packages": {}}}}}}})",
        distribution, version, packages);
}

Likeness debian(std::uint64_t packages) {
    return *likeness_of(inspection("\"debian\"", "12", fmt::format(R"({{"manager": "dpkg", "count": {}}})", packages)));
}

} // namespace

TEST_CASE("what a machine looks like is said by its inspection") {
    const Likeness likeness = debian(239);
    CHECK(likeness.system == "debian 12 amd64");
    CHECK(likeness.packages == 239);
    const auto rhel = likeness_of(inspection("\"rhel\"", "8.9", R"({"count": 500})"));
    REQUIRE(rhel);
    CHECK(rhel->system == "rhel 8.9 amd64");
    for (const std::string& unknown :
         {std::string(), std::string("[]"), std::string(R"({"inside": null})"),
          std::string(R"({"inside": {"guest": 3}})"), inspection("null", "12", R"({"count": 1})"),
          inspection("\"debian\"", "12", "null"), inspection("\"debian\"", "12", R"({"count": "many"})")}) {
        INFO(unknown);
        CHECK_FALSE(likeness_of(unknown));
    }
}

TEST_CASE("the nearest machine of the same system and kind is found") {
    LookAlikes look_alikes;
    CHECK_FALSE(look_alikes.nearest("qcow2:3", debian(200)));
    look_alikes.made("qcow2:3", debian(200), "small", "oci:images:small");
    look_alikes.made("qcow2:3", debian(240), "large", "oci:images:large");
    look_alikes.made("raw:3", debian(230), "raw", "oci:images:raw");
    look_alikes.made("qcow2:3", *likeness_of(inspection("\"debian\"", "11", R"({"count": 231})")), "old",
                     "oci:images:old");
    const auto nearest = [&](std::uint64_t packages, const char* kind = "qcow2:3") {
        const auto found = look_alikes.nearest(kind, debian(packages));
        return found ? found->name + " " + found->image : "";
    };
    CHECK(nearest(231) == "large oci:images:large");
    CHECK(nearest(210) == "small oci:images:small");
    CHECK(nearest(231, "raw:3") == "raw oci:images:raw");
    // As near: the later one. Installed otherwise: none.
    CHECK(nearest(220) == "large oci:images:large");
    CHECK(nearest(150) == "small oci:images:small");
    CHECK(nearest(149).empty());
    CHECK(nearest(320) == "large oci:images:large");
    CHECK(nearest(321).empty());
    CHECK_FALSE(look_alikes.nearest("qcow2:3", *likeness_of(inspection("\"ubuntu\"", "22.04", R"({"count": 231})"))));
}
