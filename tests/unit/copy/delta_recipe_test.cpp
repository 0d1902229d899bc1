// Recipes by hand: each way in which one can be right, and each in which it lies.
#include "libconvert/copy/delta.hpp"
#include "tests/unit/copy/copy_fixture.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

const std::string kBaseLayer = "0123456789abcdef";

struct Site {
    std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
    Digest base = Digest::of(kBaseLayer);

    Site() {
        MemoryDestination inside(store, "base");
        inside.publish(put_image(inside, kBaseLayer));
    }
    std::shared_ptr<const DeltaBase> opened_base() const {
        return std::make_shared<const DeltaBase>(std::make_unique<MemorySource>(store, "base"));
    }
    // A delta with this manifest, changed before it is stored.
    template <class Change>
    std::unique_ptr<ImageSource> delta(Change change) const {
        MemoryDestination inside(store, "delta");
        ImageManifest manifest;
        manifest.artifact_type = kDeltaArtifactType;
        manifest.config = described(put_blob(inside, "{}"), "application/vnd.oci.empty.v1+json");
        manifest.annotations = {{"org.vm2oci.delta.target", Digest::of("a target").text()},
                                {"org.vm2oci.delta.target.media-type", media_type::oci_manifest},
                                {"org.vm2oci.delta.target.size", "8"}};
        change(manifest);
        inside.publish(inside.put_manifest(to_json(manifest), media_type::oci_manifest));
        return open_delta(std::make_unique<MemorySource>(store, "delta"), opened_base());
    }
    // What the recipe makes, whatever digest it claims.
    std::string cooked(const std::string& recipe) const {
        MemoryDestination inside(store);
        const Digest wanted = Digest::of("what is wanted");
        const auto source = delta([&](ImageManifest& manifest) {
            manifest.layers = {described(put_blob(inside, recipe), "application/vnd.vm2oci.delta.recipe.v1")};
            manifest.layers[0].annotations["org.vm2oci.delta.blob"] = wanted.text();
        });
        return read_all(*source->open_blob({.digest = wanted}));
    }
    Error refused(const std::string& recipe) const {
        return error_of([&] { cooked(recipe); });
    }
    std::string taken(std::size_t size, std::size_t offset) const {
        return fmt::format(R"([{},"{}",{}])", size, base.text(), offset);
    }
};

std::string recipe_of(const std::string& json, const std::string& own = "") {
    return fmt::format("vm2oci delta 1\n{}\n{}{}", json.size(), json, own);
}

std::string steps_of(std::size_t size, const std::string& steps) {
    return fmt::format(R"({{"size":{},"steps":[{}]}})", size, steps);
}

} // namespace

TEST_CASE("a recipe puts ranges of the base and bytes of its own together") {
    const Site site;
    CHECK(site.cooked(recipe_of(steps_of(4, "[4]"), "mine")) == "mine");
    CHECK(site.cooked(recipe_of(steps_of(16, site.taken(16, 0)))) == kBaseLayer);
    CHECK(site.cooked(recipe_of(steps_of(1, site.taken(1, 15)))) == "f");
    CHECK(
        site.cooked(recipe_of(steps_of(9, site.taken(3, 10) + ",[2]," + site.taken(2, 0) + ",[1]," + site.taken(1, 9)),
                              "XYZ")) == "abcXY01Z9");
    // An empty blob needs no step; fields that are not known are passed over.
    CHECK(site.cooked(recipe_of(steps_of(0, ""))).empty());
    CHECK(site.cooked(recipe_of(R"({"later":[1],"size":1,"steps":[[1]]})", "x")) == "x");
}

TEST_CASE("a recipe that does not begin as one is none") {
    const Site site;
    const std::string good = recipe_of(steps_of(4, "[4]"), "mine");
    for (const std::string& bad :
         {std::string(), std::string("vm2oci"), std::string("vm2oci delta 1\n"), std::string("vm2oci delta 1\n12"),
          std::string("vm2oci delta 2\n2\n{}"), " " + good, std::string("vm2oci delta 1\n123456789012\n{}")}) {
        CAPTURE(bad);
        const Error error = site.refused(bad);
        CHECK(error.kind() == ErrorKind::corrupt);
        CHECK(error.message() == "a recipe of the delta does not begin as one");
    }
    // Eleven digits are the most, and longer than a recipe may be.
    const Error error = site.refused("vm2oci delta 1\n12345678901\n{}");
    CHECK(error.message() == "a recipe of the delta is longer than it may be");
}

TEST_CASE("the length of a recipe's head is a number that the recipe has") {
    const Site site;
    for (const char* number : {"-1", "+2", " 2", "2 ", "0x2", "two", "", "2.0", "99999999999999"}) {
        CAPTURE(number);
        const Error error = site.refused(fmt::format("vm2oci delta 1\n{}\n{{}}", number));
        CHECK(error.kind() == ErrorKind::corrupt);
        if (std::string_view(number).size() < 12)
            CHECK(error.message() == fmt::format("the delta has '{}' for a number", number));
    }
    const std::string json = steps_of(0, "");
    const std::string longer = fmt::format("vm2oci delta 1\n{}\n{}", json.size() + 1, json);
    CHECK(site.refused(longer).message() == "a recipe of the delta is longer than it may be");
    CHECK(site.cooked(longer + " ").empty()); // JSON may end with a blank
}

TEST_CASE("a recipe that is no recipe is refused") {
    const Site site;
    for (const char* json : {"", "{", "null", "[]", "7", "\"size\"", "{}", R"({"size":1})", R"({"steps":[]})",
                             R"({"size":-1,"steps":[]})", R"({"size":"1","steps":[]})", R"({"size":1.0,"steps":[]})",
                             R"({"size":0,"steps":{}})", R"({"size":0,"steps":null})"}) {
        CAPTURE(json);
        const Error error = site.refused(recipe_of(json));
        CHECK(error.kind() == ErrorKind::corrupt);
        CHECK(error.message() == "a recipe of the delta is no recipe");
    }
}

TEST_CASE("a recipe has steps of one number, or of a number, a digest and an offset") {
    const Site site;
    const std::string digest = '"' + site.base.text() + '"';
    for (const std::string& step :
         {std::string("1"), std::string("[]"), std::string("{}"), std::string("null"), std::string("[\"1\"]"),
          std::string("[-1]"), std::string("[1.5]"), "[1," + digest + "]", "[1," + digest + ",0,0]",
          "[1," + digest + ",-1]", "[1," + digest + ",\"0\"]", std::string("[1,0,0]"), "[\"1\"," + digest + ",0]"}) {
        CAPTURE(step);
        const Error error = site.refused(recipe_of(steps_of(1, step), "x"));
        CHECK(error.kind() == ErrorKind::corrupt);
        CHECK(error.message() == "a recipe of the delta has a step that is none");
    }
    CHECK(site.refused(recipe_of(steps_of(1, R"([1,"md5:00",0])"))).kind() == ErrorKind::corrupt);
}

TEST_CASE("a recipe takes only what is there") {
    const Site site;
    constexpr std::uint64_t most = ~std::uint64_t{0};
    for (const auto& [size, offset] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
             {17, 0}, {1, 16}, {0, 0}, {2, 15}, {16, 1}, {1, 17}, {most, 0}, {most, 1}, {1, most}, {most, most}}) {
        CAPTURE(size, offset);
        const Error error = site.refused(recipe_of(steps_of(1, site.taken(size, offset))));
        CHECK(error.kind() == ErrorKind::corrupt);
        CHECK(error.message() == "a recipe of the delta takes what is not there");
    }
    CHECK(site.refused(recipe_of(steps_of(5, "[5]"), "mine")).message() ==
          "a recipe of the delta takes what is not there");
    CHECK(site.refused(recipe_of(steps_of(1, "[1],[0]"), "x")).message() ==
          "a recipe of the delta takes what is not there");
}

TEST_CASE("a recipe makes as much as it says, and leaves nothing of its own") {
    const Site site;
    for (const std::string& bad :
         {recipe_of(steps_of(3, "[4]"), "mine"), recipe_of(steps_of(5, "[4]"), "mine"),
          recipe_of(steps_of(4, "[4]"), "mine!"), recipe_of(steps_of(0, ""), "x"),
          recipe_of(steps_of(15, site.taken(16, 0))), recipe_of(steps_of(16, site.taken(16, 0)), "x")}) {
        CAPTURE(bad);
        const Error error = site.refused(bad);
        CHECK(error.kind() == ErrorKind::corrupt);
        CHECK(error.message() == "a recipe of the delta makes something else than it says");
    }
}

TEST_CASE("a recipe for another base says which layer it lacks") {
    const Site site;
    const std::string absent = Digest::of("absent").text();
    const Error error = site.refused(recipe_of(fmt::format(R"({{"size":1,"steps":[[1,"{}",0]]}})", absent)));
    CHECK(error.kind() == ErrorKind::not_found);
    CHECK(error.message() == fmt::format("the delta needs the layer '{}', and the earlier version {} has none of it",
                                         absent, site.opened_base()->top().digest.text()));
}

TEST_CASE("a recipe cut at any place is refused") {
    const Site site;
    const std::string good = recipe_of(steps_of(20, site.taken(16, 0) + ",[4]"), "mine");
    REQUIRE(site.cooked(good) == kBaseLayer + "mine");
    for (std::size_t length = 0; length < good.size(); ++length) {
        CAPTURE(length);
        CHECK(site.refused(good.substr(0, length)).kind() == ErrorKind::corrupt);
    }
}

TEST_CASE("a delta that lacks what it must say is refused") {
    const Site site;
    for (const char* key :
         {"org.vm2oci.delta.target", "org.vm2oci.delta.target.media-type", "org.vm2oci.delta.target.size"}) {
        const Error error =
            error_of([&] { site.delta([&](ImageManifest& manifest) { manifest.annotations.erase(key); }); });
        CHECK(error.kind() == ErrorKind::corrupt);
        CHECK(error.message() == fmt::format("the delta lacks the annotation {}", key));
    }
    for (const char* number : {"", "-8", "8 ", "8.0", "18446744073709551616"}) {
        const Error error = error_of([&] {
            site.delta([&](ImageManifest& manifest) { manifest.annotations["org.vm2oci.delta.target.size"] = number; });
        });
        CHECK(error.message() == fmt::format("the delta has '{}' for a number", number));
    }
    CHECK(error_of([&] {
              site.delta([](ImageManifest& manifest) { manifest.annotations["org.vm2oci.delta.target"] = "sha256:0"; });
          }).kind() == ErrorKind::corrupt);
    CHECK(error_of([&] {
              site.delta([](ImageManifest& manifest) {
                  manifest.layers = {{.media_type = "application/vnd.vm2oci.delta.recipe.v1",
                                      .digest = Digest::of("a recipe"),
                                      .size = 8}};
              });
          }).message() == "the delta lacks the annotation org.vm2oci.delta.blob");
}

TEST_CASE("the manifest that a delta makes has the digest and the size that it says") {
    const Site site;
    const auto with_target = [&](const std::string& content, const std::string& size) {
        const auto source = site.delta([&](ImageManifest& manifest) {
            site.store->put_blob(Digest::of("a target"), content);
            manifest.layers = {{.media_type = "application/vnd.vm2oci.delta.file.v1",
                                .digest = Digest::of("a target"),
                                .size = content.size()}};
            manifest.annotations["org.vm2oci.delta.target.size"] = size;
        });
        return source->read_manifest(source->resolve());
    };
    CHECK(with_target("a target", "8") == "a target");
    CHECK(error_of([&] { with_target("a target", "9"); }).kind() == ErrorKind::corrupt);
    const Site other;
    other.store->put_blob(Digest::of("a target"), "A target");
    const auto lying = other.delta([](ImageManifest& manifest) {
        manifest.layers = {
            {.media_type = "application/vnd.vm2oci.delta.file.v1", .digest = Digest::of("a target"), .size = 8}};
    });
    CHECK(error_of([&] { lying->read_manifest(lying->resolve()); }).kind() == ErrorKind::corrupt);
}
