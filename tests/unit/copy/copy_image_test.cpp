// What is copied of an image, in which order, and what it takes to be refused.
#include "libconvert/copy/copy_image.hpp"
#include "tests/unit/copy/copy_fixture.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

struct Site : CopySite {
    CopyResult copy(const Descriptor& top, const OperationContext& operation = {}) {
        inside.publish(top);
        return copy_published(operation);
    }
    Error refused(const Descriptor& top, const OperationContext& operation = {}) {
        return error_of([&] { copy(top, operation); });
    }
};

// `levels` indexes above one image.
Descriptor nested(MemoryDestination& inside, unsigned levels) {
    Descriptor top = put_image(inside, "a layer");
    for (unsigned i = 0; i < levels; ++i)
        top = put_index(inside, {top});
    return top;
}

std::vector<std::uint64_t> sizes_of(const MemoryStore& store, const std::vector<Digest>& blobs) {
    std::vector<std::uint64_t> sizes;
    for (const Digest& blob : blobs)
        sizes.push_back(store.find_blob(blob)->size());
    return sizes;
}

} // namespace

TEST_CASE("an image is copied byte for byte, and its reference comes last") {
    Site site;
    const Descriptor top = put_image(site.inside, "a layer");
    const CopyResult result = site.copy(top);
    CHECK(result.top.digest == top.digest);
    REQUIRE(site.destination.published.size() == 1);
    CHECK(site.destination.published[0].digest == top.digest);
    CHECK(site.destination.manifests == std::vector{top.digest});
    CHECK(*site.destination.store->find_blob(top.digest) == *site.store->find_blob(top.digest));
    CHECK(result.blobs.size() == 2);
    CHECK(std::ranges::is_sorted(result.blobs, {}, [](const CopiedBlob& one) { return one.blob.digest; }));
    CHECK(result.copied_bytes() == result.blobs[0].blob.size + result.blobs[1].blob.size);
    CHECK(result.reused_bytes() == 0);

    // Once more: all of it is there, and nothing is begun.
    site.destination.begun.clear();
    HeardProgress heard;
    OperationContext operation;
    operation.progress = &heard;
    const CopyResult again = site.copy(top, operation);
    CHECK(again.copied_bytes() == 0);
    CHECK(again.blobs.size() == 2);
    CHECK(site.destination.begun.empty());
    CHECK(heard.phases.at(0).done == 0);
    CHECK(heard.phases.at(0).total == result.copied_bytes());
    CHECK(heard.notes.at(0).ends_with(" already there"));
}

TEST_CASE("without the last step no reference is written") {
    Site site;
    site.inside.publish(put_image(site.inside, "a layer"));
    const CopyResult result = copy_unpublished(site.source, site.destination, site.options, {});
    CHECK(site.destination.published.empty());
    CHECK(site.destination.manifests.size() == 1);
    CHECK(result.entry.platform == Platform{.architecture = "amd64"});
    CHECK_FALSE(result.top.platform);
}

TEST_CASE("blobs go one after the other, the largest first, each of them once") {
    Site site;
    const std::string shared(3000, 's');
    std::vector<Descriptor> images;
    for (const auto& [architecture, length] : {std::pair{"amd64", 50}, {"arm64", 9000}, {"s390x", 700}}) {
        const BlobIdentity own = put_blob(site.inside, std::string(static_cast<std::size_t>(length), 'o'));
        const BlobIdentity both = put_blob(site.inside, shared);
        ImageManifest manifest;
        manifest.config = described(put_blob(site.inside, "{}"), media_type::oci_config);
        // The same layer twice, as empty layers of Docker's are.
        manifest.layers = {described(both, media_type::oci_layer), described(own, media_type::oci_layer),
                           described(both, media_type::oci_layer)};
        images.push_back(
            on_platform(site.inside.put_manifest(to_json(manifest), media_type::oci_manifest), architecture));
    }
    HeardProgress heard;
    OperationContext operation;
    operation.progress = &heard;
    const CopyResult result = site.copy(put_index(site.inside, images), operation);
    CHECK(sizes_of(*site.store, site.destination.begun) == std::vector<std::uint64_t>{9000, 3000, 700, 50, 2});
    CHECK(result.blobs.size() == 5);
    CHECK(result.copied_bytes() == 9000 + 3000 + 700 + 50 + 2);
    REQUIRE(heard.phases.size() == 1);
    CHECK(heard.phases[0].name == "copy");
    CHECK(heard.phases[0].total == 12752);
    CHECK(heard.phases[0].done == 12752);
    CHECK(heard.phases[0].ended);
    REQUIRE(heard.notes.size() == 5);
    CHECK(heard.notes[4] == Digest::of("{}").text() + " 2 B copied");
}

TEST_CASE("what an index names comes before it, also where it is named at two depths") {
    Site site;
    const Descriptor image = put_image(site.inside, "a layer");
    const Descriptor other = put_image(site.inside, "another", "arm64");
    const Descriptor inner = put_index(site.inside, {image});
    const Descriptor middle = put_index(site.inside, {inner, other});
    // The image and the inner index stand beside the middle one, which names them too.
    const Descriptor top = put_index(site.inside, {image, inner, middle});
    site.copy(top);
    const std::vector<Digest>& order = site.destination.manifests;
    REQUIRE(order.size() == 5);
    const auto place = [&](const Descriptor& one) { return std::ranges::find(order, one.digest) - order.begin(); };
    CHECK(place(image) < place(inner));
    CHECK(place(inner) < place(middle));
    CHECK(place(other) < place(middle));
    CHECK(order.back() == top.digest);
    // Each is read once, however often it is named.
    std::vector<Digest> read = site.source.read;
    std::ranges::sort(read);
    CHECK(std::ranges::adjacent_find(read) == read.end());
}

TEST_CASE("indexes may lie eight deep in each other") {
    Site site;
    CHECK_NOTHROW(site.copy(nested(site.inside, 8)));
    const Error error = site.refused(nested(site.inside, 9));
    CHECK(error.kind() == ErrorKind::limit);
    CHECK(error.message() == "indexes lie in each other more than 8 deep");
}

TEST_CASE("an image has a thousand manifests at most") {
    Site site;
    const BlobIdentity config = put_blob(site.inside, "{}");
    std::vector<Descriptor> images;
    for (int i = 0; i < 1000; ++i) {
        ImageManifest manifest;
        manifest.config = described(config, media_type::oci_config);
        manifest.annotations["number"] = std::to_string(i);
        images.push_back(site.inside.put_manifest(to_json(manifest), media_type::oci_manifest));
    }
    const Descriptor too_many = put_index(site.inside, images);
    images.pop_back();
    site.inside.publish(put_index(site.inside, images)); // with the index itself a thousand
    MemoryDestination anywhere(std::make_shared<MemoryStore>());
    CHECK_NOTHROW(copy_image(site.source, anywhere, site.options, {}));
    const Error error = site.refused(too_many);
    CHECK(error.kind() == ErrorKind::limit);
    CHECK(error.message() == "the image has more than 1000 manifests");
}

TEST_CASE("manifests that disagree about a blob are refused before anything is written") {
    Site site;
    const Descriptor first = put_image(site.inside, "a layer");
    ImageManifest manifest = parse_manifest(*site.store->find_blob(first.digest));
    manifest.layers[0].size += 1;
    const Descriptor second = site.inside.put_manifest(to_json(manifest), media_type::oci_manifest);
    const Error error = site.refused(put_index(site.inside, {first, second}));
    CHECK(error.kind() == ErrorKind::corrupt);
    CHECK(error.message() == "two manifests disagree about the size of " + Digest::of("a layer").text());
    CHECK(site.destination.begun.empty());
    CHECK(site.destination.manifests.empty());
}

TEST_CASE("an index that names what is not there says so, and what can be done") {
    Site site;
    const Descriptor image = put_image(site.inside, "a layer");
    Descriptor absent = image;
    absent.digest = Digest::of("absent");
    const Error error = site.refused(put_index(site.inside, {image, absent}));
    CHECK(error.kind() == ErrorKind::not_found);
    CHECK(error.hint().kind == HintKind::architecture);
    REQUIRE(error.context().size() == 1);
    CHECK(error.context()[0] == "an index names an image that is not there, and one that is there can be copied alone");
    // Of an image alone there is no other one.
    const Error alone = site.refused(absent);
    CHECK(alone.kind() == ErrorKind::not_found);
    CHECK(alone.hint().kind == HintKind::none);
    CHECK(alone.context().empty());
    // A manifest whose bytes are others is no absence.
    site.store->put_blob(absent.digest, "{}");
    absent.size = 2;
    const Error changed = site.refused(put_index(site.inside, {image, absent}));
    CHECK(changed.kind() == ErrorKind::corrupt);
    CHECK(changed.hint().kind == HintKind::none);
}

TEST_CASE("of an index what is neither image nor index is carried as it is") {
    Site site;
    const Descriptor image = put_image(site.inside, "a layer");
    // Indexes of Flatpak's and Helm's stores, signatures, and what comes: bytes with a digest.
    const BlobIdentity strange = put_blob(site.inside, R"({"schemaVersion":1,"layers":"none"})");
    const Descriptor entry = described(strange, "application/vnd.example.thing.v1+json");
    const CopyResult result = site.copy(put_index(site.inside, {image, entry}));
    CHECK(result.blobs.size() == 2);
    CHECK(std::ranges::count(site.destination.manifests, entry.digest) == 1);
    // What a reference itself names is an image, whatever it calls itself.
    const Error error = site.refused(entry);
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK(site.destination.published.size() == 1);
}

TEST_CASE("an index without images is one all the same") {
    Site site;
    for (const unsigned threads : {0U, 1U, 3U}) {
        site.options.parallel_blobs = threads;
        const CopyResult result = site.copy(put_index(site.inside, {}));
        CHECK(result.blobs.empty());
        CHECK(site.destination.published.back().digest == result.top.digest);
    }
}

TEST_CASE("of an index one architecture is taken where it is asked for") {
    Site site;
    const Descriptor amd64 = on_platform(put_image(site.inside, "one", "amd64"), "amd64");
    const Descriptor arm64 = on_platform(put_image(site.inside, "two", "arm64"), "arm64", "v8");
    const Descriptor index = put_index(site.inside, {amd64, arm64});
    site.options.architecture = "aarch64"; // as the kernel calls it
    const CopyResult result = site.copy(index);
    CHECK(result.top.digest == arm64.digest);
    CHECK(result.entry.platform == arm64.platform);
    CHECK(site.destination.manifests == std::vector{arm64.digest});
    CHECK(result.blobs.size() == 2);
    CHECK_FALSE(site.destination.has_blob({.digest = Digest::of("one")}));
    site.options.architecture = "s390x";
    const Error error = site.refused(index);
    CHECK(error.kind() == ErrorKind::not_found);
    CHECK(error.message() == "the index has no image for 's390x'; it has linux/amd64, linux/arm64/v8");
    // What is no index has nothing to choose from.
    CHECK(site.copy(amd64).top.digest == amd64.digest);
    CHECK(site.destination.published.size() == 2);
}
