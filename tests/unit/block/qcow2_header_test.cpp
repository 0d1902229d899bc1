// The header of a qcow2 by the numbers of docs/interop/qcow2.txt: what is taken at each edge, and which sentence says
// why not.
#include "formats/base/endian.hpp"
#include "formats/block/qcow2/header.hpp"
#include "formats/block/qcow2/snapshots.hpp"
#include "formats/block/refusals.hpp"
#include "tests/support/image_bytes.hpp"
#include "tests/unit/block/qcow2_fixture.hpp"

#include <fmt/format.h>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

// A header by hand: version 3, clusters of 64 KiB, 1 GiB, two L1 entries; tables at clusters 1 and 3.
ImageBytes header() {
    ImageBytes image;
    image.put(0, std::string_view("QFI\xfb"));
    image.put_be(4, 4, 3);
    image.put_be(20, 4, 16);
    image.put_be(24, 8, 1ULL << 30);
    image.put_be(36, 4, 2);
    image.put_be(40, 8, 3 << 16);
    image.put_be(48, 8, 1 << 16);
    image.put_be(56, 4, 1);
    image.put_be(96, 4, 4);
    image.put_be(100, 4, 104);
    image.fill(104, 24, 0);
    image.fill(4 * 65536 - 1, 1, 0);
    return image;
}

qcow2::Header read(const ImageBytes& image) {
    const auto device = image.device();
    qcow2::Header header = qcow2::read_header(*device);
    qcow2::read_extensions(*device, header);
    return header;
}

// All steps; "" if nothing is refused.
std::string judged(const ImageBytes& image) {
    try {
        const qcow2::Header header = read(image);
        qcow2::check_features(header);
        qcow2::check_policy(header, {});
        qcow2::check_layout(header, image.size(), Tolerance::refuse);
        return "";
    } catch (const Error& error) {
        CHECK(is_refusal(error));
        return error.message();
    }
}

struct Field {
    const char* name;
    std::uint64_t at;
    std::size_t width;
    std::uint64_t value;
    const char* message; // "": it is taken
};

} // namespace

TEST_CASE("a header's numbers are taken to their edges, and refused by a sentence behind them") {
    for (const Field& field : {
             Field{"clusters of 256 bytes", 20, 4, 8, "the cluster size is 2^8 bytes; the format allows 2^9 to 2^21"},
             Field{"clusters of 4 MiB", 20, 4, 22, "the cluster size is 2^22 bytes; the format allows 2^9 to 2^21"},
             Field{"version 0", 4, 4, 0, "qcow2 version 0 is not known here"},
             Field{"version 1", 4, 4, 1, "the image is of the old qcow format, version 1; convert it with qemu-img"},
             Field{"version 4", 4, 4, 4, "qcow2 version 4 is not known here"},
             Field{"header length 103", 100, 4, 103, "the header claims a length of 103 bytes"},
             Field{"header length 65537", 100, 4, 65537, "the header claims a length of 65537 bytes"},
             Field{"header length 65536", 100, 4, 65536, ""},
             Field{"header length 112", 100, 4, 112, ""},
             Field{"a size that its L1 table reaches", 24, 8, 1ULL << 30, ""},
             Field{"a sector more", 24, 8, (1ULL << 30) + 512,
                   "the L1 table has 2 entries, and a disk of 1.0 GiB needs 3"},
             Field{"2 TiB and a sector", 24, 8, (1ULL << 41) + 512, "the disk has 2.0 TiB, and the limit is 2 TiB"},
             Field{"AES", 32, 4, 1, "the image is encrypted with AES; decrypt it first with qemu-img convert"},
             Field{"LUKS", 32, 4, 2, "the image is encrypted with LUKS; decrypt it first with qemu-img convert"},
             Field{"method 7", 32, 4, 7, "the image is encrypted by method 7, which is not known here"},
             Field{"refcounts of 64 bits", 96, 4, 6, ""},
             Field{"refcounts of 128 bits", 96, 4, 7, "refcount order 7 is above 6"},
             Field{"the last L1 table that fits", 36, 4, 8192, ""},
             Field{"an L1 table behind the end", 36, 4, 8193,
                   "the L1 table ends at byte 262152, and the file has 262144: it is truncated"},
             Field{"an L1 table of 32 MiB and an entry", 36, 4, 4194305,
                   "the L1 table has 33554440 bytes; the format's limit is 33554432"},
             Field{"an L1 table off a cluster", 40, 8, 0x30008,
                   "the L1 table is at offset 0x30008, which is not on a cluster"},
             Field{"an L1 table over the header", 40, 8, 0, "the L1 table lies over the header"},
             Field{"an L1 table nowhere", 40, 8, 0x7fffffffffff0000,
                   "the L1 table ends at byte 9223372036854710288, and the file has 262144: it is truncated"},
             Field{"an L1 table beyond numbers", 40, 8, 0x8000000000000000,
                   "the L1 table is at the impossible offset 0x8000000000000000"},
             Field{"no refcounts", 56, 4, 0, "the image has no refcount table"},
             Field{"refcounts of two clusters", 56, 4, 3, ""},
             Field{"refcounts behind the end", 56, 4, 4,
                   "the refcount table ends at byte 327680, and the file has 262144: it is truncated"},
             Field{"refcounts of 8 MiB and a cluster", 56, 4, 129,
                   "the refcount table has 8454144 bytes; the format's limit is 8388608"},
             Field{"refcounts off a cluster", 48, 8, 0x10200,
                   "the refcount table is at offset 0x10200, which is not on a cluster"},
             Field{"65537 snapshots", 60, 4, 65537, "the image has 65537 snapshots; the format's limit is 65536"},
             Field{"snapshots over the header", 60, 4, 1, "the snapshot table lies over the header"},
             Field{"snapshots off a cluster", 64, 8, 8,
                   "the snapshot table is at offset 0x8, which is not on a cluster"},
             Field{"the corrupt bit", 72, 8, 2, "the image is marked corrupt"},
             Field{"the dirty bit", 72, 8, 1, ""},
             Field{"bit 5", 72, 8, 32,
                   "the image needs features that are not known here: bit 5; convert it with the tool that made it"},
             Field{"bit 63", 72, 8, 1ULL << 63,
                   "the image needs features that are not known here: bit 63; convert it with the tool that made it"},
             Field{
                 "nine bits", 72, 8, 0x3fe0,
                 "the image needs features that are not known here: bit 5, bit 6, bit 7, bit 8, bit 9, bit 10, bit 11, "
                 "bit 12 and 1 more; convert it with the tool that made it"},
             Field{"the compression bit without a type", 72, 8, 8,
                   "the compression type is 0, and the feature bit for it is set"},
             Field{"raw external data", 88, 8, 2,
                   "the image promises a raw external data file and has no external data file"},
             Field{"lazy refcounts", 80, 8, 1, ""},
             Field{"unknown compatible bits", 80, 8, ~std::uint64_t{1}, ""},
             Field{"unknown autoclear bits", 88, 8, ~std::uint64_t{3}, ""},
         }) {
        CAPTURE(field.name);
        ImageBytes image = header();
        image.put_be(field.at, field.width, field.value);
        CHECK(judged(image) == field.message);
    }
}

TEST_CASE("a compression type is said twice, or not at all") {
    struct Case {
        std::uint64_t header_length;
        unsigned type;
        std::uint64_t bits;
        const char* message;
    };
    for (const Case& one : {Case{112, 0, 0, ""}, Case{112, 1, 8, ""}, Case{105, 1, 8, ""},
                            Case{112, 1, 0, "the compression type is 1, and the feature bit for it is not set"},
                            Case{104, 1, 0, ""}, // there the byte begins an extension of a type that nobody knows
                            Case{104, 1, 8, "the compression type is 0, and the feature bit for it is set"},
                            Case{112, 2, 8, "compression type 2 is not known here"}}) {
        CAPTURE(one.header_length, one.type, one.bits);
        ImageBytes image = header();
        image.put_be(100, 4, one.header_length);
        image.put_be(104, 1, one.type);
        image.put_be(72, 8, one.bits);
        CHECK(judged(image) == one.message);
    }
}

TEST_CASE("extended L2 entries take twice the room, in clusters of 16 KiB and more") {
    ImageBytes image = header();
    image.put_be(72, 8, 16);
    const qcow2::Header wide = read(image);
    CHECK(wide.l2_entry_bytes() == 16);
    CHECK(wide.l2_entries() == 4096);
    CHECK(wide.l1_entry_reach() == 256 * MiB);
    CHECK(wide.l1_entries_needed() == 4);
    image.put_be(20, 4, 13);
    CHECK_THROWS_WITH(qcow2::check_features(read(image)), "extended L2 entries need clusters of at least 16 KiB");
    image.put_be(20, 4, 14);
    CHECK_NOTHROW(qcow2::check_features(read(image)));
    const qcow2::Header plain = read(header());
    CHECK(plain.l2_entries() == 8192);
    CHECK(plain.l1_entry_reach() == 512 * MiB);
    CHECK(plain.l1_entries_needed() == 2);
}

TEST_CASE("the guest sees whole sectors of a size that is none") {
    for (const auto& [stored, seen] : {std::pair{512, 512}, {513, 512}, {1023, 512}, {1024, 1024}, {511, 0}, {0, 0}}) {
        ImageBytes image = header();
        image.put_be(24, 8, static_cast<std::uint64_t>(stored));
        CHECK(read(image).virtual_size() == static_cast<std::uint64_t>(seen));
    }
}

TEST_CASE("a file that ends within the header is no image of its version") {
    const ImageBytes good = header();
    for (const auto& [version, length] : {std::pair{2U, 72U}, {3U, 104U}}) {
        for (std::size_t size = 0; size < length; ++size) {
            CAPTURE(version, size);
            ImageBytes image = good;
            image.put_be(4, 4, version);
            image.bytes.resize(size);
            const Error error = error_of([&] { qcow2::read_header(*image.device()); });
            CHECK(error.kind() == ErrorKind::corrupt);
            CHECK(error.message() == (size < 8
                                          ? "not a qcow2 image: it does not begin with its magic"
                                          : fmt::format("the file has {} bytes and ends inside the header", size)));
        }
        ImageBytes image = good;
        image.put_be(4, 4, version);
        image.bytes.resize(length);
        CHECK_NOTHROW(qcow2::read_header(*image.device()));
    }
}

TEST_CASE("version 2 has no features, whatever stands where version 3 has them") {
    ImageBytes image = header();
    image.put_be(4, 4, 2);
    image.fill(72, 32, 0xff);
    const qcow2::Header old = qcow2::read_header(*image.device());
    CHECK(old.incompatible_features == 0);
    CHECK(old.autoclear_features == 0);
    CHECK(old.refcount_order == 4);
    CHECK(old.header_length == 72);
    CHECK(qcow2::describe_features(old).empty());
}

TEST_CASE("features are described by the specification's words, in its order") {
    ImageBytes image = header();
    image.put_be(72, 8, 0x1f);
    image.put_be(80, 8, 1);
    image.put_be(88, 8, 3);
    image.put_be(32, 4, 2);
    CHECK(qcow2::describe_features(qcow2::read_header(*image.device())) ==
          std::vector<std::string>{"dirty", "corrupt", "external data file", "compression type", "extended L2",
                                   "lazy refcounts", "bitmaps", "raw external data", "LUKS encryption"});
    image.put_be(72, 8, 4);
    image.put_be(80, 8, 2);
    image.put_be(88, 8, 4);
    image.put_be(32, 4, 1);
    CHECK(qcow2::describe_features(qcow2::read_header(*image.device())) ==
          std::vector<std::string>{"external data file", "AES encryption"});
}

namespace {

// Extensions behind the header, one after the other.
ImageBytes with_extensions(const std::vector<std::pair<std::uint32_t, std::string>>& extensions) {
    ImageBytes image = header();
    std::uint64_t at = 104;
    for (const auto& [type, data] : extensions) {
        image.put_be(at, 4, type);
        image.put_be(at + 4, 4, data.size());
        image.put(at + 8, data);
        at += 8 + (data.size() + 7) / 8 * 8;
    }
    return image;
}

std::string big_endian(std::initializer_list<std::pair<int, std::uint64_t>> numbers) {
    ImageBytes bytes;
    for (const auto& [width, value] : numbers)
        bytes.put_be(bytes.size(), static_cast<std::size_t>(width), value);
    return std::string(reinterpret_cast<const char*>(bytes.bytes.data()), bytes.bytes.size());
}

} // namespace

TEST_CASE("extensions are read by their type, up to the one that ends them") {
    const std::string names =
        std::string("\0\5future", 8) + std::string(40, '\0') + std::string("\1\0lazy", 6) + std::string(42, '\0');
    const qcow2::Header header =
        read(with_extensions({{0x6803f857, names},
                              {0x44415441, "data.raw"},
                              {0x12345678, "anything"},
                              {0xe2792aca, "raw"},
                              {0x23852875, big_endian({{4, 1}, {4, 0}, {8, 24}, {8, 1 << 16}})},
                              {0, ""},
                              {0x44415441, "never read"}}));
    CHECK(header.data_file_name == "data.raw");
    REQUIRE(header.feature_names.size() == 2);
    CHECK(header.feature_names[0].kind == qcow2::FeatureKind::incompatible);
    CHECK(header.feature_names[0].bit == 5);
    CHECK(header.feature_names[0].name == "future");
    CHECK(header.feature_names[1].kind == qcow2::FeatureKind::compatible);
    REQUIRE(header.bitmaps);
    CHECK(header.bitmaps->count == 1);
    CHECK(header.bitmaps->directory_size == 24);
    CHECK(header.bitmaps->directory_offset == 65536);
    CHECK_FALSE(header.has_encryption_extension);
    CHECK_FALSE(header.backing_file_name);

    ImageBytes unknown = with_extensions({{0x6803f857, names}});
    unknown.put_be(72, 8, 32);
    CHECK(judged(unknown) ==
          "the image needs features that are not known here: bit 5 'future'; convert it with the tool that made it");
}

TEST_CASE("extensions of a wrong length are refused") {
    struct Case {
        std::uint32_t type;
        std::size_t length;
        const char* message;
    };
    for (const Case& one :
         {Case{0xe2792aca, 15, ""}, Case{0xe2792aca, 16, "the name of the backing file's format is 16 bytes long"},
          Case{0x0537be77, 15, "the encryption header extension is 15 bytes long"},
          Case{0x0537be77, 17, "the encryption header extension is 17 bytes long"},
          Case{0x0537be77, 16, "the image has an encryption header and says that it is not encrypted"},
          Case{0x23852875, 23, "the bitmaps header extension is 23 bytes long"},
          Case{0x23852875, 32, "the bitmaps header extension is 32 bytes long"}, Case{0x23852875, 24, ""},
          Case{0x6803f857, 47, ""}, Case{0x44415441, 5000, ""}}) {
        CAPTURE(one.type, one.length);
        CHECK(judged(with_extensions({{one.type, std::string(one.length, 'x')}})) == one.message);
    }
    // A name is kept as far as a path can be long.
    CHECK(read(with_extensions({{0x44415441, std::string(5000, 'x')}})).data_file_name->size() == 4096);
}

TEST_CASE("bitmaps are looked at where their feature bit says that they are current") {
    struct Case {
        std::uint64_t count;
        std::uint64_t reserved;
        std::uint64_t size;
        std::uint64_t offset;
        bool is_sound;
    };
    for (const Case& one :
         {Case{1, 0, 24, 65536, true}, Case{65535, 0, 64 * MiB, 65536, true}, Case{0, 0, 24, 65536, false},
          Case{65536, 0, 24, 65536, false}, Case{1, 1, 24, 65536, false}, Case{1, 0, 64 * MiB + 1, 65536, false},
          Case{1, 0, 24, 65544, false}}) {
        CAPTURE(one.count, one.reserved, one.size, one.offset);
        ImageBytes image = with_extensions(
            {{0x23852875, big_endian({{4, one.count}, {4, one.reserved}, {8, one.size}, {8, one.offset}})}});
        CHECK(judged(image).empty());
        image.put_be(88, 8, 1);
        CHECK(judged(image) == (one.is_sound ? "" : "the bitmaps header extension is not sound"));
    }
}

TEST_CASE("a backing file's name lies behind the header, in its cluster") {
    struct Case {
        std::uint64_t offset;
        std::uint64_t size;
        const char* message; // "": it is taken
    };
    constexpr const char* kPlace = "the backing file's name does not lie behind the header in its cluster";
    for (const Case& one : {Case{104, 1023, ""}, Case{103, 4, kPlace}, Case{65536, 4, kPlace}, Case{65532, 4, ""},
                            Case{65532, 5, "the backing file's name has a length of 5 bytes"},
                            Case{200, 0, "the backing file's name has a length of 0 bytes"},
                            Case{200, 1024, "the backing file's name has a length of 1024 bytes"}}) {
        CAPTURE(one.offset, one.size);
        ImageBytes image = header();
        image.put_be(8, 8, one.offset);
        image.put_be(16, 4, one.size);
        if (one.offset >= 104)
            image.put(one.offset, std::string(one.size, 'b'));
        if (std::string_view(one.message).empty())
            CHECK(read(image).backing_file_name == std::string(one.size, 'b'));
        else
            CHECK_THROWS_WITH(read(image), one.message);
    }
}

namespace {

struct Snapshot {
    std::string id;
    std::string name;
    std::string extra;
    std::uint32_t state_size = 7;
};

// A table of snapshots at cluster 4.
ImageBytes with_snapshots(const std::vector<Snapshot>& snapshots) {
    ImageBytes image = header();
    image.put_be(60, 4, snapshots.size());
    image.put_be(64, 8, 4 << 16);
    std::uint64_t at = 4 << 16;
    for (const Snapshot& one : snapshots) {
        at = (at + 7) / 8 * 8;
        image.fill(at, 40, 0);
        image.put_be(at + 12, 2, one.id.size());
        image.put_be(at + 14, 2, one.name.size());
        image.put_be(at + 16, 4, 1'700'000'000);
        image.put_be(at + 32, 4, one.state_size);
        image.put_be(at + 36, 4, one.extra.size());
        image.put(at + 40, one.extra + one.id + one.name);
        at += 40 + one.extra.size() + one.id.size() + one.name.size();
    }
    return image;
}

std::vector<SnapshotInfo> snapshots_of(const ImageBytes& image) {
    const auto device = image.device();
    return qcow2::read_snapshots(*device, qcow2::read_header(*device));
}

} // namespace

TEST_CASE("snapshots are told with what their version of QEMU wrote of them") {
    // Without extra data (QEMU 0.x), with a state of 64 bits (1.1), with a size of the disk, and with more (5.0).
    const auto found = snapshots_of(with_snapshots({{"1", "first", ""},
                                                    {"2", "", big_endian({{8, 1ULL << 33}})},
                                                    {"33", "third", big_endian({{8, 5}, {8, 1 << 20}})},
                                                    {"", "fourth", big_endian({{8, 6}, {8, 512}, {8, ~0ULL}})},
                                                    {"5", "odd", std::string(12, '\0')}}));
    REQUIRE(found.size() == 5);
    CHECK(found[0].id == "1");
    CHECK(found[0].name == "first");
    CHECK(found[0].created_unix == 1'700'000'000);
    CHECK(found[0].vm_state_size == 7);
    CHECK(found[0].disk_size == 1ULL << 30);
    CHECK(found[1].vm_state_size == 1ULL << 33);
    CHECK(found[1].disk_size == 1ULL << 30);
    CHECK(found[2].id == "33");
    CHECK(found[2].vm_state_size == 5);
    CHECK(found[2].disk_size == 1 << 20);
    CHECK(found[3].name == "fourth");
    CHECK(found[3].disk_size == 512);
    CHECK(found[4].vm_state_size == 0);
    CHECK(found[4].disk_size == 1ULL << 30);
}

TEST_CASE("a table of snapshots lies in its file, and has limits") {
    const ImageBytes good = with_snapshots({{"1", "first", std::string(16, '\0')}, {"2", "second", ""}});
    REQUIRE(snapshots_of(good).size() == 2);
    for (std::size_t size = 4 << 16; size < good.size(); ++size) {
        CAPTURE(size);
        ImageBytes cut = good;
        cut.bytes.resize(size);
        CHECK(error_of([&] { snapshots_of(cut); }).message() == "the snapshot table ends beyond the end of the file");
    }
    CHECK(snapshots_of(with_snapshots({{"1", "x", std::string(1024, '\0')}})).size() == 1);
    CHECK(error_of([] {
              snapshots_of(with_snapshots({{"1", "x", std::string(1025, '\0')}}));
          }).message() == "snapshot 0 has 1025 bytes of extra data");
    // Long names are cut, and what follows is found all the same.
    const auto cut =
        snapshots_of(with_snapshots({{std::string(300, 'i'), std::string(60000, 'n'), ""}, {"2", "two", ""}}));
    REQUIRE(cut.size() == 2);
    CHECK(cut[0].id == std::string(256, 'i'));
    CHECK(cut[0].name == std::string(256, 'n'));
    CHECK(cut[1].name == "two");
    // More than a thousand are counted by the header, and told up to there.
    CHECK(snapshots_of(with_snapshots(std::vector<Snapshot>(1001, {"1", "x", ""}))).size() == 1000);
}
