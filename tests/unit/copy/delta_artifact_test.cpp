// A delta as an artifact: what lies in it, and what comes of it where the earlier version is.
#include "formats/codec/layer_encoder.hpp"
#include "formats/oci/layer_writer.hpp"
#include "libconvert/copy/copy_image.hpp"
#include "libconvert/copy/delta.hpp"
#include "tests/unit/copy/copy_fixture.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

constexpr const char* kFile = "application/vnd.vm2oci.delta.file.v1";
constexpr const char* kRecipe = "application/vnd.vm2oci.delta.recipe.v1";

struct Site {
    std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
    std::shared_ptr<StrictDestination> written;

    // An image of one zstd layer, tagged.
    Descriptor image(const std::string& tag, const std::string& content) {
        MemoryDestination inside(store, tag);
        LayerWriter writer(inside, CompressionSpec{Compression::zstd, 1}, {});
        writer.write(as_bytes(content));
        ImageManifest manifest;
        manifest.layers = {writer.finish().descriptor};
        manifest.config = described(put_blob(inside, R"({"about":")" + tag + "\"}"), media_type::oci_config);
        const Descriptor top = inside.put_manifest(to_json(manifest), media_type::oci_manifest);
        inside.publish(top);
        return top;
    }
    std::shared_ptr<const DeltaBase> base(const std::string& tag) const {
        return std::make_shared<const DeltaBase>(std::make_unique<MemorySource>(store, tag));
    }
    // The delta of `tag` against `earlier`, stored and tagged "delta".
    ImageManifest make(const std::string& tag, const std::string& earlier) {
        MemorySource source(store, tag);
        DeltaDestination destination(std::make_unique<MemoryDestination>(store, "delta"), base(earlier), {});
        copy_image(source, destination, {}, {});
        MemorySource made(store, "delta");
        return parse_manifest(made.read_manifest(made.resolve()));
    }
    std::string text_of(const Descriptor& blob) const { return *store->find_blob(blob.digest); }
};

std::vector<Descriptor> of_type(const ImageManifest& manifest, const char* type) {
    std::vector<Descriptor> found;
    std::ranges::copy_if(manifest.layers, std::back_inserter(found),
                         [&](const Descriptor& file) { return file.media_type == type; });
    return found;
}

} // namespace

TEST_CASE("a delta names what it makes, and of what") {
    Site site;
    const Descriptor first = site.image("v1", noise(3 * kFrameSize));
    std::string changed = noise(3 * kFrameSize);
    changed[kFrameSize + 9] ^= '\1';
    const Descriptor second = site.image("v2", changed);
    const ImageManifest delta = site.make("v2", "v1");
    CHECK(delta.artifact_type == "application/vnd.vm2oci.delta.v1");
    CHECK(delta.config.media_type == "application/vnd.oci.empty.v1+json");
    CHECK(delta.config.digest == Digest::of("{}")); // the empty descriptor of the image-spec
    CHECK(delta.config.size == 2);
    CHECK(delta.annotations == Annotations{{"org.vm2oci.delta.target", second.digest.text()},
                                           {"org.vm2oci.delta.target.media-type", media_type::oci_manifest},
                                           {"org.vm2oci.delta.target.size", std::to_string(second.size)},
                                           {"org.vm2oci.delta.against", first.digest.text()}});
    CHECK(std::ranges::is_sorted(delta.layers, {}, &Descriptor::digest));
    CHECK(of_type(delta, kFile).size() == 2); // the manifest and the config
    const std::vector<Descriptor> recipes = of_type(delta, kRecipe);
    REQUIRE(recipes.size() == 1);
    const Descriptor layer = parse_manifest(*site.store->find_blob(second.digest)).layers.at(0);
    CHECK(recipes[0].annotations == Annotations{{"org.vm2oci.delta.blob", layer.digest.text()}});
    CHECK(recipes[0].size < kFrameSize + 10'000);

    // The recipe by its description: a head, JSON of that length, and the bytes of its own steps.
    const std::string text = site.text_of(recipes[0]);
    REQUIRE(text.starts_with("vm2oci delta 1\n"));
    const std::size_t line = text.find('\n', 15);
    const std::size_t length = std::stoul(text.substr(15, line - 15));
    const auto json = nlohmann::json::parse(text.substr(line + 1, length));
    CHECK(json["size"] == layer.size);
    std::string made;
    std::size_t own = line + 1 + length;
    const Descriptor earlier = parse_manifest(*site.store->find_blob(first.digest)).layers.at(0);
    for (const auto& step : json["steps"]) {
        const auto size = step[0].get<std::size_t>();
        if (step.size() == 1) {
            made += text.substr(own, size);
            own += size;
        } else {
            CHECK(step[1] == earlier.digest.text());
            made += site.text_of(earlier).substr(step[2].get<std::size_t>(), size);
        }
    }
    CHECK(own == text.size());
    CHECK(made == site.text_of(layer));
}

TEST_CASE("what a delta makes is the image, from a store that has the earlier version alone") {
    Site site;
    site.image("v1", noise(3 * kFrameSize));
    const Descriptor second = site.image("v2", noise(2 * kFrameSize) + noise(kFrameSize, 8));
    site.make("v2", "v1");
    Site other;
    other.image("v1", noise(3 * kFrameSize));
    const auto whole = open_delta(std::make_unique<MemorySource>(site.store, "delta"), other.base("v1"));
    CHECK(whole->resolve().digest == second.digest);
    CHECK(whole->resolve().size == second.size);
    CHECK(whole->resolve().media_type == media_type::oci_manifest);
    CHECK_FALSE(whole->traits().blobs_are_remote);
    StrictDestination destination;
    const CopyResult result = copy_image(*whole, destination, {}, {});
    CHECK(result.top.digest == second.digest);
    for (const CopiedBlob& blob : result.blobs)
        CHECK(*destination.store->find_blob(blob.blob.digest) == site.text_of(blob.blob));
    const Error absent = error_of([&] { whole->open_blob({.digest = Digest::of("absent")}); });
    CHECK(absent.kind() == ErrorKind::not_found);
    CHECK(absent.message() == "neither the delta nor the earlier version " + other.base("v1")->top().digest.text() +
                                  " has the blob " + Digest::of("absent").text());
}

TEST_CASE("layers that the earlier version has are not carried") {
    Site site;
    const std::string content = noise(kFrameSize);
    site.image("v1", content);
    const Descriptor same = site.image("same", content);
    const ImageManifest delta = site.make("same", "v1");
    CHECK(delta.layers.size() == 2); // the manifest and the config
    const auto whole = open_delta(std::make_unique<MemorySource>(site.store, "delta"), site.base("v1"));
    StrictDestination destination;
    CHECK(copy_image(*whole, destination, {}, {}).top.digest == same.digest);
    CHECK(destination.store->find_blob(parse_manifest(site.text_of(same)).layers.at(0).digest)->size() > kFrameSize);
}

TEST_CASE("a recipe is made where it saves a tenth, of blobs of 1 MiB and more") {
    struct Case {
        unsigned frames;
        unsigned shared;
        bool is_recipe;
    };
    for (const Case& one : {Case{12, 1, false}, Case{12, 2, true}, Case{9, 1, true}, Case{2, 0, false}}) {
        CAPTURE(one.frames, one.shared);
        Site site;
        // Small frames keep the test small: a frame ends where the writer says so.
        const auto write = [&](const std::string& tag, unsigned shared) {
            MemoryDestination inside(site.store, tag);
            LayerWriter writer(inside, CompressionSpec{Compression::zstd, 1}, {});
            for (unsigned i = 0; i < one.frames; ++i) {
                writer.write(as_bytes(noise(kFrameSize / 8, i < shared ? i : i + 1000 * (tag == "v1" ? 1 : 2))));
                writer.end_frame();
            }
            ImageManifest manifest;
            manifest.layers = {writer.finish().descriptor};
            manifest.config = described(put_blob(inside, "{}"), media_type::oci_config);
            inside.publish(inside.put_manifest(to_json(manifest), media_type::oci_manifest));
        };
        write("v1", one.shared);
        write("v2", one.shared);
        CHECK(of_type(site.make("v2", "v1"), kRecipe).size() == (one.is_recipe ? 1 : 0));
    }
    // Smaller ones travel whole, however much is known of them.
    Site site;
    site.image("v1", noise(kFrameSize - 2000));
    site.image("v2", noise(kFrameSize - 2000) + "x");
    CHECK(of_type(site.make("v2", "v1"), kRecipe).empty());
}

TEST_CASE("what a delta's destination was given can be read again, and is known") {
    Site site;
    const Descriptor first = site.image("v1", noise(5000));
    const Descriptor layer = parse_manifest(site.text_of(first)).layers.at(0);
    DeltaDestination destination(std::make_unique<MemoryDestination>(site.store, "delta"), site.base("v1"), {});
    const BlobIdentity blob = put_blob(destination, "something");
    CHECK(blob.digest == Digest::of("something"));
    CHECK(blob.size == 9);
    CHECK(destination.has_blob(described(blob, "")));
    CHECK(read_all(*destination.open_written(described(blob, ""))) == "something");
    CHECK(destination.has_blob(layer));
    CHECK(read_all(*destination.open_written(layer)) == site.text_of(layer));
    CHECK_FALSE(destination.has_blob({.digest = Digest::of("absent")}));
    CHECK(destination.open_written({.digest = Digest::of("absent")}) == nullptr);
    const Descriptor manifest = destination.put_manifest("{ }", "application/json");
    CHECK(manifest == Descriptor{.media_type = "application/json", .digest = Digest::of("{ }"), .size = 3});
    // Twice the same is one file.
    put_blob(destination, "something");
    destination.publish(manifest);
    MemorySource made(site.store, "delta");
    CHECK(parse_manifest(made.read_manifest(made.resolve())).layers.size() == 2);
    CHECK(made.resolve().artifact_type == kDeltaArtifactType);
}

TEST_CASE("images with tags of their own become deltas of their own") {
    Site site;
    site.image("v1", noise(5000));
    auto inner = std::make_unique<StrictDestination>();
    StrictDestination& seen = *inner;
    DeltaDestination destination(std::move(inner), site.base("v1"), {});
    const Descriptor disk = destination.put_manifest("one", media_type::oci_manifest);
    const Descriptor further = destination.put_manifest("three", media_type::oci_manifest);
    destination.publish_together(disk, {{"further", further}});
    REQUIRE(seen.published.size() == 1);
    REQUIRE(seen.published_beside.size() == 1);
    CHECK(seen.published_beside[0].tag == "further");
    const auto target = [&](const Descriptor& delta) {
        return parse_manifest(*seen.store->find_blob(delta.digest)).annotations.at("org.vm2oci.delta.target");
    };
    CHECK(target(seen.published[0]) == disk.digest.text());
    CHECK(target(seen.published_beside[0].top) == further.digest.text());
    CHECK(seen.published_beside[0].top.artifact_type == kDeltaArtifactType);
}

TEST_CASE("a base knows its layers by digest and by what was opened") {
    Site site;
    const Descriptor first = site.image("v1", noise(5000));
    const Descriptor layer = parse_manifest(site.text_of(first)).layers.at(0);
    const auto base = site.base("v1");
    CHECK(base->top().digest == first.digest);
    REQUIRE(base->layer(layer.digest));
    CHECK(base->digest_of(*base->layer(layer.digest)) == layer.digest);
    CHECK_FALSE(base->layer(Digest::of("absent")));
    CHECK_FALSE(base->parts().empty());
}

TEST_CASE("whether an image is a delta is said by its artifact type") {
    Site site;
    site.image("v1", noise(500));
    const Descriptor second = site.image("v2", noise(500, 2));
    site.make("v2", "v1");
    MemorySource delta(site.store, "delta");
    CHECK(is_delta(delta, delta.resolve()));
    CHECK(delta_target(delta, delta.resolve()) == second.digest);
    MemorySource image(site.store, "v1");
    CHECK_FALSE(is_delta(image, image.resolve()));
    CHECK_FALSE(delta_target(image, image.resolve()));
    // An index is read by nobody for that.
    MemoryDestination inside(site.store, "index");
    inside.publish(put_index(inside, {image.resolve()}));
    WatchedSource index(site.store, "index");
    CHECK_FALSE(is_delta(index, index.resolve()));
    CHECK(index.read.empty());
}
