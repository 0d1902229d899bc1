#include "libconvert/edit/yaml.hpp"
#include "libconvert/manifest/document.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

using Json = nlohmann::ordered_json;

// A value as another reader of YAML (libyaml) has it; scalars as their text.
Json read_back(const YamlValue& value) {
    switch (value.kind()) {
    case YamlKind::scalar:
        return value.text();
    case YamlKind::sequence: {
        Json list = Json::array();
        for (const YamlValue& item : value.items())
            list.push_back(read_back(item));
        return list;
    }
    case YamlKind::mapping: {
        Json object = Json::object();
        for (const auto& [key, member] : value.members())
            object[key.text()] = read_back(member);
        return object;
    }
    case YamlKind::null:
        break;
    }
    return nullptr;
}

std::string yaml_of(Json content) {
    return to_yaml({{std::move(content)}});
}

} // namespace

TEST_CASE("what is written is what another reader reads") {
    const Json content = {
        {"plain", "docker://host.example:5000/a/b@sha256:00ff"},
        {"text", "#cloud-config\nusers:\n  - name: a\n\n\tindented\n"},
        {"no-end", "one\ntwo"},
        {"many-ends", "one\n\n\n"},
        {"blank first", " leading\nblank"},
        {"empty", ""},
        {"nested", {{"list", Json::array({"a", Json::array({"b", "c"}), {{"k", "v"}, {"l", "w"}}})}, {"x", "y"}}},
        {"quotes", "it's \"quoted\" \\ and # no comment"},
        {"colon", "key: value"},
        {"dash", "- item"},
        {"unicode", "gr\xc3\xbc\xc3\x9f \xe2\x98\x83"},
        {"control", std::string("a\x01\x7f\x1b[0m")},
        {"lines of others", "a\xe2\x80\xa8\n"
                            "b\xc2\x85"
                            "c\xef\xbb\xbf\xe2\x80\xa9\xc2\xa0"},
        {"emoji", "\xf0\x9f\x98\x80"},
        {"percent", "%x"},
        {"star", "*x"},
        {"last colon", "http:"},
    };
    CHECK(read_back(parse_yaml(yaml_of(content))) == content);
}

TEST_CASE("strings that look like something else are quoted") {
    for (const char* word : {"true", "No",  "ON",    "off", "null", "~",    "y",          "N",   "1", "1.5",
                             "0x10", "1e3", "12:30", "-1",  ".5",   ".inf", "2024-01-01", "0o7", "=", "<<"})
        CHECK(yaml_of({{"k", word}}) == "k: \"" + std::string(word) + "\"\n");
    for (const char* word : {"web01", "virtio", "/disk/disk.qcow2", "e1000e", "nobody", "kubevirt.io/v1"})
        CHECK(yaml_of({{"k", word}}) == "k: " + std::string(word) + "\n");
    CHECK(yaml_of({{"on", 1}, {"a b", true}}) == "\"on\": 1\n\"a b\": true\n");
}

TEST_CASE("empty values and values of other types stand on the line of their key") {
    CHECK(yaml_of({{"object", Json::object()}, {"array", Json::array()}, {"number", 3}, {"no", false}}) ==
          "object: {}\narray: []\nnumber: 3\n\"no\": false\n");
}

TEST_CASE("comments stand above what they explain, also in lists, and change nothing") {
    ManifestDocument document{{{"disks", Json::array({{{"name", "a"}, {"bus", "b"}}, "x"})}, {"top", "t"}}};
    document.comment("", "head\nof two lines");
    document.comment("/disks/0", "the first");
    document.comment("/disks/0/name", "its name");
    document.comment("/disks/1", "the second");
    document.comment("/top", "one");
    document.comment("/top", "two");
    const std::string text = to_yaml({document});
    CHECK(text == "# head\n# of two lines\ndisks:\n  # the first\n    # its name\n  - name: a\n    bus: b\n"
                  "  # the second\n  - x\n# one\n# two\ntop: t\n");
    CHECK(read_back(parse_yaml(text)) == document.content);
}

TEST_CASE("keys with the signs of a JSON pointer can be commented") {
    ManifestDocument document{{{"a/b~c", "v"}}};
    document.comment("/a~1b~0c", "here");
    CHECK(to_yaml({document}) == "# here\n\"a/b~c\": v\n");
}

TEST_CASE("documents are parted") {
    CHECK(to_yaml({{{{"a", 1}}}, {{{"b", 2}}}}) == "a: 1\n---\nb: 2\n");
}
