// YAML as values: kinds, places, and documents written anew. Expectations are those of YAML 1.1 as PyYAML, which
// cloud-init reads with, resolves it.
#include "libconvert/edit/yaml.hpp"
#include "tests/unit/edit/edit_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

// "name=value" of a mapping of scalars, in its order.
std::string shown(const YamlValue& root) {
    std::string out;
    for (const auto& [name, value] : root.members()) {
        out += name.text() + "=" + value.text();
        for (const YamlValue& item : value.items())
            out += "-" + item.text();
        out += ";";
    }
    return out;
}

} // namespace

TEST_CASE("Each kind of value is known, and nothing by all of its names") {
    struct Case {
        const char* text;
        YamlKind kind;
    };
    for (const Case& each : {Case{"~", YamlKind::null},
                             {"null", YamlKind::null},
                             {"Null", YamlKind::null},
                             {"NULL", YamlKind::null},
                             {"", YamlKind::null},
                             {"nULL", YamlKind::scalar},
                             {"'~'", YamlKind::scalar},
                             {"\"null\"", YamlKind::scalar},
                             {"''", YamlKind::scalar},
                             {"nullx", YamlKind::scalar},
                             {"0", YamlKind::scalar},
                             {"[]", YamlKind::sequence},
                             {"{}", YamlKind::mapping},
                             {"|\n  null\n", YamlKind::scalar}}) {
        CAPTURE(each.text);
        CHECK(parse_yaml("key: " + std::string(each.text) + "\n").get("key")->kind() == each.kind);
    }
    CHECK(parse_yaml("").kind() == YamlKind::null);
    CHECK(parse_yaml("# nothing but a comment\n").kind() == YamlKind::null);
    CHECK(parse_yaml("---\n").kind() == YamlKind::null);
    CHECK(parse_yaml("--- ~\n...\n").kind() == YamlKind::null);
}

TEST_CASE("A value that is of another kind has no text, no items and no members") {
    const YamlValue root = parse_yaml("text: 'a: b'\nlist: [1, two]\nmap: {x: 1}\n");
    CHECK(root.text().empty());
    CHECK_FALSE(root.is_plain());
    CHECK(root.items().empty());
    CHECK(root.get("text")->text() == "a: b");
    CHECK(root.get("text")->members().empty());
    CHECK(root.get("text")->items().empty());
    CHECK_FALSE(root.get("text")->is_plain());
    CHECK(root.get("list")->items().size() == 2);
    CHECK(root.get("list")->items()[0].is_plain());
    CHECK(root.get("list")->members().empty());
    CHECK(root.get("list")->text().empty());
    CHECK_FALSE(root.get("list")->get("1"));
    CHECK_FALSE(root.get("Text"));
    const YamlValue empty = parse_yaml("");
    CHECK(empty.text().empty());
    CHECK(empty.line() == 1);
    CHECK(empty.members().empty());
    CHECK(empty.items().empty());
    CHECK_FALSE(empty.is_plain());
    CHECK_FALSE(empty.get("x"));
}

TEST_CASE("Values know their lines, and outlive what they were read from") {
    std::string text = "a: 1\n\nb:\n  - x\n  - y: z\n";
    YamlValue inner = parse_yaml(text).get("b")->items()[1];
    text.assign(text.size(), 'x');
    CHECK(inner.line() == 5);
    CHECK(inner.get("y")->text() == "z");
    CHECK(parse_yaml("a: &x [1]\nb: *x\n").get("b")->items().at(0).text() == "1");
    CHECK(parse_yaml("a: |\n  one\n  two\n").get("a")->text() == "one\ntwo\n");
    CHECK(parse_yaml("a: >-\n  one\n  two\n").get("a")->text() == "one two");
    CHECK(parse_yaml("a: \"\\u00e4\\x41\"\n").get("a")->text() == "\xc3\xa4"
                                                                  "A");
}

TEST_CASE("A document is refused with the place where it breaks") {
    struct Case {
        const char* text;
        const char* place;
    };
    for (const Case& each : {Case{"a: 1\n b: 2\n", "line 2, column 3: "},
                             {"a: 'x\n", "line 2, column 1: "},
                             {"a: 1\nb: 2\na: 3\n", "line 3, column 1: the key 'a' is there twice"},
                             {"a:\n  x: 1\n  x: 1\n", "line 3, column 3: the key 'x' is there twice"},
                             {"- {k: 1, 'k': 2}\n", "line 1, column 10: the key 'k' is there twice"},
                             {"a: 1\n---\nb: 1\n", "line 3: a second document begins"},
                             {"a: 1\n...\nb: 1\n", "line 3, column 1: "},
                             {"a: *none\n", "line 1, column 4: "},
                             {"%YAML 9\n---\na: 1\n", "line 1"}}) {
        CAPTURE(each.text);
        CHECK_THAT(refused(ErrorKind::corrupt, [&] { parse_yaml(each.text); }), Catch::StartsWith(each.place));
        CHECK_FALSE(try_parse_yaml(each.text));
    }
    // A merge key may stand twice, and so may keys that are no scalars, and one key in two mappings.
    CHECK(try_parse_yaml("x: &x {a: 1}\ny: {<<: *x, <<: *x}\n"));
    CHECK(try_parse_yaml("{[1]: a, [1]: b}\n"));
    CHECK(try_parse_yaml("a: {x: 1}\nb: {x: 1}\n"));
    CHECK(try_parse_yaml("a: 1\n---\n# no second one\n...\n").has_value() ==
          try_parse_yaml("a: 1\n---\n...\n").has_value());
}

TEST_CASE("Configuration has a size, and data is refused") {
    std::string text = "a: '";
    text.append(kYamlSizeLimit - text.size() - 2, 'x');
    text += "'\n";
    REQUIRE(text.size() == 4194304);
    CHECK(parse_yaml(text).get("a")->text().size() == 4194304 - 6);
    CHECK_THAT(refused(ErrorKind::limit, [&] { parse_yaml(text + " "); }), Catch::Equals("YAML of more than 4 MiB"));
    CHECK_FALSE(try_parse_yaml(text + " "));
}

TEST_CASE("Nothing that is cut or damaged is more than refused") {
    const std::string whole = "a: &x [1, 'b', {c: d}]\ne: |\n  text\nf: *x\n'g': \"\\n\"\n? h\n: - i\n  - j\n";
    REQUIRE(try_parse_yaml(whole));
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CAPTURE(size);
        if (const auto cut = try_parse_yaml(whole.substr(0, size)))
            CHECK(cut->members().size() <= 5);
        for (const char odd : {'\0', '\xff', '"', '[', '\t', '&', '%'}) {
            std::string damaged = whole;
            damaged[size] = odd;
            if (const auto read = try_parse_yaml(damaged))
                CHECK_NOTHROW(yaml_text(*read, {}));
        }
    }
}

TEST_CASE("A mapping is written anew with what is added and without what is left out") {
    const YamlValue root = parse_yaml("# lost\na: 1\nb: [x, {y: z}]\nc: 'q'\n");
    CHECK(yaml_text(root, {}) == "a: 1\nb: [x, {y: z}]\nc: 'q'\n");
    CHECK(yaml_text(root, {}, "b") == "a: 1\nc: 'q'\n");
    CHECK(yaml_text(root, {}, "none") == yaml_text(root, {}));
    CHECK(yaml_text(root, {{"d", "new", {}}, {"e", "", {"one", "two words"}}}, "b") ==
          "a: 1\nc: 'q'\nd: new\ne:\n- one\n- \"two words\"\n");
    CHECK(yaml_text(parse_yaml(""), {{"k", "v", {}}}) == "k: v\n");
    CHECK(yaml_text(parse_yaml("- a list\n"), {{"k", "v", {}}}) == "k: v\n");
    CHECK(yaml_text(parse_yaml("{a: 1}"), {{"k", "v", {}}}) == "{a: 1, k: v}\n");
}

TEST_CASE("What is written anew is the same when it is read again") {
    // A document that names itself, and one whose anchors would unfold to 2^26 items: nodes are copied once each.
    std::string laughs = "a: &a [x, x]\n";
    for (char name = 'b'; name <= 'z'; ++name)
        laughs += std::string(1, name) + ": &" + name + " [*" + static_cast<char>(name - 1) + ", *" +
                  static_cast<char>(name - 1) + "]\n";
    const std::string copy = yaml_text(parse_yaml(laughs), {});
    CHECK(copy.size() < 2000);
    CHECK(parse_yaml(copy).get("z")->items().size() == 2);
    const std::string self = yaml_text(parse_yaml("a: &self [1, *self]\n"), {});
    CHECK(parse_yaml(self).get("a")->items()[1].items().size() == 2);
    std::string deep = "a: ";
    for (int i = 0; i < 400; ++i)
        deep += "[";
    for (int i = 0; i < 400; ++i)
        deep += "]";
    CHECK(parse_yaml(yaml_text(parse_yaml(deep), {})).get("a")->items().size() == 1);
    CHECK(shown(parse_yaml(yaml_text(parse_yaml("a: '1'\nb: \"x\\ty\"\nc: |\n  l\nd: 1.0\n"), {}))) ==
          "a=1;b=x\ty;c=l\n;d=1.0;");
}

TEST_CASE("Texts that YAML 1.1 takes for something else are written in quotes") {
    for (const char* odd :
         {"y",  "N",  "yes", "No", "TRUE", "false", "On",  "off", "null", "NULL", "",     "1", "12e3",
          "-1", ".5", "a b", "a:", "#x",   "~",     "x,y", "*a",  "&a",   "a/b",  "0x1f", "-", "_a"}) {
        CAPTURE(odd);
        const std::string written = yaml_text(parse_yaml(""), {{"k", odd, {}}});
        CHECK(written == "k: \"" + std::string(odd) + "\"\n");
        CHECK_FALSE(parse_yaml(written).get("k")->is_plain());
        CHECK(parse_yaml(written).get("k")->text() == odd);
    }
    for (const char* plain : {"i-0123abc", "web01.example.com", "a_b", "A", "yess", "vm2oci-00ff"}) {
        CAPTURE(plain);
        CHECK(yaml_text(parse_yaml(""), {{"k", plain, {}}}) == "k: " + std::string(plain) + "\n");
    }
    CHECK(yaml_text(parse_yaml(""), {{"k", "a\nb\"\\", {}}}) == "k: \"a\\nb\\\"\\\\\"\n");
    CHECK(yaml_text(parse_yaml(""), {{"k", "", {std::string(200, 'x') + " y"}}})
              .find("\n- \"" + std::string(200, 'x') + " y\"\n") != std::string::npos);
}
