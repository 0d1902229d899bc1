#include "formats/base/checked.hpp"
#include "formats/base/crc32c.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/message_digest.hpp"
#include "formats/base/sha256.hpp"
#include "formats/base/size.hpp"
#include "tests/support/refusal.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

TEST_CASE("every unit of a size, in every spelling that qemu-img and people have") {
    const struct {
        const char* unit;
        std::uint64_t factor;
    } rows[] = {{"", 1},
                {"B", 1},
                {"b", 1},
                {"K", KiB},
                {"k", KiB},
                {"KB", KiB},
                {"kb", KiB},
                {"KiB", KiB},
                {"Kib", KiB},
                {"M", MiB},
                {"m", MiB},
                {"MB", MiB},
                {"MiB", MiB},
                {"G", GiB},
                {"g", GiB},
                {"GiB", GiB},
                {"T", TiB},
                {"t", TiB},
                {"TiB", TiB},
                {"P", 1024 * TiB},
                {"PiB", 1024 * TiB},
                {"E", 1024 * 1024 * TiB}};
    for (const auto& row : rows) {
        CAPTURE(row.unit);
        CHECK(parse_size(std::string("3") + row.unit) == 3 * row.factor);
        CHECK(parse_size(std::string("0") + row.unit) == 0);
        if (row.factor > 1)
            CHECK(parse_size(std::string("2.5") + row.unit) == row.factor * 5 / 2);
    }
    for (const char* bad : {"1iB", "1KiBB", "1Ki", "1KIB", "1BK", "1,5G", "+1G", " 1G", "1G ", ".5G", "1e3", "nan",
                            "0x1K", "K", "1K1", "--1", "1\xc2\xb5"}) {
        CAPTURE(bad);
        CHECK_THAT(test::refusal_of([&] { return parse_size(bad); }), Catch::StartsWith("usage: '"));
        CHECK_THAT(test::refusal_of([&] { return parse_size(bad); }),
                   Catch::EndsWith("write it like 20G, 512M or 4096"));
    }
}

TEST_CASE("sizes up to the largest offset of a file are read exactly, and larger ones refused") {
    CHECK(parse_size("9199999999999990001") == 9199999999999990001ULL);
    CHECK(parse_size("7E") == 7 * 1024 * 1024 * TiB);
    CHECK(parse_size("18014398509481985") == 18014398509481985ULL); // 2^54 + 1
    CHECK(parse_size("8.5K") == 8704);
    CHECK(parse_size("0.001K") == 1); // the nearest byte
    for (const char* large : {"8E", "9300000000000000000", "18446744073709551615", "18446744073709551616", "1e30",
                              "99999999999999999999999999"}) {
        CAPTURE(large);
        CHECK_THAT(test::refusal_of([&] { return parse_size(large); }), Catch::StartsWith("usage: "));
    }
}

TEST_CASE("a size is printed in the largest unit that it reaches") {
    const struct {
        std::uint64_t bytes;
        const char* text;
    } rows[] = {
        {0, "0 B"},
        {1, "1 B"},
        {1023, "1023 B"},
        {1024, "1 KiB"},
        {1025, "1.0 KiB"},
        {1536, "1.5 KiB"},
        {1024 * KiB - 1, "1.0 MiB"}, // and not 1024.0 KiB
        {1023 * KiB, "1023 KiB"},
        {1023 * KiB + 900, "1023.9 KiB"},
        {MiB, "1 MiB"},
        {10 * GiB, "10 GiB"},
        {GiB - 1, "1.0 GiB"},
        {TiB - 1, "1.0 TiB"},
        {TiB, "1 TiB"},
        {2560 * TiB, "2.5 PiB"},
        {~0ULL, "16 EiB"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.bytes);
        CHECK(format_size(row.bytes) == row.text);
    }
}

TEST_CASE("durations of every unit, alone and together") {
    const struct {
        const char* text;
        std::int64_t milliseconds;
    } rows[] = {
        {"0", 0},          {"1", 1'000}, {"1s", 1'000},       {"1ms", 1},        {"1m", 60'000},
        {"1h", 3'600'000}, {"0.5", 500}, {"1.5h", 5'400'000}, {"1m30s", 90'000}, {"1h1m1s1ms", 3'661'001},
        {"2m5", 125'000},  {"0.4ms", 0}, {"0.5ms", 1},        {"1s1s", 2'000},   {"1000000000s", 1'000'000'000'000}};
    for (const auto& row : rows) {
        CAPTURE(row.text);
        CHECK(parse_duration(row.text).count() == row.milliseconds);
    }
    for (const char* bad : {"1d", "1H", "1 s", "s1", "1s ", "1m-1s", "+1", ".5s", "1sm", "1msx", "inf", "nan"}) {
        CAPTURE(bad);
        CHECK_THAT(test::refusal_of([&] { return parse_duration(bad); }),
                   Catch::EndsWith("write it like 90s, 5m or 1h30m"));
    }
    CHECK(test::refusal_of([] { return parse_duration("1000000001s"); }) == "usage: '1000000001s' is too long");
    CHECK(test::refusal_of([] { return parse_duration("277778h"); }) == "usage: '277778h' is too long");
}

TEST_CASE("checked arithmetic names what overflowed, and takes what just fits") {
    constexpr std::uint64_t kMost = ~0ULL;
    CHECK(checked_add<std::uint64_t>(kMost - 1, 1, "x") == kMost);
    CHECK(test::refusal_of([] { return checked_add<std::uint64_t>(kMost, 1, "L1 table end"); }) ==
          "corrupt: L1 table end overflows");
    CHECK(checked_add<std::uint8_t>(200, 55, "x") == 255);
    CHECK(test::refusal_of([] { return checked_add<std::uint8_t>(200, 56, "a sum"); }) == "corrupt: a sum overflows");
    CHECK(checked_multiply<std::uint64_t>(kMost, 1, "x") == kMost);
    CHECK(checked_multiply<std::uint64_t>(kMost, 0, "x") == 0);
    CHECK(test::refusal_of([] { return checked_multiply<std::uint64_t>(1ULL << 32, 1ULL << 32, "size"); }) ==
          "corrupt: size overflows");
    CHECK(checked_subtract<std::uint64_t>(5, 5, "x") == 0);
    CHECK(test::refusal_of([] { return checked_subtract<std::uint64_t>(5, 6, "rest"); }) ==
          "corrupt: rest is negative");
    CHECK(checked_cast<std::int32_t>(0x7fffffffu, "x") == 0x7fffffff);
    CHECK(test::refusal_of([] { return checked_cast<std::int32_t>(0x80000000u, "count"); }) ==
          "corrupt: count is out of range");
    CHECK(checked_cast<std::int8_t>(-128, "x") == -128);
    CHECK_THROWS_AS(checked_cast<std::int8_t>(-129, "x"), Error);
    CHECK_THROWS_AS(checked_cast<std::uint64_t>(std::int64_t{-1}, "x"), Error);
}

TEST_CASE("rounding to units keeps the edges") {
    CHECK(divide_up(0, 7) == 0);
    CHECK(divide_up(1, 7) == 1);
    CHECK(divide_up(7, 7) == 1);
    CHECK(divide_up(8, 7) == 2);
    CHECK(divide_up(~0ULL, 1) == ~0ULL);
    CHECK(align_up(~0ULL, 1) == ~0ULL);
    CHECK(align_up(~0ULL - 511, 512) == ~0ULL - 511);
    CHECK(test::refusal_of([] { return align_up(~0ULL - 510, 512); }) == "corrupt: aligned offset overflows");
    CHECK(test::refusal_of([] { return align_up(~0ULL, 4096, "end of the disk"); }) ==
          "corrupt: end of the disk overflows");
    CHECK(align_down(0, 512) == 0);
    CHECK(align_down(511, 512) == 0);
    CHECK(align_down(512, 512) == 512);
    CHECK(align_down(11, 3) == 9);
}

TEST_CASE("CRC-32C is that of RFC 3720, in one piece and in several") {
    std::vector<std::byte> bytes(32);
    CHECK(crc32c(bytes) == 0x8a9136aa);
    std::fill(bytes.begin(), bytes.end(), std::byte{0xff});
    CHECK(crc32c(bytes) == 0x62a8ab43);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::byte>(i);
    CHECK(crc32c(bytes) == 0x46dd794e);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::byte>(31 - i);
    CHECK(crc32c(bytes) == 0x113fdb5c);
    CHECK(crc32c(as_bytes(std::string_view("123456789"))) == 0xe3069283);
    CHECK(crc32c({}) == 0);
    CHECK(crc32c({}, 77) == 77);
    const std::span<const std::byte> whole(bytes);
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        CAPTURE(cut);
        CHECK(crc32c(whole.subspan(cut), crc32c(whole.first(cut))) == 0x113fdb5c);
    }
}

TEST_CASE("digests are those of FIPS 180") {
    const struct {
        HashAlgorithm algorithm;
        const char* name;
        std::size_t size;
        const char* digest; // of "abc"
    } rows[] = {
        {HashAlgorithm::sha1, "SHA1", 20, "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {HashAlgorithm::sha256, "SHA256", 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {HashAlgorithm::sha384, "SHA384", 48,
         "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
        {HashAlgorithm::sha512, "SHA512", 64,
         "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
         "454d4423643ce80e2a9ac94fa54ca49f"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.name);
        CHECK(to_string(row.algorithm) == row.name);
        CHECK(digest_size(row.algorithm) == row.size);
        MessageDigest digest(row.algorithm);
        digest.update(as_bytes(std::string_view("a")));
        digest.update({});
        digest.update(as_bytes(std::string_view("bc")));
        CHECK(to_hex(digest.finish()) == row.digest);
    }
    Sha256 stream;
    stream.update(as_bytes(std::string_view("ab")));
    Sha256 moved(std::move(stream));
    moved.update(as_bytes(std::string_view("c")));
    CHECK(to_hex(moved.finish()) == rows[1].digest);
    CHECK(to_hex(sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(to_hex({}).empty());
}
