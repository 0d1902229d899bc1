// Thin pools: volumes through their map, and maps that lie.
#include "formats/lvm/thin_pool.hpp"
#include "tests/support/thin_builder.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <functional>

using namespace vm2oci;
using test::kThinVolume;
using test::ThinBuilder;

namespace {

constexpr std::uint64_t kChunk = ThinBuilder::kChunk;

std::shared_ptr<const BlockDevice> open(const ThinBuilder& made, std::uint64_t id,
                                        std::shared_ptr<const BlockDevice> origin = nullptr) {
    return lvm::ThinPool(made.disk(), test::make_thin_data(), kChunk, 1).open(id, kThinVolume, std::move(origin));
}

unsigned byte_at(const BlockDevice& device, std::uint64_t offset) {
    std::array<std::byte, 1> byte;
    device.read_at(offset, byte);
    return std::to_integer<unsigned>(byte[0]);
}

// Reads everything, by extents as whoever copies a disk does.
void read_whole(const BlockDevice& device) {
    std::vector<std::byte> buffer(kChunk);
    for (std::uint64_t offset = 0; offset < device.size();) {
        const Extent extent = device.extent_at(offset);
        if (extent.length == 0)
            FAIL("an extent without bytes");
        device.read_at(offset, std::span(buffer).first(std::min<std::uint64_t>(extent.length, kChunk)));
        offset += std::min(extent.length, device.size() - offset);
    }
}

} // namespace

TEST_CASE("a thin volume shows its blocks, and zeros between them") {
    const ThinBuilder made = test::make_thin_sample();
    const auto first = open(made, 1);
    CHECK(first->size() == kThinVolume);
    CHECK(byte_at(*first, 0) == 7);
    CHECK(byte_at(*first, 2 * kChunk - 1) == 8);
    CHECK(byte_at(*first, 2 * kChunk) == 3);
    CHECK(byte_at(*first, 3 * kChunk) == 0);
    CHECK(byte_at(*first, 500 * kChunk + 9) == 4);
    CHECK(byte_at(*first, kThinVolume - 1) == 0);
    const auto snapshot = open(made, 2);
    CHECK(byte_at(*snapshot, 0) == 9);
    CHECK(byte_at(*snapshot, kChunk) == 8);
    CHECK(byte_at(*snapshot, 2 * kChunk) == 0);
    CHECK(byte_at(*snapshot, 500 * kChunk) == 4);
    std::vector<std::byte> across(4 * kChunk);
    first->read_at(kChunk / 2, across);
    CHECK(std::to_integer<unsigned>(across[kChunk]) == 8);
    CHECK(std::to_integer<unsigned>(across.back()) == 0);
    CHECK_THROWS_AS(byte_at(*first, kThinVolume), Error);
    read_whole(*first);
    read_whole(*snapshot);
}

TEST_CASE("extents are runs of blocks that follow each other, and what lies between") {
    const auto first = open(test::make_thin_sample(), 1);
    CHECK(first->extent_at(5).length == 2 * kChunk - 5);
    CHECK(first->extent_at(5).kind == ExtentKind::data);
    CHECK(first->extent_at(2 * kChunk).length == kChunk);
    CHECK(first->extent_at(3 * kChunk).kind == ExtentKind::unallocated);
    CHECK(first->extent_at(3 * kChunk).length == 497 * kChunk);
    CHECK(first->extent_at(501 * kChunk).length == kThinVolume - 501 * kChunk);
}

TEST_CASE("what was never written shows the origin, and zeros behind its end") {
    auto origin = std::make_shared<test::MemoryDevice>(5 * kChunk - 100);
    origin->fill(0, origin->size(), 0x77);
    const auto volume = open(test::make_thin_sample(), 1, origin);
    CHECK(byte_at(*volume, 0) == 7);
    CHECK(byte_at(*volume, 4 * kChunk) == 0x77);
    std::vector<std::byte> end(200);
    volume->read_at(5 * kChunk - 200, end);
    CHECK(std::to_integer<unsigned>(end[99]) == 0x77);
    CHECK(std::to_integer<unsigned>(end[100]) == 0);
    CHECK(volume->extent_at(3 * kChunk).length == 2 * kChunk - 100);
    CHECK(volume->extent_at(5 * kChunk).kind == ExtentKind::unallocated);
}

TEST_CASE("a pool that LVM does not know, or that does not know the volume, is refused") {
    ThinBuilder made = test::make_thin_sample();
    CHECK_THROWS_WITH(open(made, 3), Catch::Contains("has no volume 3"));
    CHECK_THROWS_WITH(lvm::ThinPool(made.disk(), test::make_thin_data(), kChunk, 2), Catch::Contains("transaction"));
    CHECK_THROWS_WITH(lvm::ThinPool(made.disk(), test::make_thin_data(), 2 * kChunk, 1),
                      Catch::Contains("another size"));
    made.put_super(1, 1, 3);
    CHECK_THROWS_WITH(open(made, 1), Catch::Contains("not known"));
    CHECK_THROWS_AS(lvm::ThinPool(std::make_shared<test::MemoryDevice>(100), test::make_thin_data(), kChunk, 1), Error);
}

TEST_CASE("damaged and hostile maps are refused at once") {
    using Change = std::function<void(ThinBuilder&)>;
    const std::uint64_t far = ~std::uint64_t{0};
    const std::vector<std::pair<const char*, Change>> rows = {
        {"a checksum", [](ThinBuilder& t) { t.disk()->fill(2 * 4096 + 100, 1, 0x5a); }},
        {"that of the superblock", [](ThinBuilder& t) { t.disk()->fill(100, 1, 0x5a); }},
        {"a root outside", [&](ThinBuilder& t) { t.put_super(far); }},
        {"a root that is the superblock", [](ThinBuilder& t) { t.put_super(0); }},
        {"a volume's root outside",
         [](ThinBuilder& t) {
             t.put_node(1, true, {{1, 64}, {2, 3}});
         }},
        {"a node that is its own child",
         [](ThinBuilder& t) {
             t.put_node(1, false, {{1, 1}});
         }},
        {"two nodes that are each other's children",
         [](ThinBuilder& t) {
             t.put_node(2, false, {{0, 6}});
             t.put_node(6, false, {{0, 2}});
         }},
        {"a node of another place", [](ThinBuilder& t) { t.change<std::uint64_t>(2, 8, 3); }},
        {"neither leaf nor inner", [](ThinBuilder& t) { t.change<std::uint32_t>(2, 4, 3); }},
        {"more entries than room", [](ThinBuilder& t) { t.change<std::uint32_t>(2, 16, 253); }},
        {"four billion entries", [](ThinBuilder& t) { t.change<std::uint32_t>(2, 16, 0xffffffff); }},
        {"room beyond the block", [](ThinBuilder& t) { t.change<std::uint32_t>(2, 20, 0xffffffff); }},
        {"values of no size", [](ThinBuilder& t) { t.change<std::uint32_t>(2, 24, 0); }},
        {"values of four billion bytes", [](ThinBuilder& t) { t.change<std::uint32_t>(2, 24, 0xffffffff); }},
        {"values of another size",
         [](ThinBuilder& t) {
             t.put_node(2, true, {{0, ThinBuilder::mapped(1)}}, 24);
         }},
        {"keys out of order",
         [](ThinBuilder& t) {
             t.put_node(2, true, {{5, 1}, {4, 1}});
         }},
        {"a key twice",
         [](ThinBuilder& t) {
             t.put_node(2, true, {{4, 1}, {4, 1}});
         }},
        {"a block outside of the pool",
         [](ThinBuilder& t) {
             t.put_node(2, true, {{0, ThinBuilder::mapped(16)}});
         }},
        {"a block that overflows",
         [&](ThinBuilder& t) {
             t.put_node(2, true, {{0, far}});
         }},
        {"an inner node without children", [](ThinBuilder& t) { t.put_node(2, false, {}); }},
        {"a child that begins behind its neighbour",
         [](ThinBuilder& t) {
             t.put_node(2, false, {{0, 6}, {10, 5}});
             t.put_node(6, true, {{0, ThinBuilder::mapped(1)}, {10, ThinBuilder::mapped(1)}});
         }},
    };
    const auto begin = std::chrono::steady_clock::now();
    for (const auto& [name, change] : rows) {
        INFO(name);
        ThinBuilder made = test::make_thin_sample();
        change(made);
        CHECK_THROWS_AS(read_whole(*open(made, 1)), Error);
    }
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
}

TEST_CASE("a map without blocks is a disk of zeros") {
    ThinBuilder made = test::make_thin_sample();
    made.put_node(2, true, {});
    CHECK(open(made, 1)->extent_at(0).kind == ExtentKind::unallocated);
    CHECK(open(made, 1)->extent_at(0).length == kThinVolume);
}

TEST_CASE("metadata that cannot be read is an error, not damage") {
    const ThinBuilder made = test::make_thin_sample();
    made.disk()->fail_reads(5 * 4096, 1);
    const auto volume = open(made, 2);
    CHECK_THROWS_WITH(byte_at(*volume, 500 * kChunk), Catch::Contains("on purpose"));
}
