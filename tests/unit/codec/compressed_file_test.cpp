#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/codec/compressed_file.hpp"
#include "formats/codec/sparse_scratch.hpp"
#include "tests/unit/codec/codec_fixture.hpp"

#include <bzlib.h>
#include <catch2/catch.hpp>
#include <lz4frame.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <cstring>
#include <functional>
#include <random>

using namespace vm2oci;
using namespace std::string_literals;

namespace {

std::string gzip_of(const std::string& text) {
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string out(deflateBound(&stream, text.size()) + 64, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

std::string bzip2_of(const std::string& text) {
    unsigned length = static_cast<unsigned>(text.size() + text.size() / 50 + 700);
    std::string out(length, '\0');
    REQUIRE(BZ2_bzBuffToBuffCompress(out.data(), &length, const_cast<char*>(text.data()),
                                     static_cast<unsigned>(text.size()), 1, 0, 0) == BZ_OK);
    out.resize(length);
    return out;
}

std::string lz4_of(const std::string& text, bool checksum = true) {
    LZ4F_preferences_t preferences{};
    preferences.frameInfo.contentChecksumFlag = checksum ? LZ4F_contentChecksumEnabled : LZ4F_noContentChecksum;
    std::string out(LZ4F_compressFrameBound(text.size(), &preferences), '\0');
    const std::size_t length = LZ4F_compressFrame(out.data(), out.size(), text.data(), text.size(), &preferences);
    REQUIRE(LZ4F_isError(length) == 0);
    out.resize(length);
    return out;
}

std::string zstd_of(const std::string& text) {
    std::string out(ZSTD_compressBound(text.size()), '\0');
    const std::size_t length = ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1);
    REQUIRE(ZSTD_isError(length) == 0);
    out.resize(length);
    return out;
}

// Blocks of `block` bytes each, as xz -T makes them; 0: one.
std::string xz_of(const std::string& text, std::uint64_t block = 0) {
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_mt options{};
    options.threads = 1;
    options.block_size = block;
    options.preset = 0;
    options.check = LZMA_CHECK_CRC32;
    if (block == 0)
        REQUIRE(lzma_easy_encoder(&stream, 0, LZMA_CHECK_CRC64) == LZMA_OK);
    else
        REQUIRE(lzma_stream_encoder_mt(&stream, &options) == LZMA_OK);
    std::string out(text.size() + text.size() / 8 + 4096, '\0');
    stream.next_in = reinterpret_cast<const std::uint8_t*>(text.data());
    stream.avail_in = text.size();
    stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    stream.avail_out = out.size();
    lzma_ret result = LZMA_OK;
    while (result == LZMA_OK)
        result = lzma_code(&stream, LZMA_FINISH);
    REQUIRE(result == LZMA_STREAM_END);
    out.resize(stream.total_out);
    lzma_end(&stream);
    return out;
}

UnpackedContent unpack(const std::string& stored, std::uint64_t limit = 64 * MiB) {
    const auto file = std::make_shared<StringDevice>(stored);
    const auto compression = detect_file_compression(*file);
    REQUIRE(compression);
    return open_compressed_file(file, *compression, limit, "disk", {});
}

std::string bytes_of(const BlockDevice& device) {
    std::string text(device.size(), '\1');
    device.read_at(0, std::as_writable_bytes(std::span(text)));
    return text;
}

UnpackedContent spool(const std::string& stored, std::size_t step, std::uint64_t limit = 64 * MiB) {
    std::size_t at = 0;
    const ReadSome read = [&](std::span<std::byte> buffer) {
        const std::size_t length = std::min({buffer.size(), step, stored.size() - at});
        std::memcpy(buffer.data(), stored.data() + at, length);
        at += length;
        return length;
    };
    return spool_stream(read, limit, "pipe", {});
}

// A disk with holes and data.
std::string disk_of(std::size_t size) {
    std::string text = sample(size);
    for (std::size_t hole = 200'000; hole + 300'000 < size; hole += 700'000)
        text.replace(hole, 300'000, 300'000, '\0');
    return text;
}

struct Packer {
    FileCompression compression;
    std::function<std::string(const std::string&)> pack;
};

const std::vector<Packer>& packers() {
    static const std::vector<Packer> all = {{FileCompression::gzip, gzip_of},
                                            {FileCompression::bzip2, bzip2_of},
                                            {FileCompression::lz4, [](const std::string& t) { return lz4_of(t); }},
                                            {FileCompression::zstd, zstd_of},
                                            {FileCompression::xz, [](const std::string& t) { return xz_of(t); }}};
    return all;
}

} // namespace

TEST_CASE("a file in every compression unpacks to what was packed") {
    for (const Packer& packer : packers())
        for (const std::size_t size : {std::size_t{1}, std::size_t{511}, std::size_t{70'001}, std::size_t{3'000'001}}) {
            const std::string text = disk_of(size);
            const std::string stored = packer.pack(text);
            INFO(to_string(packer.compression) << " of " << size);
            const UnpackedContent file = unpack(stored);
            CHECK(file.compression == packer.compression);
            CHECK(file.stored_size == stored.size());
            CHECK(file.method == UnpackMethod::scratch);
            CHECK(bytes_of(*file.content) == text);
        }
}

TEST_CASE("a stream unpacks whatever pieces it comes in") {
    const std::string text = disk_of(2'000'003);
    for (const Packer& packer : packers())
        for (const std::size_t step : {std::size_t{77}, std::size_t{4096}, std::size_t{1'000'000}}) {
            INFO(to_string(packer.compression) << " by " << step);
            const UnpackedContent file = spool(packer.pack(text), step);
            CHECK(file.compression == packer.compression);
            CHECK(bytes_of(*file.content) == text);
        }
    const UnpackedContent plain = spool(text, 1000);
    CHECK_FALSE(plain.compression);
    CHECK(bytes_of(*plain.content) == text);
    CHECK(spool("", 10).content->size() == 0);
}

TEST_CASE("a second lz4 frame that is damaged is no rubbish behind the first") {
    const std::string first = lz4_of(disk_of(1000));
    std::string second = lz4_of(sample(100'000));
    second[second.size() / 2] = static_cast<char>(second[second.size() / 2] ^ 0x55);
    CHECK_THROWS_WITH(unpack(first + second), Catch::Contains("the lz4 stream is broken"));
    CHECK_THROWS_WITH(unpack(first + "something"), Catch::Contains("something follows the lz4 stream"));
}

TEST_CASE("members one behind the other are one content") {
    const std::string first = disk_of(100'000);
    const std::string second = sample(5'000);
    for (const Packer& packer : packers()) {
        INFO(to_string(packer.compression));
        CHECK(bytes_of(*unpack(packer.pack(first) + packer.pack(second)).content) == first + second);
        CHECK(bytes_of(*unpack(packer.pack(first) + packer.pack("") + packer.pack(second)).content) == first + second);
        CHECK(bytes_of(*spool(packer.pack(first) + packer.pack(second), 13).content) == first + second);
    }
}

TEST_CASE("padding behind a stream is as its tool has it") {
    const std::string text = disk_of(100'000);
    const std::string zeros(512, '\0');
    for (const Packer& packer : packers()) {
        INFO(to_string(packer.compression));
        if (packer.compression == FileCompression::zstd)
            CHECK_THROWS_AS(unpack(packer.pack(text) + zeros), Error);
        else
            CHECK(bytes_of(*unpack(packer.pack(text) + zeros).content) == text);
    }
    CHECK_THROWS_AS(unpack(xz_of(text) + std::string(3, '\0')), Error); // stream padding is a multiple of four
}

TEST_CASE("streams that are cut, changed or followed by something are refused") {
    const std::string text = disk_of(300'000);
    for (const Packer& packer : packers()) {
        const std::string stored = packer.pack(text);
        INFO(to_string(packer.compression));
        for (const std::size_t cut : {std::size_t{1}, std::size_t{4}, std::size_t{9}, stored.size() / 2})
            CHECK_THROWS_AS(unpack(stored.substr(0, stored.size() - cut)), Error);
        CHECK_THROWS_AS(unpack(stored + "garbage that is no member"), Error);
        CHECK_THROWS_AS(unpack(stored + std::string(100, '\0') + "x"), Error);
        std::string changed = stored;
        changed[stored.size() / 2] = static_cast<char>(changed[stored.size() / 2] ^ 0x10);
        if (packer.compression != FileCompression::zstd) // without a checksum
            CHECK_THROWS_AS(unpack(changed), Error);
        try {
            unpack(stored.substr(0, stored.size() - 4));
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::corrupt);
        }
    }
}

TEST_CASE("an xz file of several blocks is read by blocks") {
    const std::string text = disk_of(3'000'001);
    const std::string stored = xz_of(text, 250'000);
    const auto file = std::make_shared<StringDevice>(stored);
    const UnpackedContent unpacked = open_compressed_file(file, FileCompression::xz, 64 * MiB, "disk", {});
    CHECK(unpacked.method == UnpackMethod::scratch_blocks);
    CHECK(unpacked.content->size() == text.size());
    std::mt19937_64 random(11);
    for (int i = 0; i < 50; ++i) {
        const std::size_t offset = random() % text.size();
        const std::size_t length = std::min<std::size_t>(random() % 600'000, text.size() - offset);
        std::string part(length, '\1');
        unpacked.content->read_at(offset, std::as_writable_bytes(std::span(part)));
        REQUIRE(part == text.substr(offset, length));
    }
    std::uint64_t covered = 0;
    std::uint64_t zeros = 0;
    while (covered < text.size()) {
        const Extent extent = unpacked.content->extent_at(covered);
        REQUIRE(extent.length > 0);
        if (extent.kind != ExtentKind::data) {
            zeros += extent.length;
            REQUIRE(is_zero(as_bytes(std::string_view(text).substr(covered, extent.length))));
        }
        covered += extent.length;
    }
    CHECK(covered == text.size());
    CHECK(zeros > 0);
    // Several streams with several blocks, with padding between them.
    const std::string second = sample(600'000);
    const UnpackedContent both = unpack(stored + std::string(8, '\0') + xz_of(second, 100'000));
    CHECK(both.method == UnpackMethod::scratch_blocks);
    CHECK(bytes_of(*both.content) == text + second);
}

TEST_CASE("a block that is not asked for is not read") {
    std::string text;
    std::mt19937_64 random(4);
    while (text.size() < 2'000'000)
        text += static_cast<char>(random());
    std::string stored = xz_of(text, 200'000);
    stored[stored.size() / 2] = static_cast<char>(stored[stored.size() / 2] ^ 1);
    const auto file = std::make_shared<StringDevice>(stored);
    const UnpackedContent unpacked = open_compressed_file(file, FileCompression::xz, 64 * MiB, "disk", {});
    std::string part(1000, '\1');
    unpacked.content->read_at(100, std::as_writable_bytes(std::span(part)));
    CHECK(part == text.substr(100, 1000));
    CHECK(file->bytes_read < 1'000'000);
    CHECK_THROWS_WITH(bytes_of(*unpacked.content), Catch::Contains("broken"));
    CHECK_THROWS_WITH(bytes_of(*unpacked.content), Catch::Contains("broken"));
}

TEST_CASE("zstd with a seek table is read in place") {
    const std::string text = disk_of(3 * kFrameSize + 17);
    const auto file = std::make_shared<StringDevice>(encode(text, {vm2oci::Compression::zstd, 1}).bytes);
    const UnpackedContent unpacked = open_compressed_file(file, FileCompression::zstd, 64 * MiB, "disk", {});
    CHECK(unpacked.method == UnpackMethod::in_place);
    CHECK(bytes_of(*unpacked.content) == text);
    CHECK_THROWS_WITH(open_compressed_file(file, FileCompression::zstd, text.size() - 1, "disk", {}),
                      Catch::Contains("larger than"));
}

TEST_CASE("the beginning of the content is told without unpacking it all") {
    const std::string text = disk_of(3'000'001);
    for (const Packer& packer : packers()) {
        const StringDevice file(packer.pack(text));
        const std::vector<std::byte> head = first_content(file, packer.compression, 600);
        CHECK(std::string(as_text(head)) == text.substr(0, 600));
        CHECK(first_content(StringDevice(packer.pack("short")), packer.compression, 600).size() == 5);
    }
}

TEST_CASE("content beyond the limit is refused") {
    const std::string zeros(3 * MiB, '\0');
    for (const Packer& packer : packers()) {
        INFO(to_string(packer.compression));
        CHECK_THROWS_WITH(unpack(packer.pack(zeros), 3 * MiB - 1), Catch::Contains("limit of"));
        CHECK(unpack(packer.pack(zeros), 3 * MiB).content->size() == zeros.size());
        CHECK_THROWS_WITH(spool(packer.pack(zeros), 100, MiB), Catch::Contains("limit of"));
    }
    CHECK_THROWS_WITH(unpack(xz_of(zeros, 100'000), MiB), Catch::Contains("the limit is"));
    CHECK_THROWS_WITH(spool(zeros, 1000, MiB), Catch::Contains("limit of"));
}

TEST_CASE("what is written is held against what is stored") {
    SparseScratch scratch("", {.max_written = 200'000});
    scratch.write(std::vector<std::byte>(10 * MiB)); // zeros are holes
    scratch.write(std::vector<std::byte>(190'000, std::byte{1}));
    CHECK_THROWS_WITH(scratch.write(std::vector<std::byte>(100'000, std::byte{1})),
                      Catch::Contains("out of all proportion"));
    CHECK(unpacked_budget(0) == GiB);
    CHECK(unpacked_budget(~std::uint64_t{0}) > unpacked_budget(GiB));
    CHECK_THROWS_WITH(scratch.require_room(~std::uint64_t{0}), Catch::Contains("has room for"));
    try {
        scratch.require_room(~std::uint64_t{0});
    } catch (const Error& error) {
        CHECK(error.hint().kind == HintKind::scratch_folder);
    }
}

TEST_CASE("only what is compressed looks compressed") {
    const auto detect = [](const std::string& text) { return detect_file_compression(StringDevice(text)); };
    const std::string skippable = "\x50\x2a\x4d\x18\x04\0\0\0abcd"s;
    CHECK(detect(skippable + zstd_of("x")) == FileCompression::zstd);
    CHECK(detect(skippable + skippable + lz4_of("x")) == FileCompression::lz4);
    CHECK_FALSE(detect(skippable));
    CHECK_FALSE(detect(skippable + "not a frame, but a disk"));
    CHECK_FALSE(detect("\x50\x2a\x4d\x18\xff\xff\xff\xff"s + "abcd"));
    CHECK_FALSE(detect("BZh9 and so on is a text"));
    CHECK_FALSE(detect("BZh0\x31\x41\x59\x26\x53\x59"));
    CHECK(detect(bzip2_of("")) == FileCompression::bzip2);
    CHECK_FALSE(detect(""));
    CHECK_FALSE(detect("\x1f\x8b"));
    CHECK_FALSE(detect("\x1f\x8b\x07 no deflate"));
    CHECK_FALSE(detect(std::string(4096, '\0')));
}
