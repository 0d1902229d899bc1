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

std::shared_ptr<EarlierFrames> earlier_of(const std::string& layer, const std::optional<FrameNotes>& notes) {
    auto frames = std::make_shared<EarlierFrames>();
    frames->add(std::make_shared<StringDevice>(layer), notes);
    return frames;
}

} // namespace

TEST_CASE("notes lead from one version to the next, under one key") {
    const std::string text = sample(5 * kFrameSize + 100);
    const Encoded plain = encode(text, {Compression::zstd, 0});
    CHECK(plain.layer.notes.frames.empty());
    const auto first = encode_with(earlier_of(plain.bytes, std::nullopt), text);
    REQUIRE_FALSE(first.layer.notes.frames.empty());
    CHECK(first.bytes == plain.bytes);
    const auto second = encode_with(earlier_of(first.bytes, first.layer.notes), text);
    CHECK(second.bytes == plain.bytes);
    CHECK(second.layer.reused_frames == first.layer.reused_frames);
    CHECK(second.layer.notes == first.layer.notes);
}

TEST_CASE("a frame that was noted is not decoded again, and must stand in the layer as it did") {
    const std::string text = sample(kFrameSize);
    Encoded layer = encode(text, {Compression::zstd, 0});
    const std::string stored(layer.layer.frames[0].compressed_size, '?'); // no zstd frame at all
    layer.bytes.replace(0, stored.size(), stored);
    FrameNotes notes{random_fingerprint_key(), {}};
    Fingerprinter fingerprint(notes.key);
    notes.frames.push_back({fingerprint(as_bytes(text)), fingerprint(as_bytes(stored)), 0, layer.layer.frames[0]});
    std::vector<std::byte> out(2 * kFrameSize);

    const auto noted = earlier_of(layer.bytes, notes);
    const FrameNote found = EarlierFrames::Finder(*noted).find(as_bytes(text), out);
    CHECK(found == notes.frames[0]);
    CHECK(as_text(out).substr(0, stored.size()) == stored);

    layer.bytes[10] = '!';
    const auto changed = earlier_of(layer.bytes, notes);
    CHECK(EarlierFrames::Finder(*changed).find(as_bytes(text), out).frame.compressed_size == 0);

    // By another key, or beyond the layer's end, notes say nothing.
    notes.key = random_fingerprint_key();
    CHECK(EarlierFrames::Finder(*earlier_of(layer.bytes, notes)).find(as_bytes(text), out).frame.compressed_size == 0);
    notes.frames[0].offset = layer.bytes.size();
    const auto outside = earlier_of(layer.bytes, notes);
    CHECK(EarlierFrames::Finder(*outside).find(as_bytes(text), out).frame.compressed_size == 0);
}

TEST_CASE("notes are written and read, each for its own layer") {
    const FrameNotes notes{random_fingerprint_key(),
                           {{{std::byte{1}}, {std::byte{2}}, 1ULL << 40, {100, 1 << 20, 0xfedcba98}}, {}}};
    std::vector<std::byte> bytes = serialise_frame_notes(notes, kLayer);
    CHECK(parse_frame_notes(bytes, kLayer) == notes);
    std::string other = kLayer;
    other.back() = '0';
    CHECK_FALSE(parse_frame_notes(bytes, other));
    CHECK_FALSE(parse_frame_notes(bytes, ""));
    for (std::size_t size = 0; size < bytes.size(); ++size)
        if (const auto cut = parse_frame_notes(std::span(bytes).first(size), kLayer))
            CHECK(cut->frames.size() < notes.frames.size());
    bytes[3] = std::byte{0};
    CHECK_FALSE(parse_frame_notes(bytes, kLayer));
}
