// The compressions that the kernel knows, one stream each.
#include "tests/unit/initrd/initrd_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

struct Packer {
    const char* name;
    std::string (*pack)(std::string_view);
    const char* damaged;
};

std::string plain_gzip(std::string_view text) {
    return test::gzip(text);
}

const Packer kPackers[] = {{"gzip", plain_gzip, "its gzip stream is damaged"},
                           {"bzip2", test::bzip2, "its bzip2 stream is damaged"},
                           {"xz", test::xz, "its xz stream is damaged"},
                           {"lzma", test::lzma_alone, "its xz stream is damaged"},
                           {"zstd", test::zstd, "its zstd stream is damaged"}};

} // namespace

TEST_CASE("every stream is unpacked, whatever the pieces that it comes in, and what follows it stays") {
    const std::string text = test::prose(300'000); // more than one buffer of output
    const std::string short_text = text.substr(0, 9000);
    for (const Packer& packer : kPackers) {
        const std::string packed = packer.pack(text);
        for (const std::size_t piece : {std::size_t{4096}, std::size_t{1} << 20}) {
            CAPTURE(packer.name, piece);
            const test::Unpacked unpacked = test::unpack(packed + "behind it", piece);
            CHECK(unpacked.name == packer.name);
            CHECK((unpacked.text == text));
            CHECK(unpacked.left == 9);
        }
        for (const std::size_t piece : {std::size_t{1}, std::size_t{7}}) {
            CAPTURE(packer.name, piece);
            const test::Unpacked unpacked = test::unpack(packer.pack(short_text) + "behind it", piece);
            CHECK((unpacked.text == short_text));
            CHECK(unpacked.left == 9);
        }
    }
}

TEST_CASE("streams of nothing, of one byte and of one buffer end where they do") {
    for (const std::size_t length :
         {std::size_t{0}, std::size_t{1}, std::size_t{262143}, std::size_t{262144}, std::size_t{262145}}) {
        const std::string text(length, 'x');
        for (const Packer& packer : kPackers) {
            CAPTURE(packer.name, length);
            const test::Unpacked unpacked = test::unpack(packer.pack(text) + "0");
            CHECK((unpacked.text == text));
            CHECK(unpacked.left == 1);
        }
    }
}

TEST_CASE("a stream that is cut anywhere is damaged") {
    const std::string text = test::prose(900);
    for (const Packer& packer : kPackers) {
        CAPTURE(packer.name);
        const std::string packed = packer.pack(text);
        for (std::size_t length = 6; length < packed.size(); ++length)
            if (test::refusal_of([&] { test::unpack(packed.substr(0, length)); }) != packer.damaged)
                FAIL("cut at " << length << " of " << packed.size());
    }
}

TEST_CASE("a changed byte is noticed where the format has a checksum, and never does more than that") {
    const std::string text = test::prose(700);
    for (const Packer& packer : kPackers) {
        CAPTURE(packer.name);
        const std::string packed = packer.pack(text);
        const bool has_checksum = std::string(packer.name) == "bzip2" || std::string(packer.name) == "xz" ||
                                  std::string(packer.name) == "gzip";
        unsigned unnoticed = 0;
        for (std::size_t at = 6; at < packed.size(); ++at) {
            std::string changed = packed;
            changed[at] = static_cast<char>(changed[at] ^ 0x10);
            std::string got;
            const std::string words = test::refusal_of([&] { got = test::unpack(changed).text; });
            CHECK((words.empty() || words == packer.damaged));
            unnoticed += words.empty() && got != text ? 1u : 0u;
        }
        if (has_checksum)
            CHECK(unnoticed == 0);
    }
}

TEST_CASE("formats are told by the magic numbers of lib/decompress.c") {
    struct Row {
        std::string head;
        const char* name;
        bool is_read;
    };
    const Row rows[] = {{{"\x1f\x8b\x08\0\0\0", 6}, "gzip", true},
                        {{"\x1f\x9e", 2}, "gzip", true},
                        {"BZh91A", "bzip2", true},
                        {{"\x5d\0\0\x80\0\xff", 6}, "lzma", true},
                        {{"\xfd\x37zXZ\0", 6}, "xz", true},
                        {{"\x02\x21\x4c\x18\0\0", 6}, "lz4", true},
                        {{"\x28\xb5\x2f\xfd\0\0", 6}, "zstd", true},
                        {{"\x89LZO\0\r", 6}, "lzo", false},
                        // What is near, and something else.
                        {{"\x1f\x8c", 2}, "", false},
                        {"BZ0", "", false},
                        {{"\x5d\0\x01", 3}, "", false},
                        {{"\xfd\x37zXY", 5}, "", false},
                        {{"\x04\x22\x4d\x18", 4}, "", false}, // a frame of lz4 that is not the kernel's
                        {{"\x28\xb5\x2f\xfc", 4}, "", false},
                        {{"\x1f\x9d\x90", 3}, "", false}, // compress
                        {"PK\3\4", "", false},
                        {"070701", "", false},
                        {"", "", false}};
    for (const Row& row : rows) {
        CAPTURE(row.head);
        test::PiecesStream input("", 1);
        const Decoder decoder = make_decoder(as_bytes(row.head), input);
        CHECK(decoder.name == row.name);
        CHECK((decoder.stream != nullptr) == row.is_read);
    }
    // A head that is shorter than a magic number is none.
    for (const std::string& magic :
         {std::string("\x1f\x8b"), std::string("BZh"), std::string("\x5d\0\0", 3), std::string("\xfd\x37zXZ"),
          test::kLz4Magic, std::string("\x28\xb5\x2f\xfd"), std::string("\x89LZO")})
        for (std::size_t length = 0; length < magic.size(); ++length) {
            test::PiecesStream input("", 1);
            CHECK(make_decoder(as_bytes(magic).first(length), input).name.empty());
        }
}

TEST_CASE("heads of gzip with each of what they may have are passed over, wherever they are cut") {
    const std::string text = test::prose(5000);
    std::string extra("ab\4\0wxyz", 8);
    std::string name = "initrd.img";
    std::string comment = "made on a Friday";
    for (unsigned parts = 0; parts < 16; ++parts) {
        gz_header header{};
        if ((parts & 1) != 0) {
            header.extra = reinterpret_cast<Bytef*>(extra.data());
            header.extra_len = static_cast<uInt>(extra.size());
        }
        header.name = (parts & 2) != 0 ? reinterpret_cast<Bytef*>(name.data()) : nullptr;
        header.comment = (parts & 4) != 0 ? reinterpret_cast<Bytef*>(comment.data()) : nullptr;
        header.hcrc = (parts & 8) != 0 ? 1 : 0; // a sum of the head itself
        const std::string packed = test::gzip_with_header(text, &header);
        for (const std::size_t piece : std::initializer_list<std::size_t>{1, 2, 13, 29, 37, 64, 100'000}) {
            CAPTURE(parts, piece);
            CHECK((test::unpack(packed + "x", piece).text == text));
            CHECK(test::unpack(packed + "x", piece).left == 1);
        }
        for (std::size_t length = 6; length < 80; ++length)
            CHECK(test::refusal_of([&] { test::unpack(packed.substr(0, length)); }) == "its gzip stream is damaged");
    }
}

TEST_CASE("a head of gzip that later versions would write is refused") {
    const std::string packed = test::gzip("content");
    for (const auto& [at, value] :
         {std::pair<std::size_t, char>{2, '\7'}, {2, '\0'}, {3, '\x20'}, {3, '\x40'}, {3, '\x80'}}) {
        std::string changed = packed;
        changed[at] = value;
        CHECK(test::refusal_of([&] { test::unpack(changed); }) == "its gzip stream is damaged");
    }
}

TEST_CASE("a length or a sum at the end of gzip that is another's is damage") {
    const std::string packed = test::gzip("the content");
    for (std::size_t back = 1; back <= 8; ++back) {
        CAPTURE(back);
        std::string changed = packed;
        changed[packed.size() - back] = static_cast<char>(changed[packed.size() - back] ^ 1);
        CHECK(test::refusal_of([&] { test::unpack(changed); }) == "its gzip stream is damaged");
    }
}

TEST_CASE("zstd's windows are those that the kernel takes: up to 128 MiB") {
    // RFC 8878: a frame's head without a size, the window's, and one last block as it is.
    const auto frame = [](unsigned window_log) {
        const std::string content = "raw";
        return std::string("\x28\xb5\x2f\xfd\0", 5) + static_cast<char>((window_log - 10) << 3) +
               test::little_endian(1 | content.size() << 3, 3) + content;
    };
    CHECK(test::unpack(frame(10)).text == "raw");
    CHECK(test::unpack(frame(27)).text == "raw");
    CHECK(test::refusal_of([&] { test::unpack(frame(28)); }) == "its zstd stream is damaged");
    CHECK(test::refusal_of([&] { test::unpack(frame(31)); }) == "its zstd stream is damaged");
}

TEST_CASE("a dictionary that no initrd has is refused before memory is taken") {
    std::string packed = test::lzma_alone("content");
    // lzma-file-format.txt: properties, the dictionary's size, the length of the content.
    for (const auto& [size, passes] :
         {std::pair{1u << 20, true}, {64u << 20, true}, {1u << 30, false}, {1u << 31, false}}) {
        CAPTURE(size);
        packed.replace(1, 4, test::little_endian(size, 4));
        std::string text;
        const std::string words = test::refusal_of([&] { text = test::unpack(packed).text; });
        CHECK(words == (passes ? "" : "its xz stream is damaged"));
        CHECK(text == (passes ? "content" : ""));
    }
}

TEST_CASE("a stream that is only its magic number is damaged") {
    for (const char* magic : {"\x1f\x8b", "\x1f\x9e\x08\x01\x02\x03", "BZh9", "\xfd\x37zXZ", "\x28\xb5\x2f\xfd"}) {
        CAPTURE(magic);
        CHECK(test::refusal_of([&] { test::unpack(magic); }).ends_with(" stream is damaged"));
    }
}
