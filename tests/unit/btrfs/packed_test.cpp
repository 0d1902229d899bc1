#include "formats/base/error.hpp"
#include "formats/btrfs/compression.hpp"
#include "formats/btrfs/lzo.hpp"
#include "tests/support/btrfs_sample.hpp"

#include <catch2/catch.hpp>
#include <libdeflate.h>
#include <zstd.h>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

std::string decoded(const std::string& stream, std::size_t room = 4096) {
    std::vector<std::byte> out(room);
    const std::size_t made = btrfs::decode_lzo(std::as_bytes(std::span(stream)), out);
    return std::string(reinterpret_cast<const char*>(out.data()), made);
}

const std::string kLzoEnd("\x11\0\0", 3);

std::string unpacked(btrfs::Codec codec, const std::string& stored, std::size_t size) {
    const auto made = btrfs::unpack(codec, std::as_bytes(std::span(stored)), size);
    return std::string(reinterpret_cast<const char*>(made.data()), made.size());
}

} // namespace

TEST_CASE("LZO: each instruction, by its documentation") {
    using namespace std::string_literals;
    struct Row {
        const char* what;
        std::string stream;
        std::string content;
    };
    const std::string abc = "abcdefgh";
    const std::string first = "\x19"s + abc; // 8 literals
    const Row rows[] = {
        {"literals in the first byte", first + kLzoEnd, abc},
        {"one to three of them", "\x13xy"s + kLzoEnd, "xy"},
        {"a run of literals", "\x01wxyz"s + kLzoEnd, "wxyz"},
        {"a long run of literals", "\x00\x01"s + std::string(19, 'r') + kLzoEnd, std::string(19, 'r')},
        {"a run with zeros in its length", "\x00\x00\x02"s + std::string(3 + 15 + 255 + 2, 'q') + kLzoEnd,
         std::string(3 + 15 + 255 + 2, 'q')},
        {"a short match (64…): 3 bytes, 8 back", first + "\x5c\x00"s + kLzoEnd, abc + "abc"},
        {"a short match of 4 with a literal", first + "\x7d\x00z"s + kLzoEnd, abc + "abcdz"},
        {"a match of 5 to 8 (128…)", first + "\xfc\x00"s + kLzoEnd, abc + "abcdefgh"},
        {"a match of distance 1 (32…)", first + "\x22\x00\x00"s + kLzoEnd, abc + "hhhh"},
        {"a longer match that overlaps", first + "\x20\x09\x1c\x00"s + kLzoEnd,
         abc + abc + abc + abc + abc + abc + "ab"},
        {"two bytes behind literals", first + "\x5d\x00!\x04\x00"s + kLzoEnd, abc + "abc!" + "c!"},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        CHECK(decoded(row.stream) == row.content);
    }
}

TEST_CASE("LZO: matches further than 2 and 16 KiB") {
    using namespace std::string_literals;
    // 20,000 literals by one run, then what lies far behind.
    std::string run = "\0"s;
    std::size_t left = 20000 - 18;
    for (; left > 255; left -= 255)
        run += '\0';
    run += static_cast<char>(left);
    std::string content;
    for (int i = 0; i < 20000; ++i)
        content += static_cast<char>(i * 31 + i / 256);
    // Three bytes, 2049 and more back, behind a run.
    CHECK(decoded(run + content + "\x00\x00"s + kLzoEnd, 30000) == content + content.substr(20000 - 2049, 3));
    // 16384 + 1000, length 2 + 3.
    const std::uint16_t distance = 1000 << 2;
    CHECK(decoded(run + content + "\x13"s + static_cast<char>(distance & 0xff) + static_cast<char>(distance >> 8) +
                      kLzoEnd,
                  30000) == content + content.substr(20000 - 17384, 5));
}

TEST_CASE("LZO: what is no stream is refused") {
    using namespace std::string_literals;
    for (const std::string& stream :
         {""s, "\x19"s + "abc", "\x19"s + "abcdefgh", "\x19"s + "abcdefgh\x5c", "\x13xy\x5c\xff"s + kLzoEnd,
          "\x01wxyz"s + kLzoEnd + "more", "\x22\x00\x00"s + kLzoEnd, std::string(4000, '\0'), "\x10\x00"s,
          "\x12\x61\x20"s + std::string(64, '\0') + "\x01\x00\x00"s + kLzoEnd}) {
        INFO(stream.size());
        CHECK_THROWS_AS(decoded(stream), Error);
    }
    CHECK_THROWS_AS(decoded("\x19"s + "abcdefgh" + kLzoEnd, 7), Error);
}

TEST_CASE("extents are unpacked by each codec, shorter and longer than they should be") {
    const std::string content(5000, 'c');
    std::string zlib(6000, '\0');
    libdeflate_compressor* compressor = libdeflate_alloc_compressor(6);
    libdeflate_zlib_compress(compressor, content.data(), content.size(), zlib.data(), zlib.size());
    libdeflate_free_compressor(compressor);
    std::string zstd(6000, '\0');
    ZSTD_compress(zstd.data(), zstd.size(), content.data(), content.size(), 3);
    std::string lzo = lzo_extent(lzo_of_zeros(4096));
    lzo.resize(4096, '\0');
    for (const std::size_t size : {5000u, 4999u, 1u, 8192u}) {
        const std::string expected = (content + std::string(4000, '\0')).substr(0, size);
        CHECK(unpacked(btrfs::Codec::zlib, zlib, size) == expected);
        CHECK(unpacked(btrfs::Codec::zstd, zstd, size) == expected);
        CHECK(unpacked(btrfs::Codec::lzo, lzo, size) == std::string(size, '\0'));
    }
    for (const auto codec : {btrfs::Codec::zlib, btrfs::Codec::zstd, btrfs::Codec::lzo})
        for (const std::string& stored : {std::string(), std::string("x"), std::string(4096, '\xff')})
            CHECK_THROWS_AS(unpacked(codec, stored, 4096), Error);
}

TEST_CASE("LZO: lengths of segments do not cross sectors") {
    // The first segment ends two bytes before a sector does: the next length stands in the next sector.
    const std::string literals(4066, 'f');
    const std::string first =
        std::string(16, '\0') + static_cast<char>(literals.size() - 18 - 15 * 255) + literals + kLzoEnd;
    const std::string second = "\x15zzzz" + kLzoEnd;
    REQUIRE(first.size() + 8 == 4094);
    const std::string behind = std::string(2, '\0') + le32(static_cast<std::uint32_t>(second.size())) + second;
    const std::string extent = le32(static_cast<std::uint32_t>(8 + first.size() + behind.size())) +
                               le32(static_cast<std::uint32_t>(first.size())) + first + behind;
    CHECK(unpacked(btrfs::Codec::lzo, extent, literals.size() + 4) == literals + "zzzz");
    CHECK_THROWS_AS(unpacked(btrfs::Codec::lzo, extent.substr(0, extent.size() - 1), 8192), Error);
}
