#include "formats/codec/earlier_frames.hpp"
#include "tests/unit/codec/codec_fixture.hpp"

#include <catch2/catch.hpp>

#include <memory>

using namespace vm2oci;

namespace {

constexpr const char* kLayer = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

Encoded encode_with(const std::shared_ptr<const EarlierFrames>& earlier, std::string_view text) {
    StringSink sink;
    EncoderOptions options;
    options.earlier = earlier;
    LayerEncoder encoder({Compression::zstd, 0}, sink, {}, options);
    encoder.write(as_bytes(text));
    EncodedLayer layer = encoder.finish();
    return {std::move(sink.text), std::move(layer)};
}

std::shared_ptr<EarlierFrames> earlier_of(const std::string& layer, const std::optional<FrameIndex>& index) {
    auto frames = std::make_shared<EarlierFrames>();
    frames->add(std::make_shared<StringDevice>(layer), index);
    return frames;
}

} // namespace

TEST_CASE("index lead from one version to the next, under one key") {
    const std::string text = sample(5 * kFrameSize + 100);
    const Encoded plain = encode(text, {Compression::zstd, 0});
    CHECK(plain.layer.index.frames.empty());
    const auto first = encode_with(earlier_of(plain.bytes, std::nullopt), text);
    REQUIRE_FALSE(first.layer.index.frames.empty());
    CHECK(first.bytes == plain.bytes);
    const auto second = encode_with(earlier_of(first.bytes, first.layer.index), text);
    CHECK(second.bytes == plain.bytes);
    CHECK(second.layer.reused_frames == first.layer.reused_frames);
    CHECK(second.layer.index == first.layer.index);
}

TEST_CASE("a frame that was indexed is not decoded again, and must stand in the layer as it did") {
    const std::string text = sample(kFrameSize);
    Encoded layer = encode(text, {Compression::zstd, 0});
    const std::string stored(layer.layer.frames[0].compressed_size, '?'); // no zstd frame at all
    layer.bytes.replace(0, stored.size(), stored);
    FrameIndex index{random_fingerprint_key(), {}};
    Fingerprinter fingerprint(index.key);
    index.frames.push_back({fingerprint(as_bytes(text)), fingerprint(as_bytes(stored)), 0, layer.layer.frames[0]});
    std::vector<std::byte> out(2 * kFrameSize);

    const auto indexed = earlier_of(layer.bytes, index);
    const IndexedFrame found = EarlierFrames::Finder(*indexed).find(as_bytes(text), out);
    CHECK(found == index.frames[0]);
    CHECK(as_text(out).substr(0, stored.size()) == stored);

    layer.bytes[10] = '!';
    const auto changed = earlier_of(layer.bytes, index);
    CHECK(EarlierFrames::Finder(*changed).find(as_bytes(text), out).frame.compressed_size == 0);

    // By another key, or beyond the layer's end, an index says nothing.
    index.key = random_fingerprint_key();
    CHECK(EarlierFrames::Finder(*earlier_of(layer.bytes, index)).find(as_bytes(text), out).frame.compressed_size == 0);
    index.frames[0].offset = layer.bytes.size();
    const auto outside = earlier_of(layer.bytes, index);
    CHECK(EarlierFrames::Finder(*outside).find(as_bytes(text), out).frame.compressed_size == 0);
}

TEST_CASE("index are written and read, each for its own layer") {
    const FrameIndex index{random_fingerprint_key(),
                           {{{std::byte{1}}, {std::byte{2}}, 1ULL << 40, {100, 1 << 20, 0xfedcba98}}, {}}};
    std::vector<std::byte> bytes = serialise_frame_index(index, kLayer);
    CHECK(parse_frame_index(bytes, kLayer) == index);
    std::string other = kLayer;
    other.back() = '0';
    CHECK_FALSE(parse_frame_index(bytes, other));
    CHECK_FALSE(parse_frame_index(bytes, ""));
    for (std::size_t size = 0; size < bytes.size(); ++size)
        if (const auto cut = parse_frame_index(std::span(bytes).first(size), kLayer))
            CHECK(cut->frames.size() < index.frames.size());
    bytes[3] = std::byte{0};
    CHECK_FALSE(parse_frame_index(bytes, kLayer));
}
