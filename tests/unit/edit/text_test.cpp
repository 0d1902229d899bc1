// The small operations that every planner reads configuration files with.
#include "libconvert/edit/selection.hpp"
#include "libconvert/edit/text.hpp"
#include "tests/unit/edit/edit_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

using Lines = std::vector<std::string_view>;
using Words = std::vector<std::string>;

std::string shown(const std::vector<IniEntry>& entries) {
    std::string out;
    for (const IniEntry& each : entries)
        out += "[" + each.section + "]" + each.key + "=" + each.value + ";";
    return out;
}

} // namespace

TEST_CASE("A last line without a newline counts, and an empty rest does not") {
    CHECK(lines_of(std::string_view()).empty());
    CHECK(lines_of(std::string_view("\n")) == Lines{""});
    CHECK(lines_of(std::string_view("a")) == Lines{"a"});
    CHECK(lines_of(std::string_view("a\n")) == Lines{"a"});
    CHECK(lines_of(std::string_view("a\n\nb")) == Lines{"a", "", "b"});
    CHECK(lines_of(std::string_view("\n\n")) == Lines{"", ""});
    CHECK(lines_of(std::string_view("a\r\nb\r\n")) == Lines{"a\r", "b\r"});
    CHECK(join_lines({}).empty());
    CHECK(join_lines({"a", "", "b"}) == "a\n\nb\n");
}

TEST_CASE("Blanks go from both ends, and none from the middle") {
    CHECK(trimmed("") == "");
    CHECK(trimmed(" \t\r\n") == "");
    CHECK(trimmed("x") == "x");
    CHECK(trimmed("\r\n\t x  y\t\r\n") == "x  y");
    CHECK(trimmed("\vx\f") == "\vx\f");
    CHECK(words_of("").empty());
    CHECK(words_of(" \t ").empty());
    CHECK(words_of("a") == Words{"a"});
    CHECK(words_of("\ta  b\tc \r\n") == Words{"a", "b", "c"});
    CHECK(to_lower("ABZ[@`{z\xc3\x84") == "abz[@`{z\xc3\x84");
}

TEST_CASE("Every place of a text is replaced once, and what was put there is not looked at again") {
    CHECK(replaced("", "a", "b").empty());
    CHECK(replaced("xyz", "a", "b") == "xyz");
    CHECK(replaced("aXa", "a", "aa") == "aaXaa");
    CHECK(replaced("aaa", "aa", "b") == "ba");
    CHECK(replaced("@N@ and @N@", "@N@", "") == " and ");
}

TEST_CASE("Sections are read as systemd and NetworkManager write them") {
    CHECK(shown(parse_ini("key=outside\n[A]\n# c=1\n; d=1\n k = v = w \n[B]\r\nx=\r\n=y\nnothing\n[C\nz=1\n")) ==
          "[]key=outside;[A]k=v = w;[B]x=;[B]=y;[B]z=1;");
    CHECK(shown(parse_ini("[]\na=1\n[A B]\nb=2")) == "[]a=1;[A B]b=2;");
    // A line in brackets is a section even with an equals sign, and one that only begins so is none.
    CHECK(shown(parse_ini("[A=1]\nx=y\n[x]=z\n")) == "[A=1]x=y;[A=1][x]=z;");
}

TEST_CASE("A top-level member goes with all lines of its own") {
    struct Case {
        const char* what;
        const char* yaml;
        const char* left;
    };
    const Case kCases[] = {
        {"a mapping", "a: 1\nnetwork:\n  version: 1\n  config: []\nb: 2\n", "a: 1\nb: 2\n"},
        {"a list at the margin", "network:\n- x\n- y: 1\n  z: 2\nb: 2\n", "b: 2\n"},
        {"in one line", "network: {config: disabled}\nb: 2\n", "b: 2\n"},
        {"brackets that close at the margin", "network: {\n  a: 1\n}\nl: [\n]\n", "l: [\n]\n"},
        {"its comments at the margin stay", "network:\n  a: 1\n# kept\n  b: 2\nc: 3\n", "# kept\nc: 3\n"},
        {"tabs are no top level", "network:\n\tx\nb: 2\n", "b: 2\n"},
        {"blank lines of it", "network:\n\n  a: 1\n\nb: 2\n", "b: 2\n"},
        {"in double quotes", "\"network\":\n  a: 1\nb: 2\n", "b: 2\n"},
        {"in single quotes", "'network':\n  a: 1\nb: 2\n", "b: 2\n"},
        {"a blank before the colon", "network :\n  a: 1\nb: 2\n", "b: 2\n"},
        {"one that only begins so", "networks:\n  a: 1\nnet: 2\n", "networks:\n  a: 1\nnet: 2\n"},
        {"below another", "a:\n  network: 1\n", "a:\n  network: 1\n"},
        {"the word without a colon", "network\n", "network\n"},
        {"at the end, without a newline", "a: 1\nnetwork: 2", "a: 1\n"},
        {"twice", "network: 1\na: 2\nnetwork: 3\n", "a: 2\n"},
    };
    for (const Case& each : kCases) {
        CAPTURE(each.what);
        CHECK(without_top_level_key(each.yaml, "network") == each.left);
    }
}

TEST_CASE("Lists of names are a set of their own or a change of the default one") {
    const Words all = {"a", "b", "c", "d"};
    const Words defaults = {"a", "c"};
    const auto chosen = [&](std::string_view list) { return select_names(list, all, defaults, "things"); };
    CHECK(chosen("") == defaults);
    CHECK(chosen("default") == defaults);
    CHECK(chosen("all") == all);
    CHECK(chosen("none").empty());
    CHECK(chosen("d,b") == Words{"b", "d"});
    CHECK(chosen("d,d") == Words{"d"});
    CHECK(chosen("+b") == Words{"a", "b", "c"});
    CHECK(chosen("-a") == Words{"c"});
    CHECK(chosen("+d,-c") == Words{"a", "d"});
    CHECK(chosen("-b") == defaults); // not among them anyway
    CHECK(chosen("+b,-b") == defaults);
    for (const char* mixture : {"a,+b", "+b,a", "-a,b", "a,-b"}) {
        CAPTURE(mixture);
        CHECK_THAT(refused(ErrorKind::usage, [&] { chosen(mixture); }),
                   Catch::StartsWith("things: either name what you want"));
    }
    for (const char* unknown : {"e", "a,e", "+e", "-e", "A", " a", "a,,b", "a,all", "none,a", "+"}) {
        CAPTURE(unknown);
        CHECK_THAT(refused(ErrorKind::usage, [&] { chosen(unknown); }),
                   Catch::StartsWith("among the things there is no ") && Catch::EndsWith("there are a, b, c, d"));
    }
}
