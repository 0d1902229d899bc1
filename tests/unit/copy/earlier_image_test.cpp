// What an earlier version of an image offers to the next one.
#include "formats/codec/layer_encoder.hpp"
#include "formats/codec/seek_table.hpp"
#include "formats/oci/chunked_toc.hpp"
#include "formats/oci/layer_writer.hpp"
#include "libconvert/copy/earlier_image.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/copy/copy_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

struct Store {
    std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
    MemoryDestination inside{store, "v"};
    WatchedSource source{store, "v"};

    Descriptor image(const std::vector<Descriptor>& layers) {
        ImageManifest manifest;
        manifest.config = described(put_blob(inside, "{}"), media_type::oci_config);
        manifest.layers = layers;
        return inside.put_manifest(to_json(manifest), media_type::oci_manifest);
    }
    Descriptor layer(const std::string& content, Compression compression = Compression::zstd) {
        LayerWriter writer(inside, CompressionSpec{compression, 0}, {});
        writer.write(as_bytes(content));
        return writer.finish().descriptor;
    }
};

std::vector<Digest> digests_of(const std::vector<Descriptor>& layers) {
    std::vector<Digest> digests;
    for (const Descriptor& layer : layers)
        digests.push_back(layer.digest);
    return digests;
}

template <class Open>
std::vector<std::string> notes_of(Open open) {
    HeardProgress heard;
    OperationContext operation;
    operation.progress = &heard;
    open(operation);
    return heard.notes;
}

} // namespace

TEST_CASE("the layers of an earlier version are those of one image, or of all") {
    Store store;
    const Descriptor one = described(put_blob(store.inside, "one"), media_type::oci_layer);
    const Descriptor two = described(put_blob(store.inside, "two"), media_type::oci_layer);
    const Descriptor three = described(put_blob(store.inside, "three"), media_type::oci_layer);
    const Descriptor amd64 = on_platform(store.image({one, two}), "amd64");
    const Descriptor arm64 = on_platform(store.image({three}), "arm64");
    const Descriptor other = described(put_blob(store.inside, "{}"), "application/vnd.example.thing");
    store.inside.publish(put_index(store.inside, {amd64, other, arm64}));
    CHECK(digests_of(layers_of_image(store.source, "")) == std::vector{one.digest, two.digest, three.digest});
    CHECK(digests_of(layers_of_image(store.source, "arm64")) == std::vector{three.digest});
    CHECK(digests_of(layers_of_image(store.source, "x86_64")) == std::vector{one.digest, two.digest});
    CHECK(error_of([&] { layers_of_image(store.source, "s390x"); }).kind() == ErrorKind::not_found);
    store.inside.publish(arm64);
    CHECK(digests_of(layers_of_image(store.source, "")) == std::vector{three.digest});
}

TEST_CASE("the parts of a layer are its frames, with what they hold") {
    Store store;
    const std::string content = noise(2 * kFrameSize + 100);
    const Descriptor layer = store.layer(content);
    const auto device = store.source.open_blob(layer);
    const std::optional<SeekTable> table = read_seek_table(*device);
    REQUIRE(table);
    const std::vector<LayerPart> parts = parts_of_layer(*device, {});
    REQUIRE(parts.size() == 3);
    CHECK(parts[0].offset == 0);
    CHECK(parts[0].size == table->frames[0].compressed_size);
    CHECK(parts[1].offset == parts[0].size);
    CHECK(parts[2].offset == parts[0].size + parts[1].size);
    CHECK(parts[0].key != parts[1].key);
    // The same content elsewhere has the same key, and other content another one.
    const Descriptor moved =
        store.layer(content.substr(kFrameSize, kFrameSize) + content.substr(0, kFrameSize) + "another");
    const std::vector<LayerPart> others = parts_of_layer(*store.source.open_blob(moved), {});
    REQUIRE(others.size() == 3);
    CHECK(others[0].key == parts[1].key);
    CHECK(others[1].key == parts[0].key);
    CHECK(others[2].key != parts[2].key);
    for (const Compression compression : {Compression::none, Compression::gzip})
        CHECK(parts_of_layer(*store.source.open_blob(store.layer(content, compression)), {}).empty());
}

TEST_CASE("frames without content are no parts, and a table without checksums says nothing of any") {
    // Four frames by hand: ten bytes, a skippable one of six, two of three.
    const std::vector<EncodedFrame> frames = {{10, 30, 7}, {6, 0, 0}, {3, 9, 8}, {3, 9, 8}};
    const std::string bytes(22, 'x');
    const std::string layer = bytes + std::string(as_text(make_seek_table(frames)));
    Store store;
    const auto open = [&](const std::string& text) {
        return store.source.open_blob(described(put_blob(store.inside, text), ""));
    };
    const std::vector<LayerPart> parts = parts_of_layer(*open(layer), {});
    REQUIRE(parts.size() == 3);
    CHECK(parts[0].offset == 0);
    CHECK(parts[1].offset == 16);
    CHECK(parts[1].size == 3);
    CHECK(parts[2].offset == 19);
    CHECK(parts[1].key == parts[2].key);
    EarlierParts earlier;
    const auto device = open(layer);
    CHECK_FALSE(earlier.add(device, {}));
    CHECK(earlier.find(parts[2])->offset == 16); // the first of equals
    CHECK(earlier.find(parts[2])->layer == device);
    CHECK_FALSE(earlier.find({0, 3, "unknown"}));

    // The same without checksums (zstd's own tool writes them so): 8 bytes an entry, the flag not set.
    std::string plain = bytes + std::string("\x5e\x2a\x4d\x18\x29\0\0\0", 8);
    for (const EncodedFrame& frame : frames)
        for (const std::uint32_t number : {frame.compressed_size, frame.content_size})
            plain += std::string{static_cast<char>(number), '\0', '\0', '\0'};
    plain += std::string("\4\0\0\0\0\xb1\xea\x92\x8f", 9);
    REQUIRE(read_seek_table(*open(plain)));
    CHECK(parts_of_layer(*open(plain), {}).empty());
    EarlierParts none;
    CHECK_FALSE(none.add(open(plain), {}));
    CHECK(none.empty());
}

namespace {

// A chunked layer with a file of zeros and noise, and its descriptor.
Descriptor chunked_layer(Store& store, const std::string& content) {
    LayerOptions options = CompressionSpec{Compression::zstd, 1};
    options.form = LayerForm::chunked;
    LayerWriter writer(store.inside, options, {});
    Entry entry;
    entry.path = "disk";
    entry.status.type = FileType::regular;
    entry.status.size = content.size();
    const std::string header(512, 'h');
    writer.entry_begins(entry, header);
    writer.write(as_bytes(header));
    writer.write(as_bytes(content));
    writer.write(as_bytes(std::string((512 - content.size() % 512) % 512, '\0')));
    return writer.finish().descriptor;
}

// The layer without the seek table at its end, as other writers of zstd:chunked leave it.
Descriptor without_seek_table(Store& store, const Descriptor& layer) {
    std::string text = read_all(*store.source.open_blob(layer));
    const std::optional<SeekTable> table = read_seek_table(*store.source.open_blob(layer));
    REQUIRE(table);
    text.resize(text.size() - (8 + 12 * table->frames.size() + 9));
    Descriptor changed = layer;
    const BlobIdentity blob = put_blob(store.inside, text);
    changed.digest = blob.digest;
    changed.size = blob.size;
    return changed;
}

} // namespace

TEST_CASE("a table of contents serves where there is no seek table") {
    Store store;
    const std::string content = noise(kFrameSize) + std::string(kFrameSize, '\0') + noise(1000, 9);
    const Descriptor layer = without_seek_table(store, chunked_layer(store, content));
    const auto device = store.source.open_blob(layer);
    REQUIRE_FALSE(read_seek_table(*device));
    const std::vector<LayerPart> parts = parts_of_layer(*device, layer.annotations);
    REQUIRE(parts.size() == 3);
    for (std::size_t i = 0; i + 1 < parts.size(); ++i)
        CHECK(parts[i].offset + parts[i].size <= parts[i + 1].offset);
    // Zeros are known by their length, noise by its digest.
    CHECK(parts[0].key.find(Digest::of(noise(kFrameSize)).text()) != std::string::npos);
    CHECK(parts[1].key.ends_with(":1048576:zeros"));
    CHECK(parts[2].key.find(Digest::of(noise(1000, 9)).text()) != std::string::npos);
    CHECK(parts_of_layer(*device, {}).empty());
}

TEST_CASE("an earlier version whose tables are broken costs its reuse alone") {
    Store store;
    Descriptor broken = without_seek_table(store, chunked_layer(store, noise(5000)));
    std::string& position = broken.annotations.at(chunked::kTocPosition);
    const std::string good = position;
    for (const std::string& lie : std::vector<std::string>{"", "1:2", "999999999:1:1:1", "0:200000000:1:1"}) {
        CAPTURE(lie);
        position = lie;
        store.inside.publish(store.image({broken}));
        std::shared_ptr<const EarlierParts> parts;
        const std::vector<std::string> notes = notes_of(
            [&](const OperationContext& operation) { parts = open_earlier_parts(store.source, "", operation); });
        CHECK(parts->empty());
        REQUIRE(notes.size() == 2);
        CHECK(notes[0].starts_with("nothing of the earlier version's layer " + broken.digest.text() +
                                   " can be taken: the layer's table of contents "));
    }
    // Beside it a good one is of use.
    store.inside.publish(store.image({broken, store.layer(noise(3000, 3))}));
    CHECK_FALSE(open_earlier_parts(store.source, "", {})->empty());
    position = good;
    store.inside.publish(store.image({broken}));
    CHECK_FALSE(open_earlier_parts(store.source, "", {})->empty());
}

TEST_CASE("that nothing can be taken of an earlier version is said") {
    Store store;
    const TemporaryFolder folder;
    const FrameIndexCache cache(folder.path());
    const auto notes = [&] {
        return notes_of([&](const OperationContext& operation) {
            const bool has_parts = !open_earlier_parts(store.source, "", operation)->empty();
            const bool has_frames = !open_earlier_frames(store.source, "", cache, operation)->empty();
            CHECK(has_parts == has_frames);
        });
    };
    store.inside.publish(store.image({store.layer(noise(3000), Compression::gzip)}));
    CHECK(notes() == std::vector<std::string>{
                         "nothing of the earlier version can be taken: its layers have no table of their parts",
                         "nothing of the earlier version can be taken: its layers are not zstd with a table of frames "
                         "and checksums"});
    store.inside.publish(store.image({store.layer(noise(3000))}));
    CHECK(notes().empty());
    // A layer that is named and not there is an error: the user named the version.
    store.inside.publish(store.image({{.media_type = media_type::oci_layer, .digest = Digest::of("absent")}}));
    CHECK(error_of([&] { open_earlier_parts(store.source, "", {}); }).kind() == ErrorKind::not_found);
    CHECK(error_of([&] { open_earlier_frames(store.source, "", cache, {}); }).kind() == ErrorKind::not_found);
}

TEST_CASE("frames of an earlier version are known by the index that was kept of them") {
    Store store;
    const TemporaryFolder folder;
    const FrameIndexCache cache(folder.path());
    LayerOptions options = CompressionSpec{Compression::zstd, 1};
    options.earlier = std::make_shared<EarlierFrames>();
    LayerWriter writer(store.inside, options, {});
    writer.write(as_bytes(noise(3000)));
    const StoredLayer stored = writer.finish();
    REQUIRE(stored.index.frames.size() == 1);
    store.inside.publish(store.image({stored.descriptor}));
    CHECK(open_earlier_frames(store.source, "", cache, {})->key() != stored.index.key);
    cache.keep({&stored, 1});
    CHECK(open_earlier_frames(store.source, "", cache, {})->key() == stored.index.key);
}

TEST_CASE("indexes of frames lie in the user's cache, if there is one") {
    const auto with = [](const char* cache, const char* home) {
        cache == nullptr ? ::unsetenv("XDG_CACHE_HOME") : ::setenv("XDG_CACHE_HOME", cache, 1);
        home == nullptr ? ::unsetenv("HOME") : ::setenv("HOME", home, 1);
        return user_frame_cache().string();
    };
    const char* const old_home = std::getenv("HOME");
    const std::string home = old_home == nullptr ? "" : old_home;
    CHECK(with("/var/cache/me", "/home/me") == "/var/cache/me/vm2oci/frames");
    CHECK(with(nullptr, "/home/me") == "/home/me/.cache/vm2oci/frames");
    CHECK(with("", "/home/me") == "/home/me/.cache/vm2oci/frames");
    CHECK(with(nullptr, nullptr).empty());
    with(nullptr, old_home == nullptr ? nullptr : home.c_str());
}
