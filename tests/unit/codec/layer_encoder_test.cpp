#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/codec/frame_checksum.hpp"
#include "formats/codec/layer_encoder.hpp"
#include "formats/codec/skippable_frame.hpp"
#include "tests/unit/codec/codec_fixture.hpp"

#include <catch2/catch.hpp>
#include <libdeflate.h>
#include <zstd.h>

#include <cstdint>
#include <string>

using namespace vm2oci;

namespace {

class FailingSink final : public ByteSink {
  public:
    explicit FailingSink(std::size_t after) : left_(after) {}
    void write(std::span<const std::byte> bytes) override {
        if (bytes.size() > left_)
            fail(ErrorKind::io, "the disk is full");
        left_ -= bytes.size();
    }

  private:
    std::size_t left_;
};

std::string decode_zstd(const std::string& bytes, std::size_t size) {
    std::string text(size, '\1');
    const std::size_t got = ZSTD_decompress(text.data(), text.size(), bytes.data(), bytes.size());
    REQUIRE(ZSTD_isError(got) == 0);
    text.resize(got);
    return text;
}

std::string decode_gzip(const std::string& bytes, std::size_t size) {
    std::string text(size, '\1');
    libdeflate_decompressor* decompressor = libdeflate_alloc_decompressor();
    std::size_t in = 0;
    std::size_t out = 0;
    while (in < bytes.size()) {
        std::size_t used = 0;
        std::size_t made = 0;
        REQUIRE(libdeflate_gzip_decompress_ex(decompressor, bytes.data() + in, bytes.size() - in, text.data() + out,
                                              text.size() - out, &used, &made) == LIBDEFLATE_SUCCESS);
        in += used;
        out += made;
    }
    libdeflate_free_decompressor(decompressor);
    text.resize(out);
    return text;
}

} // namespace

TEST_CASE("a zstd layer decodes to its content, and says what it holds") {
    const std::string text = sample(5 * kFrameSize + 4711);
    const Encoded encoded = encode(text, {Compression::zstd, 1}, 3);
    CHECK(decode_zstd(encoded.bytes, text.size()) == text);
    CHECK(encoded.layer.diff_id == sha256(as_bytes(text)));
    CHECK(encoded.layer.content_size == text.size());
    CHECK(encoded.layer.compressed_size == encoded.bytes.size());
    REQUIRE(encoded.layer.frames.size() == 6);

    // Every frame stands alone, and its header says its size.
    std::size_t at = 0;
    std::size_t content_at = 0;
    for (const EncodedFrame& frame : encoded.layer.frames) {
        CHECK(ZSTD_getFrameContentSize(encoded.bytes.data() + at, frame.compressed_size) == frame.content_size);
        CHECK(decode_zstd(encoded.bytes.substr(at, frame.compressed_size), frame.content_size) ==
              text.substr(content_at, frame.content_size));
        at += frame.compressed_size;
        content_at += frame.content_size;
    }
    // Behind them the seek table: a skippable frame of 12 bytes an entry and a footer of 9.
    REQUIRE(encoded.bytes.size() == at + 8 + 6 * 12 + 9);
    CHECK(encoded.bytes.substr(at, 4) == "\x5e\x2a\x4d\x18");
    CHECK(encoded.bytes.substr(encoded.bytes.size() - 9) == std::string("\6\0\0\0\x80\xb1\xea\x92\x8f", 9));
}

TEST_CASE("checksums of frames are those of zstd") {
    const std::string text = sample(100'003);
    ZSTD_CCtx* context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    for (const unsigned size : {0U, 1U, 3U, 4U, 7U, 8U, 31U, 32U, 33U, 63U, 64U, 100U, 100'003U}) {
        std::string frame(ZSTD_compressBound(size), '\0');
        frame.resize(ZSTD_compress2(context, frame.data(), frame.size(), text.data(), size));
        const auto stored = load_le<std::uint32_t>(as_bytes(frame).data() + frame.size() - 4);
        CHECK(frame_checksum(as_bytes(std::string_view(text).substr(0, size))) == stored);
    }
    ZSTD_freeCCtx(context);
    const Encoded encoded = encode(text, {Compression::zstd, 1});
    REQUIRE(encoded.layer.frames.size() == 1);
    CHECK(encoded.layer.frames[0].checksum == frame_checksum(as_bytes(text)));
}

TEST_CASE("frames stand between the content and the seek table, and readers pass over them") {
    const std::string text = sample(2 * kFrameSize + 5);
    StringSink sink;
    EncoderOptions options;
    options.frame_digests = FrameDigests::compute;
    LayerEncoder encoder({Compression::zstd, 1}, sink, {}, options);
    encoder.write(as_bytes(text));
    const EncodedLayer layer = encoder.finish([&](const EncodedLayer& content) {
        REQUIRE(content.contents.size() == 3);
        for (std::size_t i = 0; i < 3; ++i) {
            const auto frame = as_bytes(std::string_view(text).substr(i * kFrameSize, kFrameSize));
            CHECK(content.contents[i].is_zero == is_zero(frame));
            if (!content.contents[i].is_zero)
                CHECK(content.contents[i].digest == sha256(frame));
        }
        return std::vector{make_skippable_frame(as_bytes("a table")), make_skippable_frame(as_bytes("another"))};
    });
    CHECK(sink.text.find("a table") != std::string::npos);
    CHECK(layer.compressed_size == sink.text.size());
    CHECK(decode_zstd(sink.text, text.size()) == text);
    const StringDevice device(sink.text);
    const auto table = read_seek_table(device);
    REQUIRE(table);
    CHECK(table->frames.size() == 5);
    CHECK_FALSE(check_seek_table(device).has_value());
}

TEST_CASE("frames of an earlier layer are taken, and give the same bytes") {
    const std::string before = sample(6 * kFrameSize + 99);
    std::string after = before;
    after[3 * kFrameSize + 77] ^= '\1';
    const Encoded old = encode(before, {Compression::zstd, 2});
    const auto with_earlier = [&](const std::string& earlier, const std::string& text) {
        auto frames = std::make_shared<EarlierFrames>();
        frames->add(std::make_shared<StringDevice>(earlier));
        EncoderOptions options;
        options.earlier = frames;
        StringSink sink;
        LayerEncoder encoder({Compression::zstd, 2}, sink, {}, options);
        encoder.write(as_bytes(text));
        const EncodedLayer layer = encoder.finish();
        CHECK(sink.text == encode(text, {Compression::zstd, 2}).bytes);
        return layer.reused_frames;
    };
    const auto zeros = static_cast<std::uint64_t>(
        std::ranges::count_if(old.layer.frames, [&, at = std::size_t{0}](const EncodedFrame& frame) mutable {
            const std::size_t from = std::exchange(at, at + frame.content_size);
            return frame.content_size == kFrameSize &&
                   is_zero(as_bytes(std::string_view(before).substr(from, kFrameSize)));
        })); // those are made once and copied
    CHECK(with_earlier(old.bytes, before) == 7 - zeros);
    CHECK(with_earlier(old.bytes, after) == 6 - zeros);

    // What is damaged, or lies about its contents, is not taken.
    std::string damaged = old.bytes;
    damaged[old.layer.frames[0].compressed_size / 2] ^= '\1';
    CHECK(with_earlier(damaged, before) == 6 - zeros);
    Encoded other = encode(after, {Compression::zstd, 2});
    const std::size_t table = other.bytes.size() - 9 - 12 * other.layer.frames.size();
    store_le(reinterpret_cast<std::byte*>(other.bytes.data()) + table + 3 * 12 + 8, old.layer.frames[3].checksum);
    CHECK(with_earlier(other.bytes, before) == 6 - zeros);

    EarlierFrames none;
    CHECK_FALSE(none.add(std::make_shared<StringDevice>(encode(before, {Compression::gzip, 1}).bytes)));
    CHECK(none.empty());
}

TEST_CASE("a gzip layer is members that decode to the content") {
    const std::string text = sample(3 * kFrameSize + 1);
    const Encoded encoded = encode(text, {Compression::gzip, 1}, 2);
    CHECK(decode_gzip(encoded.bytes, text.size()) == text);
    CHECK(encoded.layer.diff_id == sha256(as_bytes(text)));
    CHECK(encoded.layer.frames.size() == 4);
    // No time, no operating system: nothing in the header depends on where it was made.
    CHECK(encoded.bytes.substr(0, 8) == std::string("\x1f\x8b\x08\0\0\0\0\0", 8));
    CHECK(encoded.bytes[9] == '\xff');
}

TEST_CASE("gzip takes content that cannot be packed, at every level") {
    std::string noise(2 * kFrameSize + 77, '\0');
    std::uint64_t state = 88172645463325252U; // xorshift64
    for (char& c : noise) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        c = static_cast<char>(state);
    }
    for (const int level : {1, 2, 6, 12}) {
        const Encoded encoded = encode(noise, {Compression::gzip, level}, 2);
        CHECK(decode_gzip(encoded.bytes, noise.size()) == noise);
        CHECK(encoded.bytes.size() < noise.size() + noise.size() / 100);
    }
}

TEST_CASE("an uncompressed layer is its content, and is not hashed twice") {
    const std::string text = sample(2 * kFrameSize + 9);
    const Encoded encoded = encode(text, {Compression::none, 0}, 2);
    CHECK(encoded.bytes == text);
    CHECK_FALSE(encoded.layer.diff_id.has_value());
    CHECK(encoded.layer.compressed_size == text.size());
    CHECK(encoded.layer.frames.empty());
}

TEST_CASE("threads and the sizes of writes do not change a layer") {
    const std::string text = sample(9 * kFrameSize + 123);
    for (const CompressionSpec spec : {CompressionSpec{Compression::zstd, 3}, CompressionSpec{Compression::zstd, 1},
                                       CompressionSpec{Compression::gzip, 1}, CompressionSpec{Compression::gzip, 3}}) {
        const std::string one = encode(text, spec, 1).bytes;
        CHECK(encode(text, spec, 8).bytes == one);
        CHECK(encode(text, spec, 2, 4 * kFrameSize + 1).bytes == one);
    }
}

TEST_CASE("what is put into an encoder's room gives the same layer, and room alone gives nothing") {
    const std::string text = sample(2 * kFrameSize + 4711);
    const std::string expected = encode(text, {Compression::zstd, 1}).bytes;
    StringSink sink;
    LayerEncoder encoder({Compression::zstd, 1}, sink, {});
    std::span<const std::byte> rest = as_bytes(text);
    while (!rest.empty()) {
        const std::span<std::byte> room = encoder.room();
        const std::size_t count = std::min({rest.size(), room.size(), std::size_t{300'000}});
        std::ranges::copy(rest.first(count), room.begin());
        encoder.write(room.first(count));
        rest = rest.subspan(count);
    }
    CHECK(encoder.room().size() == kFrameSize - 4711);
    encoder.finish();
    CHECK(sink.text == expected);

    StringSink unused;
    LayerEncoder idle({Compression::zstd, 1}, unused, {});
    idle.write(as_bytes(text.substr(0, kFrameSize)));
    CHECK(idle.room().size() == kFrameSize);
    idle.end_frame();
    CHECK(idle.finish().frames.size() == 1);

    StringSink nothing;
    LayerEncoder empty({Compression::zstd, 1}, nothing, {});
    CHECK(empty.room().size() == kFrameSize);
    empty.finish();
    CHECK(nothing.text == encode("", {Compression::zstd, 1}).bytes);
}

TEST_CASE("a frame can end early, and can be stored") {
    const std::string head(1536, 'h');
    for (const Compression algorithm : {Compression::zstd, Compression::gzip}) {
        StringSink sink;
        LayerEncoder encoder({algorithm, 0}, sink, {});
        encoder.end_frame(); // at the beginning: nothing
        encoder.write(as_bytes(head));
        encoder.end_frame_stored();
        encoder.end_frame();
        encoder.write(as_bytes("content"));
        encoder.end_frame();
        encoder.write(as_bytes("more"));
        const EncodedLayer layer = encoder.finish();
        REQUIRE(layer.frames.size() == 3);
        CHECK(layer.frames[0].content_size == 1536);
        CHECK(layer.frames[0].compressed_size >= 1536);
        // The bytes stand in the layer as they are.
        CHECK(sink.text.find(head) < 32);
        const std::string all =
            algorithm == Compression::zstd ? decode_zstd(sink.text, 2000) : decode_gzip(sink.text, 2000);
        CHECK(all == head + "contentmore");
    }
}

TEST_CASE("a stored frame larger than a zstd block is several blocks") {
    const std::string head = sample(300000);
    StringSink sink;
    LayerEncoder encoder({Compression::zstd, 0}, sink, {});
    encoder.write(as_bytes(head));
    encoder.end_frame_stored();
    encoder.finish();
    CHECK(decode_zstd(sink.text, head.size()) == head);
}

TEST_CASE("a layer of nothing begins as a layer of its kind") {
    const Encoded zstd = encode("", {Compression::zstd, 0}, 2);
    CHECK(zstd.bytes.substr(0, 4) == "\x28\xb5\x2f\xfd");
    CHECK(decode_zstd(zstd.bytes, 1).empty());
    const Encoded gzip = encode("", {Compression::gzip, 0}, 2);
    CHECK(decode_gzip(gzip.bytes, 1).empty());
    CHECK(encode("", {Compression::none, 0}, 2).bytes.empty());
}

TEST_CASE("what the sink throws reaches the writer") {
    for (const Compression algorithm : {Compression::zstd, Compression::none}) {
        FailingSink sink(100);
        LayerEncoder encoder({algorithm, 0}, sink, {});
        const std::string noise = sample(kFrameSize);
        const auto write_much = [&] {
            for (unsigned i = 0; i < 100; ++i)
                encoder.write(as_bytes(noise));
            encoder.finish();
        };
        CHECK_THROWS_WITH(write_much(), "the disk is full");
    }
    FailingSink late(0); // fails for the only frame, which is written during finish()
    LayerEncoder encoder({Compression::zstd, 0}, late, {});
    encoder.write(as_bytes("x"));
    CHECK_THROWS_WITH(encoder.finish(), "the disk is full");
}

TEST_CASE("an encoder that is dropped stops, whatever was in its queue") {
    StringSink sink;
    LayerEncoder encoder({Compression::zstd, 0}, sink, {});
    encoder.write(as_bytes(sample(7 * kFrameSize)));
}

TEST_CASE("the user can stop an encoder") {
    Cancellation cancellation;
    OperationContext operation;
    operation.cancellation = &cancellation;
    StringSink sink;
    LayerEncoder encoder({Compression::zstd, 0}, sink, operation);
    encoder.write(as_bytes("x"));
    cancellation.cancel();
    try {
        encoder.finish();
        FAIL("not stopped");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::cancelled);
    }
}

TEST_CASE("compressions are parsed, and their levels checked") {
    CHECK(parse_compression("zstd") == CompressionSpec{Compression::zstd, 0});
    CHECK(parse_compression("zstd:19") == CompressionSpec{Compression::zstd, 19});
    CHECK(parse_compression("gzip:12") == CompressionSpec{Compression::gzip, 12});
    CHECK(parse_compression("none") == CompressionSpec{Compression::none, 0});
    for (const char* wrong :
         {"", "lz4", "zstd:", "zstd:0", "zstd:20", "zstd:-1", "gzip:13", "none:1", "zstd:1x", "ZSTD"})
        CHECK_THROWS_AS(parse_compression(wrong), Error);
    CHECK(resolve_level({Compression::gzip, 0}) == kDefaultGzipLevel);
    StringSink sink;
    CHECK_THROWS_AS(LayerEncoder({Compression::zstd, 50}, sink, {}), Error);
}
