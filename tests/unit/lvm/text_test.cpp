#include "formats/base/error.hpp"
#include "formats/lvm/text.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using lvm::parse_text;

TEST_CASE("LVM's text is read as a tree") {
    const lvm::Section top = parse_text("# a comment\n"
                                        "creation_host = \"a \\\"quoted\\\" # host\"\t# another\n"
                                        "group {\n"
                                        "seqno=7 ratio = 1.5 below = -3 status = [\"READ\", \"WRITE\"] flags = []\n"
                                        "inner { stripes = [ \"pv0\", 12 ] }\n"
                                        "}\n");
    CHECK(top.text("creation_host") == "a \"quoted\" # host");
    const lvm::Section* group = top.section("group");
    REQUIRE(group != nullptr);
    CHECK(group->number("seqno") == 7);
    CHECK(group->text("ratio") == "1.5");
    CHECK_FALSE(group->number("below"));
    CHECK_FALSE(group->number("status"));
    REQUIRE(group->list("status") != nullptr);
    CHECK(*group->list("status") == std::vector<lvm::Value>{"READ", "WRITE"});
    CHECK(group->list("flags")->empty());
    CHECK(*group->section("inner")->list("stripes") == std::vector<lvm::Value>{"pv0", std::int64_t{12}});
    CHECK(group->section("other") == nullptr);
}

TEST_CASE("a NUL ends LVM's text") {
    CHECK(parse_text(std::string_view("a = 1\n\0}}}", 10)).number("a") == 1);
}

TEST_CASE("text that LVM would not write is refused") {
    const std::string deep(40, '{');
    std::string nested;
    for (int i = 0; i < 40; ++i)
        nested += "a {";
    for (const std::string& text : {std::string("a"), std::string("a ="), std::string("a = \"open"),
                                    std::string("a = ["), std::string("a = [1"), std::string("a {"), std::string("}"),
                                    std::string("= 1"), std::string("a = ]"), deep, nested, std::string("a \"b\"")}) {
        INFO(text);
        CHECK_THROWS_AS(parse_text(text), Error);
    }
}
