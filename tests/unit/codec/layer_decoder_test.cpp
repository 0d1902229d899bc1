#include "formats/base/error.hpp"
#include "formats/codec/layer_decoder.hpp"
#include "tests/unit/codec/codec_fixture.hpp"

#include <catch2/catch.hpp>
#include <zlib.h>
#include <zstd.h>

using namespace vm2oci;

namespace {

std::string decode(std::string_view stored, std::size_t step = 4096, DecodeLimits limits = {}) {
    StringSink sink;
    LayerDecoder decoder(sink, limits);
    for (std::size_t at = 0; at < stored.size(); at += step)
        decoder.write(as_bytes(stored.substr(at, step)));
    decoder.finish();
    CHECK(decoder.content_size() == sink.text.size());
    return sink.text;
}

ErrorKind refusal(std::string_view stored, DecodeLimits limits = {}) {
    try {
        decode(stored, 1000, limits);
    } catch (const Error& error) {
        return error.kind();
    }
    FAIL("accepted");
    return ErrorKind::io;
}

std::string zstd(std::string_view text, int window_log = 0) {
    ZSTD_CCtx* context = ZSTD_createCCtx();
    if (window_log != 0) {
        ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
        ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    }
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    std::string out(ZSTD_compressBound(text.size()), '\0');
    ZSTD_inBuffer in{text.data(), text.size(), 0};
    ZSTD_outBuffer made{out.data(), out.size(), 0};
    if (window_log != 0) // a size that is known from the start would make the window smaller
        ZSTD_compressStream2(context, &made, &in, ZSTD_e_continue);
    while (ZSTD_compressStream2(context, &made, &in, ZSTD_e_end) != 0) {
    }
    ZSTD_freeCCtx(context);
    out.resize(made.pos);
    return out;
}

// One member as gzip(1) writes it: with a name and a time.
std::string gzip(std::string_view text, const std::string& name = "disk.img") {
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    gz_header header{};
    std::string writable_name = name;
    header.name = reinterpret_cast<Bytef*>(writable_name.data());
    header.time = 1700000000;
    header.hcrc = 1;
    deflateSetHeader(&stream, &header);
    std::string out(deflateBound(&stream, text.size()) + 100, '\0');
    std::string in(text);
    stream.next_in = reinterpret_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

} // namespace

TEST_CASE("layers of our own decode, in pieces of any size") {
    const std::string text = sample(3 * kFrameSize + 17);
    for (const Compression algorithm : {Compression::zstd, Compression::gzip, Compression::none}) {
        const std::string stored = encode(text, {algorithm, 0}).bytes;
        CHECK(decode(stored, stored.size()) == text);
        CHECK(decode(stored, 100'003) == text);
    }
    const std::string small = "a layer of few bytes, which is fed byte by byte";
    for (const Compression algorithm : {Compression::zstd, Compression::gzip, Compression::none})
        CHECK(decode(encode(small, {algorithm, 0}).bytes, 1) == small);
}

TEST_CASE("layers of other writers decode") {
    const std::string text = sample(2 * kFrameSize);
    CHECK(decode(zstd(text)) == text);
    CHECK(decode(zstd(text, 23)) == text);
    CHECK(decode(gzip(text)) == text);
    CHECK(decode(gzip("first") + gzip("") + gzip("second", "b")) == "firstsecond");
    CHECK(decode(zstd("first") + std::string("\x53\x2a\x4d\x18\3\0\0\0abc", 11) + zstd("second")) == "firstsecond");
    CHECK(decode(std::string("\x53\x2a\x4d\x18\3\0\0\0abc", 11) + zstd("skipped first")) == "skipped first");
}

TEST_CASE("gzip headers may come in pieces, and are checked") {
    const std::string stored = gzip("content", std::string(300, 'n'));
    CHECK(decode(stored, 1) == "content");
    std::string changed = stored;
    changed[20] = 'm'; // in the name, which the header's checksum covers
    CHECK(refusal(changed) == ErrorKind::corrupt);
    CHECK(refusal(gzip("content", std::string(200'000, 'n'))) == ErrorKind::limit);
}

TEST_CASE("short layers are not compressed") {
    for (const std::string& text : {std::string(), std::string("a"), std::string("\x1f\x8b"), std::string("abcd")})
        CHECK(decode(text, 1) == text);
}

TEST_CASE("a layer that ends too early is broken") {
    const std::string text = sample(300'000);
    for (const std::string& stored : {zstd(text), gzip(text)})
        for (const std::size_t cut : {stored.size() - 1, stored.size() - 5, stored.size() / 2, std::size_t{5}})
            CHECK(refusal(std::string_view(stored).substr(0, cut)) == ErrorKind::corrupt);
}

TEST_CASE("a changed layer is broken, not silently different") {
    const std::string text = sample(300'000);
    for (std::string stored : {zstd(text), gzip(text)}) {
        stored[stored.size() / 2] = static_cast<char>(stored[stored.size() / 2] ^ 0x10);
        CHECK(refusal(stored) == ErrorKind::corrupt);
    }
    CHECK(refusal(gzip("x") + "rubbish behind") == ErrorKind::corrupt);
    CHECK(refusal(zstd("x") + "rubbish behind") == ErrorKind::corrupt);
}

TEST_CASE("limits and foreign formats") {
    const std::string zeros(10 * kFrameSize, '\0');
    for (const Compression algorithm : {Compression::zstd, Compression::gzip, Compression::none}) {
        const std::string stored = encode(zeros, {algorithm, 0}).bytes;
        CHECK(refusal(stored, {.max_content = zeros.size() - 1}) == ErrorKind::limit);
        CHECK(decode(stored, 4096, {.max_content = zeros.size()}).size() == zeros.size());
    }
    CHECK(refusal(zstd(sample(100'000), 27)) == ErrorKind::unsupported);
    CHECK(refusal("BZh91AY&SY") == ErrorKind::unsupported);
    CHECK(refusal(std::string("\xfd"
                              "7zXZ\0",
                              6)) == ErrorKind::corrupt); // it ends in its head
}
