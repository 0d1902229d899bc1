#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/codec/layer_content.hpp"
#include "tests/unit/codec/codec_fixture.hpp"

#include <catch2/catch.hpp>
#include <zstd.h>

#include <random>
#include <thread>

using namespace vm2oci;

namespace {

std::string read(const LayerContent& content, std::uint64_t offset, std::size_t length) {
    std::string text(length, '\1');
    text.resize(content.read_some_at(offset, std::as_writable_bytes(std::span(text))));
    return text;
}

std::shared_ptr<const LayerContent> open(const std::string& stored) {
    return open_layer_content(std::make_shared<StringDevice>(stored), {});
}

std::string without_seek_table(const Encoded& encoded) {
    const std::size_t table = 8 + encoded.layer.frames.size() * 12 + 9;
    return encoded.bytes.substr(0, encoded.bytes.size() - table);
}

void check_random_reads(const LayerContent& content, const std::string& text) {
    std::mt19937_64 random(3);
    for (unsigned i = 0; i < 60; ++i) {
        const std::size_t offset = random() % (text.size() + 1000);
        const std::size_t length = random() % (random() % 2 == 0 ? 100 : 3 * kFrameSize);
        const std::string expected = offset >= text.size() ? std::string() : text.substr(offset, length);
        REQUIRE(read(content, offset, length) == expected);
    }
    CHECK(content.size() == text.size());
    CHECK(read(content, 0, text.size() + 1) == text);
    CHECK(read(content, text.size(), 10).empty());
    CHECK(read(content, ~std::uint64_t{0} - 3, 10).empty());
}

} // namespace

TEST_CASE("any part of a layer's content can be read") {
    const std::string text = sample(6 * kFrameSize + 333);
    check_random_reads(*open(encode(text, {Compression::zstd, 1}).bytes), text);
    check_random_reads(*open(encode(text, {Compression::gzip, 1}).bytes), text);
    check_random_reads(*open(encode(text, {Compression::none, 0}).bytes), text);
    check_random_reads(*open(without_seek_table(encode(text, {Compression::zstd, 1}))), text);
    CHECK(open(encode("", {Compression::zstd, 1}).bytes)->size() == 0);
    CHECK(open("")->size() == 0);
}

TEST_CASE("a part is read without reading the layer") {
    std::mt19937_64 random(5);
    std::string text; // does not compress
    while (text.size() < 20 * kFrameSize)
        text += static_cast<char>(random());
    const auto layer = std::make_shared<StringDevice>(encode(text, {Compression::zstd, 1}).bytes);
    const auto content = open_layer_content(layer, {});
    CHECK(read(*content, 7 * kFrameSize + 5, 100) == text.substr(7 * kFrameSize + 5, 100));
    CHECK(layer->bytes_read < 2 * kFrameSize);
    // Without a table it is decoded as far as needed.
    const auto gzip = std::make_shared<StringDevice>(encode(text, {Compression::gzip, 1}).bytes);
    const auto spooled = open_layer_content(gzip, {});
    CHECK(read(*spooled, 0, 1000) == text.substr(0, 1000));
    CHECK(gzip->bytes_read < 2 * kFrameSize);
}

TEST_CASE("several threads read one layer") {
    const std::string text = sample(8 * kFrameSize);
    for (const Compression algorithm : {Compression::zstd, Compression::gzip}) {
        const auto content = open(encode(text, {algorithm, 1}).bytes);
        std::vector<std::thread> threads;
        std::atomic<unsigned> wrong{0};
        for (unsigned t = 0; t < 4; ++t)
            threads.emplace_back([&, t] {
                std::mt19937_64 random(t);
                for (unsigned i = 0; i < 50; ++i) {
                    const std::size_t offset = random() % text.size();
                    if (read(*content, offset, 10'000) != text.substr(offset, 10'000))
                        ++wrong;
                }
            });
        for (std::thread& thread : threads)
            thread.join();
        CHECK(wrong == 0);
    }
}

TEST_CASE("a seek table that lies cannot show another content") {
    const std::string text = sample(4 * kFrameSize);
    const Encoded encoded = encode(text, {Compression::zstd, 1});
    const std::size_t table = encoded.bytes.size() - 9 - 4 * 12;
    const auto entry = [&](std::string& bytes, std::size_t index) {
        return reinterpret_cast<std::byte*>(bytes.data()) + table + index * 12;
    };
    SECTION("sizes of content that are not the frames' own") {
        std::string bytes = encoded.bytes;
        store_le<std::uint32_t>(entry(bytes, 1) + 4, static_cast<std::uint32_t>(kFrameSize - 1));
        CHECK_THROWS_AS(read(*open(bytes), 0, text.size()), Error);
    }
    SECTION("a frame that is called empty") {
        std::string bytes = encoded.bytes;
        store_le<std::uint32_t>(entry(bytes, 1) + 4, 0);
        CHECK(read(*open(bytes), 0, text.size()) == text); // decoded from the beginning instead
    }
    SECTION("two frames in one entry") {
        std::string bytes = encoded.bytes;
        const auto first = load_le<std::uint32_t>(entry(bytes, 0));
        const auto second = load_le<std::uint32_t>(entry(bytes, 1));
        store_le<std::uint32_t>(entry(bytes, 0), first + second);
        store_le<std::uint32_t>(entry(bytes, 0) + 4, static_cast<std::uint32_t>(2 * kFrameSize));
        store_le<std::uint32_t>(entry(bytes, 1), 0);
        store_le<std::uint32_t>(entry(bytes, 1) + 4, 0);
        try {
            CHECK(read(*open(bytes), 0, text.size()) == text);
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::corrupt);
        }
    }
    SECTION("checksums that are not the frames' own") {
        std::string bytes = encoded.bytes;
        store_le<std::uint32_t>(entry(bytes, 2) + 8, 77);
        CHECK_THROWS_WITH(read(*open(bytes), 0, text.size()), Catch::Contains("another checksum"));
    }
    SECTION("sizes that do not add up") {
        std::string bytes = encoded.bytes;
        store_le<std::uint32_t>(entry(bytes, 2), 77);
        CHECK(read(*open(bytes), 0, text.size()) == text);
    }
}

TEST_CASE("frames are held against what is known of them") {
    std::string text = sample(4 * kFrameSize);
    text.replace(kFrameSize, 2 * kFrameSize, 2 * kFrameSize, '\0');
    const Encoded encoded = encode(text, {Compression::zstd, 1});
    const auto read_with = [&](std::vector<FrameProof> proofs) {
        return read(*open_layer_content(std::make_shared<StringDevice>(encoded.bytes), {}, {}, std::move(proofs)), 0,
                    text.size());
    };
    const std::uint64_t second = encoded.layer.frames[0].compressed_size;
    const FrameProof first{0, kFrameSize, false, sha256(as_bytes(std::string_view(text).substr(0, kFrameSize)))};
    CHECK(read_with({first, {second, 2 * kFrameSize, true, {}}}) == text);
    FrameProof wrong = first;
    wrong.digest[0] ^= std::byte{1};
    CHECK_THROWS_WITH(read_with({wrong}), Catch::Contains("another digest"));
    FrameProof shorter = first;
    shorter.content_size -= 1;
    CHECK_THROWS_WITH(read_with({shorter}), Catch::Contains("another digest"));
    CHECK_THROWS_WITH(read_with({first, {second, 3 * kFrameSize, true, {}}}), Catch::Contains("has zeros"));
}

TEST_CASE("a broken layer stays broken") {
    const std::string text = sample(2 * kFrameSize);
    std::string bytes = encode(text, {Compression::gzip, 1}).bytes;
    bytes.resize(bytes.size() - 3);
    const auto content = open(bytes);
    CHECK_THROWS_AS(content->size(), Error);
    CHECK_THROWS_AS(content->size(), Error);
    CHECK_THROWS_AS(read(*content, 3 * kFrameSize, 1), Error);
}

TEST_CASE("a range of the content is a disk") {
    const std::string text = sample(3 * kFrameSize);
    const auto content = open(encode(text, {Compression::zstd, 1}).bytes);
    const auto disk = content_range(content, 1000, kFrameSize);
    CHECK(disk->size() == kFrameSize);
    std::string part(500, ' ');
    disk->read_at(100, std::as_writable_bytes(std::span(part)));
    CHECK(part == text.substr(1100, 500));
    CHECK_THROWS_AS(disk->read_at(kFrameSize - 1, std::as_writable_bytes(std::span(part))), Error);
    const auto beyond = content_range(content, 2 * kFrameSize, 2 * kFrameSize);
    CHECK_THROWS_AS(beyond->read_at(kFrameSize - 1, std::as_writable_bytes(std::span(part))), Error);
    CHECK_THROWS_AS(content_range(content, ~std::uint64_t{0}, 2), Error);
}
