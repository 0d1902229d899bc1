// Legacy LZ4, sequence by sequence (lz4, doc/lz4_Block_format.md and doc/lz4_Frame_format.md).
#include "formats/initrd/lz4_literals.hpp"
#include "tests/unit/initrd/initrd_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::kLz4Magic;
using test::lz4_block;

namespace {

constexpr const char* kDamaged = "its lz4 stream is damaged";

std::string byte(unsigned value) {
    return std::string(1, static_cast<char>(value));
}

// A length beyond 15 of a token: bytes of 255 and a rest.
std::string rest_of(std::size_t length) {
    std::string bytes;
    std::size_t rest = length - 15;
    for (; rest >= 255; rest -= 255)
        bytes += '\xff';
    return bytes + byte(static_cast<unsigned>(rest));
}

// Literals, and a match of `length` at `distance` behind them; length 0: the last sequence.
std::string sequence(const std::string& literals, unsigned distance, std::size_t length) {
    const std::size_t matched = length == 0 ? 0 : length - 4;
    std::string bytes = byte(
        static_cast<unsigned>(std::min<std::size_t>(literals.size(), 15) << 4 | std::min<std::size_t>(matched, 15)));
    if (literals.size() >= 15)
        bytes += rest_of(literals.size());
    bytes += literals;
    if (length == 0)
        return bytes;
    bytes += test::little_endian(distance, 2);
    if (matched >= 15)
        bytes += rest_of(matched);
    return bytes;
}

std::string unpacked(const std::string& blocks) {
    return test::unpack(kLz4Magic + blocks).text;
}
std::string refusal(const std::string& blocks) {
    return test::refusal_of([&] { unpacked(blocks); });
}

} // namespace

TEST_CASE("literals of every length around those of a token and its bytes") {
    for (const std::size_t length :
         std::initializer_list<std::size_t>{1, 13, 14, 15, 16, 100, 269, 270, 271, 524, 525, 526, 70000}) {
        CAPTURE(length);
        const std::string text = test::prose(length);
        CHECK((unpacked(lz4_block(sequence(text, 0, 0))) == text));
    }
}

TEST_CASE("matches of every length, near and far, also such as overlap themselves") {
    for (const std::size_t length : std::initializer_list<std::size_t>{4, 5, 18, 19, 20, 273, 274, 275, 1000})
        for (const unsigned distance : {1u, 2u, 3u, 7u, 255u, 256u, 1000u}) {
            CAPTURE(length, distance);
            const std::string start = test::prose(1000);
            std::string expected = start;
            for (std::size_t i = 0; i < length; ++i)
                expected += expected[expected.size() - distance];
            expected += "end";
            CHECK((unpacked(lz4_block(sequence(start, distance, length) + sequence("end", 0, 0))) == expected));
        }
}

TEST_CASE("a match may reach the beginning of its block, and not beyond it") {
    CHECK(unpacked(lz4_block(sequence("abcd", 4, 4) + sequence("!", 0, 0))) == "abcdabcd!");
    CHECK(refusal(lz4_block(sequence("abcd", 5, 4) + sequence("!", 0, 0))) == kDamaged);
    CHECK(refusal(lz4_block(sequence("abcd", 0, 4) + sequence("!", 0, 0))) == kDamaged);
    CHECK(refusal(lz4_block(sequence("abcd", 65535, 4))) == kDamaged);
    CHECK(refusal(lz4_block(sequence("", 1, 4))) == kDamaged);
    // Blocks do not know of each other.
    CHECK(refusal(lz4_block(sequence("abcd", 0, 0)) + lz4_block(sequence("", 4, 4))) == kDamaged);
}

TEST_CASE("a block that is cut anywhere inside of a sequence is damaged") {
    const std::string block = sequence(test::prose(30), 7, 40) + sequence("tail", 0, 0);
    // Where the first sequence ends, or the literals of either, the block may end, too.
    const std::size_t after_first = block.size() - 5;
    const std::size_t after_literals = 1 + 1 + 30;
    for (std::size_t length = 1; length < block.size(); ++length) {
        const bool may_end = length == after_first || length == after_literals;
        if ((refusal(lz4_block(block.substr(0, length))) == kDamaged) == may_end)
            FAIL("cut at " << length);
    }
}

TEST_CASE("blocks follow one another until the input ends, or zeros come") {
    const std::string one = lz4_block(sequence("one ", 0, 0));
    const std::string two = lz4_block(sequence("two ", 0, 0));
    CHECK(unpacked("") == "");
    CHECK(unpacked(one + two) == "one two ");
    CHECK(unpacked(one + std::string(4, '\0') + two) == "one ");
    CHECK(test::unpack(kLz4Magic + one + std::string(4, '\0') + two).left == two.size());
    // Fewer bytes than a length has are padding.
    for (std::size_t length = 1; length < 4; ++length)
        CHECK(unpacked(one + std::string("\7\7\7").substr(0, length)) == "one ");
    // A second stream is more of the first to the kernel.
    CHECK(unpacked(one + kLz4Magic + two + kLz4Magic) == "one two ");
    for (std::size_t piece = 1; piece < 12; ++piece)
        CHECK(test::unpack(kLz4Magic + one + kLz4Magic + two, piece).text == "one two ");
}

TEST_CASE("a block that is longer than what is there, or than any may be, is damaged") {
    const std::string block = sequence("one", 0, 0);
    CHECK(refusal(test::little_endian(block.size() + 1, 4) + block) == kDamaged);
    CHECK(refusal(test::little_endian(1, 4)) == kDamaged);
    // LZ4_COMPRESSBOUND of 8 MiB.
    const std::uint64_t most = 8388608 + 8388608 / 255 + 16;
    CHECK(refusal(test::little_endian(most + 1, 4) + std::string(most + 1, '\0')) == kDamaged);
    CHECK(refusal(test::little_endian(0xffffffff, 4) + block) == kDamaged);
}

TEST_CASE("a block unpacks to 8 MiB at the most") {
    constexpr std::size_t kMost = 8388608;
    const auto with = [](std::size_t length) {
        return lz4_block(sequence("a", 1, length - 1 - 5) + sequence("-tail", 0, 0));
    };
    CHECK(unpacked(with(kMost)).size() == kMost);
    CHECK(refusal(with(kMost + 1)) == kDamaged);
    CHECK(refusal(lz4_block(sequence("a", 1, kMost))) == kDamaged);
    // Lengths that would not fit into a number of 32 bits.
    CHECK(refusal(lz4_block(byte(0xf0) + std::string(70000, '\xff') + byte(0))) == kDamaged);
}

TEST_CASE("what is written without compressing is one sequence a block") {
    CHECK(lz4_of_literals("") == kLz4Magic);
    CHECK(lz4_of_literals("abc") == kLz4Magic + std::string("\4\0\0\0", 4) + "\x30" + "abc");
    const std::string fourteen(14, 'x');
    CHECK(lz4_of_literals(fourteen) == kLz4Magic + std::string("\x0f\0\0\0", 4) + "\xe0" + fourteen);
    const std::string fifteen(15, 'x');
    CHECK(lz4_of_literals(fifteen) == kLz4Magic + std::string("\x11\0\0\0\xf0\0", 6) + fifteen);
    const std::string more(15 + 254, 'x');
    CHECK(lz4_of_literals(more) == kLz4Magic + test::little_endian(2 + 269, 4) + "\xf0\xfe" + more);
    const std::string two(15 + 255, 'x');
    CHECK(lz4_of_literals(two) == kLz4Magic + test::little_endian(3 + 270, 4) + std::string("\xf0\xff\0", 3) + two);
}

TEST_CASE("what is written comes back, in blocks of 4 MiB") {
    constexpr std::size_t kBlock = 4194304;
    for (const std::size_t length : {kBlock, kBlock + 1}) {
        CAPTURE(length);
        std::string text(length, 'q');
        text.back() = 'e';
        const std::string packed = lz4_of_literals(text);
        CHECK((test::unpack(packed).text == text));
        // A token and a byte for each 255 literals beyond the first 15.
        const auto block_of = [](std::size_t literals) {
            return 4 + 1 + (literals < 15 ? 0 : (literals - 15) / 255 + 1) + literals;
        };
        CHECK(packed.size() == 4 + block_of(std::min(length, kBlock)) + (length > kBlock ? block_of(1) : 0));
    }
}
