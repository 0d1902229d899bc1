#include "formats/base/error.hpp"
#include "formats/lvm_growth/located_text.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using vm2oci::lvm::LocatedText;

namespace {

const std::string kText =
    "# vg0 { not = 1 }\nvg0 {\n\tseqno = 7 # count = 8\n\tid=\"a\\\"}b\"\n\tlist = [\"pv0\", 3,\n 4 ]\n"
    "\tinner { empty = []\n }\n}\ncontents = \"Text {\"\n";

bool is_refused(const std::string& text) {
    try {
        const LocatedText located(text);
        return false;
    } catch (const Error& error) {
        return error.kind() == ErrorKind::corrupt;
    }
}

} // namespace

TEST_CASE("values are found where they stand") {
    const LocatedText text(kText);
    CHECK(text.number("vg0/seqno") == 7);
    CHECK(text.text("vg0/id") == "a\"}b");
    CHECK(text.list("vg0/list") == std::vector<std::string>{"pv0", "3", "4"});
    CHECK(text.list("vg0/inner/empty").empty());
    CHECK(text.list("vg0/seqno") == std::vector<std::string>{"7"});
    CHECK(text.text("contents") == "Text {");
    CHECK(text.sections("") == std::vector<std::string>{"vg0"});
    CHECK(text.sections("vg0") == std::vector<std::string>{"inner"});
    CHECK(text.has("vg0/id"));
    CHECK_FALSE(text.has("vg0/inner"));
    CHECK(text.has_section("vg0/inner"));
    CHECK_THROWS_AS(text.number("vg0/id"), Error);
    CHECK_THROWS_AS(text.number("vg0/not"), Error);
    CHECK_THROWS_AS(text.number("vg0/list"), Error);
}

TEST_CASE("what is changed is changed, and the rest stays byte for byte") {
    LocatedText text(kText + std::string("\0\0tail", 6));
    text.append_to_section("vg0", "new { a = 1 }\n");
    text.set_number("vg0/seqno", 1234567890123);
    text.append_to_section("vg0/inner", "b = 2\n");
    std::string expected = kText + std::string("\0\0tail", 6);
    expected.replace(expected.find("7 #"), 1, "1234567890123");
    expected.insert(expected.find(" }\n}") + 1, "b = 2\n");
    expected.insert(expected.find("}\ncontents"), "new { a = 1 }\n");
    CHECK(text.finish() == expected);
}

TEST_CASE("a text that is cut, or no such text, is refused") {
    CHECK_FALSE(is_refused(""));
    CHECK_FALSE(is_refused(std::string("\0{{{", 4)));
    for (const char* text : {"vg {", "}", "vg", "vg =", "vg = [", "vg = [1", "vg = \"a", "vg = \"a\\", "= 1", "{}",
                             "vg { a = 1 a = 2 }", "vg { } vg { }", "vg = ,", "a = 1 b", "vg { a = ] }"}) {
        INFO(text);
        CHECK(is_refused(text));
    }
    std::string deep;
    for (int i = 0; i < 1000; ++i)
        deep += "a {";
    CHECK(is_refused(deep));
}
