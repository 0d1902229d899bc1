#include "formats/codec/compression.hpp"
#include "formats/codec/frame_checksum.hpp"
#include "formats/codec/frame_index.hpp"
#include "formats/codec/seek_table.hpp"
#include "formats/codec/skippable_frame.hpp"
#include "formats/codec/sparse_scratch.hpp"
#include "tests/support/image_bytes.hpp"
#include "tests/support/refusal.hpp"
#include "tests/unit/codec/codec_fixture.hpp"

#include <catch2/catch.hpp>
#include <zstd.h>

using namespace vm2oci;
using namespace std::string_literals;

namespace {

// Three frames, of which the second holds no content; the table as zstd's contrib/seekable_format describes it.
const std::vector<EncodedFrame> kFrames{{10, 1000, 0x11223344}, {8, 0, 0}, {5, 70'000, 0xdeadbeef}};

test::ImageBytes table_by_hand(bool checksums, std::uint8_t descriptor_bits = 0) {
    test::ImageBytes layer;
    layer.fill(0, 23, 'f');
    layer.put_le(23, 4, 0x184d2a5e);
    layer.put_le(27, 4, kFrames.size() * (checksums ? 12 : 8) + 9);
    for (const EncodedFrame& frame : kFrames) {
        layer.put_le(layer.size(), 4, frame.compressed_size);
        layer.put_le(layer.size(), 4, frame.content_size);
        if (checksums)
            layer.put_le(layer.size(), 4, frame.checksum);
    }
    layer.put_le(layer.size(), 4, kFrames.size());
    layer.put_le(layer.size(), 1, (checksums ? 0x80u : 0u) | descriptor_bits);
    layer.put_le(layer.size(), 4, 0x8f92eab1);
    return layer;
}

} // namespace

TEST_CASE("a seek table is written as zstd's own description has it") {
    test::ImageBytes layer = table_by_hand(true);
    const std::vector<std::byte> table = make_seek_table(kFrames);
    CHECK(std::vector<std::byte>(layer.bytes.begin() + 23, layer.bytes.end()) == table);
    CHECK(make_seek_table({}).size() == 17);
    // For every reader of zstd it is a frame without content.
    CHECK(ZSTD_findFrameCompressedSize(table.data(), table.size()) == table.size());
}

TEST_CASE("a seek table is read with checksums and without") {
    const auto with = read_seek_table(*table_by_hand(true).device());
    REQUIRE(with);
    CHECK(with->has_checksums);
    CHECK(with->frames == kFrames);
    const auto without = read_seek_table(*table_by_hand(false).device());
    REQUIRE(without);
    CHECK_FALSE(without->has_checksums);
    REQUIRE(without->frames.size() == 3);
    CHECK(without->frames[2] == EncodedFrame{5, 70'000, 0});
    // The two lowest bits of the descriptor mean nothing, the five above them must be zero.
    for (int bit = 0; bit < 7; ++bit) {
        CAPTURE(bit);
        CHECK(read_seek_table(*table_by_hand(true, static_cast<std::uint8_t>(1 << bit)).device()).has_value() ==
              (bit < 2));
    }
    test::ImageBytes empty;
    empty.put(0, make_seek_table({}));
    const auto none = read_seek_table(*empty.device());
    REQUIRE(none);
    CHECK(none->frames.empty());
}

TEST_CASE("a seek table that does not fit what stands before it is none") {
    const test::ImageBytes good = table_by_hand(true);
    for (std::size_t size = 0; size < good.bytes.size(); ++size) { // cut off at the front or at the end
        CAPTURE(size);
        test::ImageBytes front;
        test::ImageBytes end;
        front.bytes.assign(good.bytes.begin(), good.bytes.begin() + static_cast<std::ptrdiff_t>(size));
        end.bytes.assign(good.bytes.end() - static_cast<std::ptrdiff_t>(size), good.bytes.end());
        CHECK_FALSE(read_seek_table(*front.device()));
        CHECK_FALSE(read_seek_table(*end.device()));
    }
    const struct {
        std::uint64_t at;
        std::size_t width;
        std::uint64_t value;
    } rows[] = {{23, 4, 0x184d2a50}, {27, 4, 44},         {27, 4, 46},
                {31, 4, 11},         {43, 4, 9},          {67, 4, 2},
                {67, 4, 4},          {67, 4, 0xffffffff}, {67, 4, 8 * 1024 * 1024 + 1},
                {71, 1, 0},          {72, 4, 0x8f92eab2}};
    for (const auto& row : rows) {
        CAPTURE(row.at, row.value);
        test::ImageBytes changed = good;
        REQUIRE(changed.size() == 76);
        changed.put_le(row.at, row.width, row.value);
        CHECK_FALSE(read_seek_table(*changed.device()));
    }
    test::ImageBytes more = good;
    more.fill(more.size(), 1, 0);
    CHECK_FALSE(read_seek_table(*more.device()));
    test::ImageBytes shifted; // something in front of the frames that the table does not know
    shifted.fill(0, 1, 'x');
    shifted.put(1, std::span<const std::byte>(good.bytes));
    CHECK_FALSE(read_seek_table(*shifted.device()));
}

TEST_CASE("a seek table that lies about a frame's content is found by the frames' headers") {
    const std::string content(5000, 'c');
    std::string frame(ZSTD_compressBound(content.size()), '\0');
    frame.resize(ZSTD_compress(frame.data(), frame.size(), content.data(), content.size(), 3));
    const auto layer = [&](std::uint32_t second) {
        const std::vector<EncodedFrame> frames{{static_cast<std::uint32_t>(frame.size()), 5000, 0},
                                               {static_cast<std::uint32_t>(frame.size()), second, 0}};
        test::ImageBytes made;
        made.put(0, frame + frame);
        made.put(made.size(), make_seek_table(frames));
        return made.device();
    };
    CHECK(check_seek_table(*layer(5000)) == std::nullopt);
    const std::string said = "its seek table does not match the frame at " + std::to_string(frame.size());
    for (const std::uint32_t wrong : {0u, 4999u, 5001u, 0xffffffffu}) {
        CAPTURE(wrong);
        CHECK(check_seek_table(*layer(wrong)) == said);
    }
    test::ImageBytes tableless;
    tableless.put(0, frame);
    CHECK(check_seek_table(*tableless.device()) == std::nullopt);
    CHECK(check_seek_table(*table_by_hand(true).device()) == "its seek table does not match the frame at 0");
}

TEST_CASE("a skippable frame carries its payload past every reader") {
    for (const std::size_t size : {0u, 1u, 7u, 300u, 70'000u}) {
        CAPTURE(size);
        const std::string payload(size, 'p');
        const std::vector<std::byte> frame = make_skippable_frame(as_bytes(payload));
        REQUIRE(frame.size() == 8 + size);
        CHECK(as_text(frame).substr(0, 4) == "\x50\x2a\x4d\x18");
        CHECK(load_le<std::uint32_t>(frame.data() + 4) == size);
        CHECK(as_text(frame).substr(8) == payload);
        CHECK(ZSTD_findFrameCompressedSize(frame.data(), frame.size()) == frame.size());
    }
}

TEST_CASE("text in pieces is packed and comes back, and no other length of it") {
    TextPacker packer;
    std::string text;
    for (int i = 0; i < 20'000; ++i) {
        const std::string line = "file " + std::to_string(i * 7919 % 65'537) + "\n";
        packer.append(line);
        text += line;
    }
    packer.append("");
    CHECK(packer.text_size() == text.size());
    const std::vector<std::byte> packed = packer.finish();
    CHECK(packed.size() < text.size() / 2);
    CHECK(unpack_text(packed, text.size()) == text);
    CHECK(test::refusal_of([&] { return unpack_text(packed, text.size() + 1); }) ==
          "corrupt: a table of the layer has another size than it should have");
    CHECK_THAT(test::refusal_of([&] { return unpack_text(packed, text.size() - 1); }),
               Catch::StartsWith("corrupt: a table of the layer is broken: "));
    for (const std::size_t size : {std::size_t{1}, packed.size() / 2, packed.size() - 1}) {
        CAPTURE(size);
        CHECK_THAT(test::refusal_of([&] { return unpack_text(std::span(packed).first(size), text.size()); }),
                   Catch::StartsWith("corrupt: a table of the layer is broken: "));
    }
    CHECK(unpack_text(TextPacker().finish(), 0).empty());
    CHECK_THROWS_AS(unpack_text({}, 1), Error); // no frame at all
}

TEST_CASE("an index of frames is that of one layer, whole, and of this version") {
    const std::string layer = "sha256:" + std::string(64, 'a');
    FrameIndex index;
    index.key.fill(std::byte{3});
    for (std::uint8_t i = 1; i <= 3; ++i) {
        IndexedFrame frame;
        frame.content.fill(std::byte{i});
        frame.stored.fill(std::byte(0xf0 + i));
        frame.offset = (std::uint64_t{i} << 40) + i;
        frame.frame = {0x80000000u + i, 100u * i, 0xabcd0000u + i};
        index.frames.push_back(frame);
    }
    const std::vector<std::byte> bytes = serialise_frame_index(index, layer);
    CHECK(bytes.size() == 16 + 71 + 16 + 3 * 52);
    CHECK(as_text(bytes).substr(0, 87) == "vm2oci frames 1\n" + layer);
    CHECK(parse_frame_index(bytes, layer) == index);
    CHECK(parse_frame_index(serialise_frame_index({index.key, {}}, layer), layer) == FrameIndex{index.key, {}});
    CHECK_FALSE(parse_frame_index(bytes, "sha256:" + std::string(63, 'a') + "b"));
    CHECK_FALSE(parse_frame_index(bytes, layer.substr(0, 70)));
    CHECK_FALSE(parse_frame_index(bytes, layer + "a"));
    CHECK_FALSE(parse_frame_index(bytes, ""));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CAPTURE(size);
        // Cut between two frames it is an index of fewer.
        CHECK(parse_frame_index(std::span(bytes).first(size), layer).has_value() ==
              (size >= 103 && (size - 103) % 52 == 0));
    }
    for (std::size_t at = 0; at < 87; ++at) {
        CAPTURE(at);
        std::vector<std::byte> changed = bytes;
        changed[at] ^= std::byte{1};
        CHECK_FALSE(parse_frame_index(changed, layer));
    }
    // A layer whose digest is of another length is found by nothing.
    CHECK_FALSE(parse_frame_index(serialise_frame_index(index, "sha512:x"), "sha512:x"));
}

TEST_CASE("compressions and their levels are read, and none that there is not") {
    const struct {
        const char* text;
        CompressionSpec spec;
        int level;
    } rows[] = {{"zstd", {Compression::zstd, 0}, 2},      {"gzip", {Compression::gzip, 0}, 2},
                {"none", {Compression::none, 0}, 0},      {"zstd:1", {Compression::zstd, 1}, 1},
                {"zstd:19", {Compression::zstd, 19}, 19}, {"gzip:12", {Compression::gzip, 12}, 12}};
    for (const auto& row : rows) {
        CAPTURE(row.text);
        CHECK(parse_compression(row.text) == row.spec);
        CHECK(resolve_level(row.spec) == row.level);
    }
    const struct {
        const char* text;
        const char* said;
    } refused[] = {
        {"", "compression '' is not known; use zstd, gzip or none"},
        {"xz", "compression 'xz' is not known; use zstd, gzip or none"}, // read and never written
        {"ZSTD", "compression 'ZSTD' is not known; use zstd, gzip or none"},
        {"zst\nd:1", "compression 'zst\\x0ad' is not known; use zstd, gzip or none"},
        {"zstd:20", "compression 'zstd' has levels 1 to 19, not 20"},
        {"zstd:-1", "compression 'zstd' has levels 1 to 19, not -1"},
        {"gzip:13", "compression 'gzip' has levels 1 to 12, not 13"},
        {"none:1", "compression 'none' has no levels"},
        {"gzip:0", "compression level '0' is not understood; write gzip:1 to gzip:12"},
        {"zstd:", "compression level '' is not understood; write zstd:1 to zstd:19"},
        {"zstd:1x", "compression level '1x' is not understood; write zstd:1 to zstd:19"},
        {"zstd: 1", "compression level ' 1' is not understood; write zstd:1 to zstd:19"},
        {"zstd:1:2", "compression level '1:2' is not understood; write zstd:1 to zstd:19"},
        {"zstd:99999999999", "compression level '99999999999' is not understood; write zstd:1 to zstd:19"},
    };
    for (const auto& row : refused) {
        CAPTURE(row.text);
        CHECK(test::refusal_of([&] { return parse_compression(row.text); }) == std::string("usage: ") + row.said);
    }
    CHECK(to_string(Compression::xz) == "xz");
    CHECK_THROWS_AS(resolve_level({Compression::xz, 1}), Error);
}

TEST_CASE("a frame's checksum is the lower half of XXH64") {
    // As `zstd --check` ends a frame of the same content.
    CHECK(frame_checksum({}) == 0x51d8e999);
    CHECK(frame_checksum(as_bytes("a"s)) == 0xa98c6e5b);
    CHECK(frame_checksum(as_bytes("abc"s)) == 0xad770999);
}

TEST_CASE("the budget of scratch space grows with what is stored, and does not wrap") {
    CHECK(unpacked_budget(0) == GiB);
    CHECK(unpacked_budget(1) == GiB + 1000);
    CHECK(unpacked_budget(MiB) == GiB + 1000 * MiB);
    const std::uint64_t most = unpacked_budget(~0ull);
    CHECK(most > ~0ull - 1000);
    CHECK(unpacked_budget(~0ull / 1000) == most);
    CHECK(unpacked_budget((~0ull - GiB) / 1000) == most);
    CHECK(unpacked_budget((~0ull - GiB) / 1000 - 1) == most - 1000);
}

TEST_CASE("a scratch file takes what its limits say, and zeros cost nothing of what may be written") {
    const std::string text = std::string(70'000, 'a') + std::string(300'000, '\0') + "end";
    SparseScratch scratch({}, {text.size(), 70'003 + 2 * 64 * KiB});
    for (std::size_t at = 0; at < text.size(); at += 999)
        scratch.write(as_bytes(std::string_view(text).substr(at, 999)));
    CHECK(scratch.end() == text.size());
    CHECK(test::refusal_of([&] {
              scratch.write(as_bytes("x"s));
              return 0;
          }) == "limit: it unpacks to more than the limit of 361.3 KiB");
    const UniqueFd file = scratch.take();
    std::string found(text.size(), '?');
    read_exactly_at(file.get(), 0, std::as_writable_bytes(std::span(found)));
    CHECK(found == text);

    SparseScratch small({}, {MiB, 100});
    small.write(std::vector<std::byte>(MiB / 2));
    small.write(as_bytes(std::string(100, 'x')));
    small.write(std::vector<std::byte>(1000));
    CHECK(test::refusal_of([&] {
              small.write(as_bytes("x"s));
              return 0;
          }) == "limit: it unpacks to more than 100 B of scratch space, out of all proportion to its size");
    small.limit_written(200);
    CHECK_NOTHROW(small.write(as_bytes("x"s)));
    CHECK_THROWS_AS(small.require_room(~0ull), Error);
    CHECK_NOTHROW(small.require_room(0));
}
