#include "formats/codec/layer_encoder.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/layer_writer.hpp"
#include "formats/oci/memory_store.hpp"
#include "libconvert/copy/copy_image.hpp"
#include "libconvert/copy/partial_copy.hpp"
#include "libconvert/registry/registry_destination.hpp"
#include "libconvert/registry/registry_source.hpp"
#include "tests/support/fake_registry.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace vm2oci;
using namespace vm2oci::registry;
using test::FakeConnection;

namespace {

std::string noise(std::size_t size) {
    std::mt19937_64 random(5);
    std::string text(size, '\0');
    for (char& c : text)
        c = static_cast<char>(random());
    return text;
}

// An image of one layer with this content, under the tag "v".
std::shared_ptr<MemoryStore> image_of(const std::string& content, Compression compression = Compression::zstd) {
    auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store, "v");
    LayerWriter layer(destination, CompressionSpec{compression, 0}, {});
    layer.write(as_bytes(content));
    ImageManifest manifest;
    manifest.layers = {layer.finish().descriptor};
    const auto config = destination.begin_blob(std::nullopt);
    config->write(as_bytes("{}"));
    const BlobIdentity written = config->commit();
    manifest.config = {.media_type = media_type::oci_config, .digest = written.digest, .size = written.size};
    destination.publish(destination.put_manifest(to_json(manifest), media_type::oci_manifest));
    return store;
}

RegistryReference tagged() {
    RegistryReference reference;
    reference.host = "registry.test";
    reference.repository = "team/disk";
    reference.tag = "v";
    return reference;
}

struct Pulled {
    CopyResult result;
    std::uint64_t ranges = 0;
};

// The second version into a store that is empty, given the first.
Pulled pull(const std::shared_ptr<MemoryStore>& first, const std::shared_ptr<MemoryStore>& second,
            FakeConnection& connection) {
    MemorySource from(second, "v");
    RegistryDestination to(connection.client, tagged(), {}, {});
    copy_image(from, to, {}, {});
    MemorySource earlier(first, "v");
    CopyOptions options;
    options.earlier = open_earlier_parts(earlier, "", {});
    RegistrySource source(connection.client, tagged(), {});
    auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store, "v");
    connection.server->seen.clear();
    Pulled pulled{copy_image(source, destination, options, {}), 0};
    for (const auto& request : connection.server->seen)
        pulled.ranges += request.headers.find("Range") ? 1U : 0U;
    for (const CopiedBlob& one : pulled.result.blobs)
        CHECK(store->find_blob(one.blob.digest) != nullptr);
    return pulled;
}

} // namespace

TEST_CASE("what an earlier version has is not fetched") {
    const std::string before = noise(8 * kFrameSize);
    std::string after = before;
    after[3 * kFrameSize + 5] ^= '\1';
    FakeConnection connection;
    const Pulled pulled = pull(image_of(before), image_of(after), connection);
    CHECK(pulled.result.reused_bytes() > 7 * kFrameSize);
    CHECK(pulled.result.reused_bytes() < 8 * kFrameSize);
    CHECK(pulled.ranges == 4); // two for the table, one for the frame, one for what stands behind the frames
}

TEST_CASE("where nothing can be taken, all is fetched") {
    const std::string content = noise(3 * kFrameSize);
    FakeConnection connection;
    SECTION("the earlier version has no table") {
        CHECK(pull(image_of(content, Compression::gzip), image_of(content), connection).result.reused_bytes() == 0);
    }
    SECTION("nor has the new one") {
        CHECK(pull(image_of(content), image_of(content, Compression::gzip), connection).result.reused_bytes() == 0);
    }
    SECTION("the earlier version is another one") {
        CHECK(pull(image_of(std::string(3 * kFrameSize, 'x')), image_of(content), connection).result.reused_bytes() ==
              0);
    }
}

TEST_CASE("an earlier version that is damaged costs its reuse alone") {
    const std::string content = noise(3 * kFrameSize);
    const auto whole = image_of(content);
    MemorySource source(whole, "v");
    const Descriptor top = source.resolve();
    const Descriptor layer = parse_manifest(source.read_manifest(top)).layers.front();
    std::string damaged = *whole->find_blob(layer.digest);
    damaged[1000] ^= '\1';
    const auto first = std::make_shared<MemoryStore>();
    first->put_blob(top.digest, source.read_manifest(top));
    first->put_blob(layer.digest, damaged);
    first->set_tag("v", top);
    FakeConnection connection;
    std::string other = content;
    other.back() ^= '\1';
    CHECK(pull(first, image_of(other), connection).result.reused_bytes() == 0);
}

TEST_CASE("steps cover a blob, and small gaps are fetched with what surrounds them") {
    const auto store = image_of(noise(4 * kFrameSize));
    MemorySource source(store, "v");
    const Descriptor layer = parse_manifest(source.read_manifest(source.resolve())).layers.front();
    EarlierParts earlier;
    earlier.add(source.open_blob(layer), {});
    const std::vector<LayerPart> known = parts_of_layer(*source.open_blob(layer), {});
    REQUIRE(known.size() == 4);
    // Known, unknown, known but tiny, unknown, known; 100 bytes behind.
    LayerPart tiny = known[1];
    tiny.size = 10'000;
    const std::vector<LayerPart> parts = {{0, known[0].size, known[0].key},
                                          {known[0].size, 50'000, "new"},
                                          {known[0].size + 50'000, tiny.size, tiny.key},
                                          {known[0].size + 60'000, 50'000, "newer"},
                                          {known[0].size + 110'000, known[3].size, known[3].key}};
    const std::uint64_t size = parts.back().offset + parts.back().size + 100;
    const std::vector<PartialStep> steps = plan_partial_copy(parts, size, earlier);
    REQUIRE(steps.size() == 4);
    CHECK(steps[0].earlier.has_value());
    CHECK_FALSE(steps[1].earlier.has_value());
    CHECK(steps[1].size == 110'000);
    CHECK(steps[2].earlier->offset == known[3].offset);
    CHECK(steps[3].size == 100);
    std::uint64_t end = 0;
    for (const PartialStep& step : steps) {
        CHECK(step.offset == end);
        end += step.size;
    }
    CHECK(end == size);
}
