// Disks that are made of others: every window of them, and every extent, against what they should be.
#include "formats/base/size.hpp"
#include "formats/block/empty.hpp"
#include "formats/block/joined.hpp"
#include "formats/block/masked.hpp"
#include "formats/block/padded.hpp"
#include "formats/block/patched.hpp"
#include "formats/block/scattered.hpp"
#include "formats/block/slice.hpp"
#include "formats/block/striped.hpp"
#include "tests/unit/block/model_fixture.hpp"
#include "tests/unit/block/qcow2_fixture.hpp"

#include <random>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

using Disks = std::vector<std::shared_ptr<const BlockDevice>>;

// As large as it says, and of no bytes.
class Vast final : public BlockDevice {
  public:
    explicit Vast(std::uint64_t size) : size_(size) {}
    std::uint64_t size() const override { return size_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
    }
    Extent extent_at(std::uint64_t offset) const override { return {size_ - offset, ExtentKind::unallocated}; }

  private:
    std::uint64_t size_;
};

} // namespace

TEST_CASE("an empty disk is one hole") {
    check_model(EmptyDevice(7), "0000000");
    check_model(EmptyDevice(0), "");
    CHECK(EmptyDevice(7).extent_at(2).length == 5);
}

TEST_CASE("a slice is a part of its disk and nothing beside it") {
    const auto whole = disk_of("ab00c..d");
    for (std::size_t begin = 0; begin <= 8; ++begin)
        for (std::size_t length = 0; length <= 8 - begin; ++length) {
            CAPTURE(begin, length);
            check_model(SliceDevice(whole, begin, length), std::string_view("ab00c..d").substr(begin, length));
        }
    CHECK(SliceDevice(whole, 0, 3).extent_at(2).length == 1); // and not two, as the whole has it
    CHECK(SliceDevice(whole, 1, 7).extent_at(4).length == 2);
    constexpr std::uint64_t most = ~std::uint64_t{0};
    for (const auto& [offset, length] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
             {0, 9}, {8, 1}, {9, 0}, {1, most}, {most, 1}, {most, most}}) {
        const Error error = error_of([&, o = offset, l = length] { SliceDevice(whole, o, l); });
        CHECK(error.kind() == ErrorKind::corrupt);
        CHECK(error.message() == "an offset lies beyond the end of the disk");
    }
}

TEST_CASE("joined disks lie one behind the other, and empty ones nowhere") {
    check_model(JoinedDevice(Disks{}), "");
    check_model(JoinedDevice(Disks{disk_of("abc")}), "abc");
    check_model(JoinedDevice(Disks{disk_of("ab0"), disk_of("0c"), disk_of("."), disk_of("d")}), "ab00c.d");
    check_model(JoinedDevice(Disks{disk_of(""), disk_of("ab"), disk_of(""), disk_of(""), disk_of("c"), disk_of("")}),
                "abc");
    // Together they may have 2^64 - 1 bytes and no more.
    const auto half = std::make_shared<Vast>(std::uint64_t{1} << 63);
    CHECK(JoinedDevice(Disks{half, std::make_shared<Vast>((std::uint64_t{1} << 63) - 1)}).size() == ~std::uint64_t{0});
    const Error error = error_of([&] { JoinedDevice(Disks{half, half}); });
    CHECK(error.kind() == ErrorKind::limit);
    CHECK(error.message() == "the disks are larger together than a disk can be");
}

TEST_CASE("masked ranges are holes, in whatever order they come and however they lie over each other") {
    const auto base = disk_of("abcd..ef00gh");
    struct Case {
        std::vector<DiskRange> masked;
        const char* letters;
        std::size_t ranges; // that are left of them
    };
    for (const Case& one :
         {Case{{}, "abcd..ef00gh", 0}, Case{{{0, 12}}, "000000000000", 1}, Case{{{3, 0}}, "abcd..ef00gh", 0},
          Case{{{0, 1}, {11, 1}}, "0bcd..ef00g0", 2}, Case{{{5, 2}, {1, 2}}, "a00d.00f00gh", 2},
          Case{{{1, 2}, {3, 1}}, "a000..ef00gh", 1}, // they touch
          Case{{{1, 5}, {2, 1}}, "a00000ef00gh", 1}, // one lies in the other
          Case{{{1, 3}, {2, 4}, {10, 2}}, "a00000ef0000", 2}, Case{{{12, 0}, {7, 1}}, "abcd..e000gh", 1}}) {
        CAPTURE(one.letters);
        const MaskedDevice masked(base, one.masked);
        check_model(masked, one.letters);
        CHECK(masked.masked().size() == one.ranges);
    }
    for (const DiskRange& beyond :
         {DiskRange{12, 1}, DiskRange{0, 13}, DiskRange{13, 0}, DiskRange{1, ~std::uint64_t{0}}})
        CHECK(error_of([&] { MaskedDevice(base, {beyond}); }).kind() == ErrorKind::corrupt);
}

TEST_CASE("any ranges masked at random are holes") {
    std::mt19937 random(3);
    for (unsigned round = 0; round < 60; ++round) {
        std::string letters = "abcdefghijklmnopq";
        std::vector<DiskRange> masked;
        for (auto i = random() % 5; i > 0; --i) {
            const std::uint64_t offset = random() % 17;
            const std::uint64_t length = random() % (17 - offset + 1);
            masked.push_back({offset, length});
            std::fill_n(letters.begin() + static_cast<std::ptrdiff_t>(offset), length, '0');
        }
        CAPTURE(round, letters);
        check_model(MaskedDevice(disk_of("abcdefghijklmnopq"), masked), letters);
    }
}

TEST_CASE("padded, scattered and striped disks, byte by byte") {
    check_model(PaddedDevice(disk_of("ab0"), 6), "ab0000");
    check_model(PaddedDevice(disk_of("ab."), 3), "ab.");
    check_model(PaddedDevice(disk_of(""), 2), "00");
    check_model(ScatteredDevice(disk_of("abcd"), {{1, 2}, {3, 0}, {3, 1}, {6, 1}}, 8), "0abc00d0");
    check_model(ScatteredDevice(disk_of(""), {}, 3), "000");
    check_model(ScatteredDevice(disk_of("ab"), {{0, 2}}, 2), "ab");
    check_model(StripedDevice(Disks{disk_of("abcd"), disk_of("ef.."), disk_of("gh00")}, 2), "abefghcd..00");
    check_model(StripedDevice(Disks{disk_of("abcd")}, 1), "abcd");
    check_model(StripedDevice(Disks{disk_of("ab0"), disk_of("cd.")}, 1), "acbd0.");
    const Error cut = error_of([] { PaddedDevice(disk_of("abc"), 2); });
    CHECK(cut.kind() == ErrorKind::usage);
    CHECK(cut.message() == "the disk has 3 bytes and would be cut to 2; ask for a size that is at least as large");
    const Error overlap = error_of([] { ScatteredDevice(disk_of("abcd"), {{0, 2}, {1, 2}}, 8); });
    CHECK(overlap.message() == "the pieces of a sparse file overlap or lie outside of it");
    for (const std::vector<ScatteredDevice::Piece>& pieces :
         std::vector<std::vector<ScatteredDevice::Piece>>{{{0, 3}}, {{0, 5}}, {}}) {
        const Error error = error_of([&] { ScatteredDevice(disk_of("abcd"), pieces, 8); });
        CHECK(error.message() == "the pieces of a sparse file are not all that is stored");
    }
}

namespace {

// Letters, each for a page of the disk that `device` is: 'z' in `zeros` of the format, '0' in holes.
void check_pages(const BlockDevice& device, std::string_view letters) {
    constexpr std::uint64_t page = PatchedDevice::kPageBytes;
    REQUIRE(device.size() == letters.size() * page);
    const std::vector<std::byte> all = read_all(device);
    for (std::size_t i = 0; i < letters.size(); ++i) {
        CAPTURE(i, letters);
        const bool is_hole = letters[i] == '0' || letters[i] == '.';
        const std::byte value{static_cast<unsigned char>(is_hole ? 0 : letters[i])};
        CHECK(all[i * page] == value);
        CHECK(all[(i + 1) * page - 1] == value);
        // From its middle over its end.
        std::vector<std::byte> part(static_cast<std::size_t>(std::min(page, (letters.size() - i) * page - page / 2)));
        device.read_at(i * page + page / 2, part);
        CHECK(std::equal(part.begin(), part.end(), all.begin() + static_cast<std::ptrdiff_t>(i * page + page / 2)));
        const Extent extent = device.extent_at(i * page + 1);
        CHECK(extent.kind == (letters[i] == '0'   ? ExtentKind::unallocated
                              : letters[i] == '.' ? ExtentKind::zero
                                                  : ExtentKind::data));
        REQUIRE(extent.length >= page - 1);
        for (std::uint64_t behind = 1; behind * page + page - 1 <= extent.length; ++behind)
            CHECK((letters[i + behind] == '0') == (letters[i] == '0'));
    }
}

} // namespace

TEST_CASE("pages and zeros lie over a disk in the order in which they came") {
    constexpr std::uint64_t page = PatchedDevice::kPageBytes;
    const auto base = std::make_shared<MemoryDevice>(4 * page);
    for (unsigned i = 0; i < 4; ++i)
        base->fill(i * page, page, static_cast<std::uint8_t>('a' + i));
    const auto filled = [](char c) {
        PatchedDevice::Page bytes;
        bytes.fill(std::byte{static_cast<unsigned char>(c)});
        return bytes;
    };
    PatchedDevice disk(base, 6 * page);
    check_pages(disk, "abcd00");
    disk.write_page(1 * page, filled('X'));
    disk.write_page(5 * page, filled('Y'));
    check_pages(disk, "aXcd0Y");
    disk.zero(0, 0);
    check_pages(disk, "aXcd0Y");
    disk.zero(0, 2 * page); // a page that was written goes
    check_pages(disk, "..cd0Y");
    disk.zero(3 * page, 2 * page);
    check_pages(disk, "..c..Y");
    disk.zero(2 * page, page); // what touches becomes one
    check_pages(disk, ".....Y");
    CHECK(disk.extent_at(0).length == 5 * page);
    disk.write_page(2 * page, filled('Z'));
    check_pages(disk, "..Z..Y");
    disk.zero(5 * page, page);
    check_pages(disk, "..Z...");
    disk.zero(1 * page, 2 * page);
    check_pages(disk, "......");
    CHECK_THROWS_AS(disk.zero(5 * page, 2 * page), Error);
    CHECK_THROWS_AS(disk.write_page(6 * page, filled('Q')), Error);
    CHECK(error_of([&] { PatchedDevice(base, 4 * page - 1); }).kind() == ErrorKind::usage);
}

TEST_CASE("the bytes of a disk that are data are counted by its extents") {
    CHECK(data_bytes(*disk_of("")) == 0);
    CHECK(data_bytes(*disk_of("ab0.c")) == 3);
    const auto cut = disk_of("abcdefg0");
    cut->limit_extents(2);
    CHECK(data_bytes(*cut) == 7);
    CHECK(data_bytes(JoinedDevice(Disks{cut, disk_of("0x")})) == 8);
}
