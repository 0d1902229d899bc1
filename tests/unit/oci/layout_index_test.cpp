// index.json as text: which image a tag names in layouts of all kinds of writers, and what a new image changes.
#include "formats/oci/layout_index.hpp"
#include "tests/support/error_of.hpp"
#include "tests/unit/oci/oci_fixture.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace vm2oci;
using test::error_of;

namespace {

struct Entry {
    std::string name; // the digest is that of the name
    std::optional<std::string> tag{};
    std::optional<Platform> platform{};
    std::string containerd_name{};
};

Descriptor entry_of(const Entry& entry) {
    Descriptor descriptor{.media_type = media_type::oci_manifest,
                          .digest = Digest::of(entry.name),
                          .size = 10,
                          .platform = entry.platform};
    if (entry.tag)
        descriptor.annotations["org.opencontainers.image.ref.name"] = *entry.tag;
    if (!entry.containerd_name.empty())
        descriptor.annotations["io.containerd.image.name"] = entry.containerd_name;
    return descriptor;
}

std::string index_of(const std::vector<Entry>& entries) {
    ImageIndex index;
    for (const Entry& entry : entries)
        index.manifests.push_back(entry_of(entry));
    return to_json(index);
}

using Tag = std::optional<std::string>;

Digest found(const std::vector<Entry>& entries, const Tag& tag) {
    return find_in_layout_index(index_of(entries), tag, "the layout").digest;
}

void check_refused(const std::vector<Entry>& entries, const Tag& tag, ErrorKind kind, const std::string& message) {
    const Error error = error_of([&] { found(entries, tag); });
    CHECK(error.kind() == kind);
    CHECK(error.message() == message);
}

Platform platform(const std::string& architecture, const std::string& variant = "", const std::string& os = "linux") {
    return {.architecture = architecture, .os = os, .variant = variant};
}

} // namespace

TEST_CASE("a tag names the entry that has it") {
    const std::vector<Entry> entries = {{"a", "v1"}, {"b", "v2"}, {"c"}, {"d", "latest"}};
    CHECK(found(entries, "v1") == Digest::of("a"));
    CHECK(found(entries, "latest") == Digest::of("d"));
    check_refused(entries, "v3", ErrorKind::not_found, "the layout has no tag 'v3'; it has 'v1', 'v2', 'latest'");
    check_refused(entries, "", ErrorKind::not_found, "the layout has no tag ''; it has 'v1', 'v2', 'latest'");
    check_refused({{"a"}}, "v3", ErrorKind::not_found, "the layout has no tag 'v3'; it has none");
    check_refused({}, "v3", ErrorKind::not_found, "the layout has no tag 'v3'; it has none");
    // The same image twice under a tag is one; two images are nobody's.
    CHECK(found({{"a", "v1"}, {"a", "v1"}}, "v1") == Digest::of("a"));
    check_refused({{"a", "v1"}, {"b", "v1"}}, "v1", ErrorKind::corrupt,
                  "the layout has the tag 'v1' at two different images");
    // Tags are untrusted.
    check_refused({{"a", "v\n1"}}, "v2", ErrorKind::not_found, "the layout has no tag 'v2'; it has 'v\\x0a1'");
}

TEST_CASE("many tags are listed up to a point") {
    std::vector<Entry> entries;
    for (int i = 0; i < 100; ++i)
        entries.push_back({fmt::format("image {}", i), fmt::format("t{}", i)});
    const Error error = error_of([&] { found(entries, "x"); });
    CHECK(error.message().starts_with("the layout has no tag 'x'; it has 't0', 't1', "));
    CHECK(error.message().ends_with(", …"));
    CHECK(error.message().size() < 1000);
    CHECK(layout_index_tags(index_of(entries)).size() == 100);
    CHECK(layout_index_tags(index_of({{"a"}, {"b", "x"}, {"c", "x"}})) == std::vector<std::string>{"x", "x"});
}

TEST_CASE("without a tag the only image is meant") {
    CHECK(found({{"a"}}, {}) == Digest::of("a"));
    CHECK(found({{"a", "v1"}}, {}) == Digest::of("a"));
    CHECK(found({{"a", "v1"}, {"a", "v2"}, {"a"}}, {}) == Digest::of("a"));
    check_refused({}, {}, ErrorKind::not_found, "the layout holds no image");
    check_refused({{"a", "v1"}, {"b"}}, {}, ErrorKind::usage, "the layout holds 2 images; name one of the tags 'v1'");
    check_refused({{"a"}, {"b"}, {"a"}}, {}, ErrorKind::unsupported,
                  "the layout holds 3 images, and none has a tag; name one by its digest, such as @" +
                      Digest::of("a").text());
}

TEST_CASE("a digest names an entry, alone or behind any tag") {
    const std::vector<Entry> entries = {{"a", "v1"}, {"b", "v2"}, {"c"}};
    const std::string b = Digest::of("b").text();
    for (const std::string& tag : {b, "@" + b, "v2@" + b, "v1@" + b, "gone@" + b, "a@b@" + b})
        CHECK(found(entries, tag) == Digest::of("b"));
    CHECK(found(entries, Digest::of("c").text()) == Digest::of("c"));
    const std::string absent = Digest::of("absent").text();
    check_refused(entries, absent, ErrorKind::not_found, "the layout has no image " + absent);
    // What only looks like one is a tag.
    check_refused({{"a", "v1"}}, "v1@sha256:12", ErrorKind::not_found,
                  "the layout has no tag 'v1@sha256:12'; it has 'v1'");
    CHECK(found({{"a", "x" + b}, {"b", "v2"}}, "x" + b) == Digest::of("a"));
    check_refused({{"b", "v2"}}, "x" + b, ErrorKind::not_found, "the layout has no tag 'x" + b + "'; it has 'v2'");
    // A tag that an entry has counts before what it looks like.
    CHECK(found({{"a", b}, {"b", "v2"}}, b) == Digest::of("a"));
}

TEST_CASE("entries of one tag for several platforms are one image") {
    const std::vector<Entry> entries = {
        {"a", "v1", platform("amd64")}, {"b", "v1", platform("arm64", "v8")}, {"c", "v2"}};
    const std::string index = platform_index(index_of(entries), "v1");
    CHECK(found(entries, "v1") == Digest::of(index));
    const Descriptor top = find_in_layout_index(index_of(entries), "v1", "x");
    CHECK(top.media_type == media_type::oci_index);
    CHECK(top.size == index.size());
    const ImageIndex parsed = parse_index(index);
    REQUIRE(parsed.manifests.size() == 2);
    CHECK(parsed.manifests[0].digest == Digest::of("a"));
    CHECK(parsed.manifests[1].platform == platform("arm64", "v8"));
    CHECK(parsed.manifests[0].annotations.empty()); // its tag is that of the whole
    CHECK(platform_index(index_of(entries), "v2").empty());
    CHECK(platform_index(index_of(entries), "v3").empty());

    struct Case {
        const char* name;
        std::vector<Entry> entries;
        bool is_one;
    };
    for (const Case& one :
         {Case{"the same twice", {{"a", {}, platform("amd64")}, {"b", {}, platform("amd64")}}, false},
          Case{"spelled differently", {{"a", {}, platform("arm64")}, {"b", {}, platform("aarch64", "v8")}}, false},
          Case{"variants", {{"a", {}, platform("amd64")}, {"b", {}, platform("amd64", "v3")}}, true},
          Case{"systems", {{"a", {}, platform("amd64")}, {"b", {}, platform("amd64", "", "windows")}}, true},
          Case{"one states none", {{"a", {}, platform("amd64")}, {"b"}}, false},
          Case{"one alone", {{"a", {}, platform("amd64")}}, false},
          // BuildKit's attestations, one for each image.
          Case{"attestations",
               {{"a", {}, platform("amd64")},
                {"b", {}, platform("unknown", "", "unknown")},
                {"c", {}, platform("unknown", "", "unknown")}},
               true}}) {
        INFO(one.name);
        CHECK(platform_index(index_of(one.entries), {}).empty() != one.is_one);
    }
    // Without a tag the platforms are one image where nothing else is; beside tags they are not.
    CHECK_NOTHROW(found({{"a", {}, platform("amd64")}, {"b", {}, platform("arm64")}}, {}));
    check_refused({{"a", {}, platform("amd64")}, {"b", {}, platform("arm64")}, {"c", "v1"}}, {}, ErrorKind::usage,
                  "the layout holds 3 images; name one of the tags 'v1'");
}

TEST_CASE("all images of a layout, or those of a tag") {
    const std::string index = index_of({{"a", "v1"}, {"b"}, {"a", "v2"}});
    CHECK(images_in_layout_index(index, {}, "x").size() == 3);
    REQUIRE(images_in_layout_index(index, "v2", "x").size() == 1);
    CHECK(images_in_layout_index(index, "v2", "x")[0].digest == Digest::of("a"));
    CHECK(error_of([] { images_in_layout_index(empty_layout_index(), {}, "the layout"); }).message() ==
          "the layout holds no image");
    CHECK(error_of([&] { images_in_layout_index(index, "v3", "the layout"); }).kind() == ErrorKind::not_found);
}

TEST_CASE("an image takes the place of its tag, and nothing else moves") {
    const std::string before = index_of({{"a", "v1"}, {"b", "v2"}, {"c"}, {"d", "v2"}});
    const auto digests = [](const std::string& text) {
        std::string names;
        for (const Descriptor& entry : parse_index(text).manifests)
            for (const char* name : {"a", "b", "c", "d", "new"})
                if (entry.digest == Digest::of(name))
                    names += std::string(name) + " ";
        return names;
    };
    const Descriptor top = entry_of({"new", "a tag of its source", {}, "registry.test/x:v9"});
    CHECK(digests(layout_index_with(before, top, "v1")) == "new b c d ");
    CHECK(digests(layout_index_with(before, top, "v2")) == "a new c "); // it stood there twice
    CHECK(digests(layout_index_with(before, top, "v3")) == "a b c d new ");
    CHECK(digests(layout_index_with(before, top, {})) == "a b new d ");
    // Its name elsewhere is not its name here; a name for containerd stays only where there is no tag.
    const Descriptor tagged = parse_index(layout_index_with(before, top, "v3")).manifests.back();
    CHECK(tagged.annotations == Annotations{{"org.opencontainers.image.ref.name", "v3"}});
    const Descriptor untagged = parse_index(layout_index_with(empty_layout_index(), top, {})).manifests.back();
    CHECK(untagged.annotations == Annotations{{"io.containerd.image.name", "registry.test/x:v9"}});
    const Error two = error_of([&] { layout_index_with(index_of({{"a"}, {"b"}}), top, {}); });
    CHECK(two.kind() == ErrorKind::conflict);
    CHECK(two.message() == "index.json has 2 images without a tag; name a tag");
    const Error digest = error_of([&] { layout_index_with(before, top, "v1@" + Digest::of("x").text()); });
    CHECK(digest.kind() == ErrorKind::usage);
    CHECK(digest.message().starts_with("an image gets the digest that its content has; write 'v1@sha256:"));
}

TEST_CASE("a layout has a version that is known") {
    CHECK_NOTHROW(check_layout_file(R"({"imageLayoutVersion":"1.0.0"})"));
    CHECK_NOTHROW(check_layout_file(R"({ "imageLayoutVersion": "1.0.0", "more": 1 }
)"));
    struct Case {
        const char* text;
        ErrorKind kind;
        const char* message;
    };
    for (const Case& one :
         {Case{"", ErrorKind::corrupt, "oci-layout is not JSON"},
          Case{"[]", ErrorKind::corrupt, "oci-layout is not a JSON object"},
          Case{"{}", ErrorKind::corrupt, "oci-layout: \"imageLayoutVersion\" is missing"},
          Case{R"({"imageLayoutVersion":1})", ErrorKind::corrupt, "oci-layout: \"imageLayoutVersion\" is not a string"},
          Case{R"({"imageLayoutVersion":"1.0.1"})", ErrorKind::unsupported,
               "the layout has version '1.0.1'; 1.0.0 is known"},
          Case{R"({"imageLayoutVersion":"2"})", ErrorKind::unsupported,
               "the layout has version '2'; 1.0.0 is known"}}) {
        const Error error = error_of([&] { check_layout_file(one.text); });
        CHECK(error.kind() == one.kind);
        CHECK(error.message() == one.message);
    }
}
