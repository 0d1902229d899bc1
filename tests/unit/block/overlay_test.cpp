#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/block/allocation_map.hpp"
#include "formats/block/overlay.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <random>
#include <thread>

using namespace vm2oci;
using test::MemoryDevice;

namespace {

std::vector<std::byte> content_of(const BlockDevice& device) {
    std::vector<std::byte> content(device.size());
    device.read_at(0, content);
    return content;
}

// Extents cover the disk without gaps, and what is called empty reads as zeros.
void check_extents(const BlockDevice& device, const std::vector<std::byte>& content) {
    for (std::uint64_t offset = 0; offset < device.size();) {
        const Extent extent = device.extent_at(offset);
        REQUIRE(extent.length > 0);
        REQUIRE(extent.length <= device.size() - offset);
        if (extent.kind != ExtentKind::data)
            REQUIRE(is_zero(std::span(content).subspan(offset, extent.length)));
        offset += extent.length;
    }
}

} // namespace

TEST_CASE("an overlay without changes is its base") {
    const auto base = std::make_shared<MemoryDevice>(MiB + 100);
    base->fill(5000, 100000, 7);
    const OverlayDevice overlay(base);
    CHECK(content_of(overlay) == content_of(*base));
    CHECK(overlay.extent_at(5000).kind == ExtentKind::data);
    CHECK(overlay.extent_at(5000).length == 100000);
    CHECK(overlay.extent_at(0).kind == ExtentKind::unallocated);
}

TEST_CASE("a write covers the base and leaves it as it is") {
    const auto base = std::make_shared<MemoryDevice>(MiB);
    base->fill(0, MiB, 1);
    OverlayDevice overlay(base);
    overlay.write_at(10000, as_bytes("written"));
    std::vector<std::byte> expected(MiB, std::byte{1});
    CHECK(content_of(*base) == expected);
    std::copy_n(as_bytes("written").begin(), 7, expected.begin() + 10000);
    CHECK(content_of(overlay) == expected);
}

TEST_CASE("a discarded range reads as zeros and is left out of the map") {
    const auto base = std::make_shared<MemoryDevice>(16 * kClusterSize);
    base->fill(0, base->size(), 1);
    OverlayDevice overlay(base);
    overlay.discard(3 * kClusterSize, 5 * kClusterSize);
    overlay.discard(10 * kClusterSize + 100, 1000); // within a page: zeros there
    CHECK(overlay.extent_at(3 * kClusterSize).kind == ExtentKind::unallocated);
    CHECK(overlay.extent_at(3 * kClusterSize).length == 5 * kClusterSize);
    const AllocationMap map = map_allocation(overlay, {});
    CHECK(map.count() == 11);
    CHECK(map.next_allocated(3) == 8);
    std::vector<std::byte> part(1002);
    overlay.read_at(10 * kClusterSize + 99, part);
    CHECK(part.front() == std::byte{1});
    CHECK(is_zero(std::span(part).subspan(1, 1000)));
    CHECK(part.back() == std::byte{1});
}

TEST_CASE("the short last page of a disk can be discarded") {
    const auto base = std::make_shared<MemoryDevice>(4096 + 100);
    base->fill(0, base->size(), 1);
    OverlayDevice overlay(base);
    overlay.discard(4096, 100);
    CHECK(overlay.extent_at(4096).kind == ExtentKind::unallocated);
    CHECK(overlay.extent_at(4096).length == 100);
}

TEST_CASE("an overlay can be larger than its base, and is never smaller") {
    const auto base = std::make_shared<MemoryDevice>(5000);
    base->fill(0, 5000, 9);
    OverlayDevice overlay(base, 100000);
    CHECK(overlay.extent_at(0).length == 5000);
    CHECK(overlay.extent_at(5000).kind == ExtentKind::unallocated);
    overlay.write_at(4990, as_bytes("across the end of the base"));
    overlay.write_at(99999, as_bytes("x"));
    const std::vector<std::byte> content = content_of(overlay);
    CHECK(as_text(std::span(content).subspan(4990, 26)) == "across the end of the base");
    CHECK(content[4989] == std::byte{9});
    CHECK(is_zero(std::span(content).subspan(5016, 99999 - 5016)));
    CHECK_THROWS_AS(overlay.write_at(100000, as_bytes("x")), Error);
    CHECK_THROWS_AS(overlay.discard(99999, 2), Error);
    CHECK_THROWS_AS(OverlayDevice(base, 4999), Error);
}

TEST_CASE("any sequence of writes and discards reads back") {
    const auto seed = GENERATE(range(1U, 9U));
    std::mt19937_64 random(seed);
    const std::uint64_t base_size = 200000 + random() % 5000;
    const std::uint64_t size = base_size + (random() % 2) * 50000;
    const auto base = std::make_shared<MemoryDevice>(base_size);
    for (int i = 0; i < 5; ++i)
        base->fill(random() % (base_size - 20000), random() % 20000, static_cast<std::uint8_t>(i + 1));
    base->limit_extents(7000);
    OverlayDevice overlay(base, size);
    std::vector<std::byte> expected = content_of(*base);
    expected.resize(size);
    for (int i = 0; i < 400; ++i) {
        std::uint64_t offset = random() % size;
        std::uint64_t length = random() % 30000;
        if (random() % 3 == 0) {
            offset = offset / 4096 * 4096;
            length = length / 4096 * 4096;
        }
        length = std::min(length, size - offset);
        const auto at = expected.begin() + static_cast<std::ptrdiff_t>(offset);
        if (random() % 2 == 0) {
            overlay.discard(offset, length);
            std::fill_n(at, length, std::byte{0});
        } else {
            const std::vector<std::byte> bytes(length, static_cast<std::byte>(1 + random() % 255));
            overlay.write_at(offset, bytes);
            std::copy(bytes.begin(), bytes.end(), at);
        }
        if (i % 20 == 0) {
            REQUIRE(content_of(overlay) == expected);
            check_extents(overlay, expected);
        }
    }
    CHECK(content_of(overlay) == expected);
    check_extents(overlay, expected);
}

TEST_CASE("readers see whole writes while others write") {
    const auto base = std::make_shared<MemoryDevice>(MiB);
    OverlayDevice overlay(base);
    std::atomic<bool> done{false};
    std::atomic<bool> torn{false};
    std::thread reader([&] {
        std::vector<std::byte> page(8192);
        while (!done) {
            overlay.read_at(2000, page);
            if (!std::all_of(page.begin(), page.end(), [&](std::byte byte) { return byte == page[0]; }))
                torn = true;
        }
    });
    for (int i = 0; i < 500; ++i) {
        overlay.write_at(2000, std::vector<std::byte>(8192, static_cast<std::byte>(i)));
        overlay.discard(500000 + static_cast<std::uint64_t>(i) * 100, 5000);
    }
    done = true;
    reader.join();
    CHECK_FALSE(torn);
}
