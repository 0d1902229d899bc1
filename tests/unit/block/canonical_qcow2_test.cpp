#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/sha256.hpp"
#include "formats/block/copy.hpp"
#include "formats/block/qcow2/format.hpp"
#include "formats/block/qcow2/writer.hpp"
#include "tests/support/collecting_sink.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace vm2oci;
using namespace vm2oci::qcow2;
using test::CollectingSink;
using test::MemoryDevice;

namespace {

CanonicalQcow2 canonical(std::shared_ptr<const BlockDevice> disk, std::optional<std::uint64_t> size = std::nullopt) {
    AllocationMap map = map_allocation(*disk, {});
    return {std::move(disk), std::move(map), size};
}

std::vector<std::byte> bytes_of(const BlockDevice& device) {
    CollectingSink sink;
    copy_bytes(device, sink, {});
    return sink.content;
}

// Follows the tables by hand; checks what a canonical image promises; returns the guest's disk.
std::vector<std::byte> decode(const std::vector<std::byte>& file) {
    const auto get32 = [&](std::uint64_t at) { return load_be<std::uint32_t>(&file.at(at)); };
    const auto get64 = [&](std::uint64_t at) { return load_be<std::uint64_t>(&file.at(at)); };
    REQUIRE(file.size() % kClusterSize == 0);
    REQUIRE(get32(header_offset::magic) == kMagic);
    REQUIRE(get32(header_offset::version) == 3);
    REQUIRE(get32(header_offset::cluster_bits) == 16);
    REQUIRE(get64(header_offset::incompatible_features) == 0);
    REQUIRE(get64(header_offset::compatible_features) == 0);
    REQUIRE(get64(header_offset::autoclear_features) == 0);
    REQUIRE(get32(header_offset::refcount_order) == 4);
    const std::uint64_t clusters = file.size() / kClusterSize;
    std::vector<unsigned> references(clusters, 0);
    references[0] = 1;
    const std::uint64_t table = get64(header_offset::refcount_table_offset);
    const std::uint64_t table_clusters = get32(header_offset::refcount_table_clusters);
    std::vector<unsigned> counts(clusters, 0);
    for (std::uint64_t i = 0; i < table_clusters; ++i)
        ++references.at(table / kClusterSize + i);
    for (std::uint64_t i = 0; i < table_clusters * kClusterSize / 8; ++i) {
        const std::uint64_t block = get64(table + i * 8);
        if (block == 0)
            continue;
        ++references.at(block / kClusterSize);
        for (std::uint64_t k = 0; k < kClusterSize / 2; ++k) {
            const auto count = load_be<std::uint16_t>(&file.at(block + k * 2));
            const std::uint64_t cluster = i * (kClusterSize / 2) + k;
            if (cluster < clusters)
                counts[cluster] = count;
            else
                REQUIRE(count == 0);
        }
    }
    const std::uint64_t size = get64(header_offset::size);
    REQUIRE(size % 512 == 0);
    std::vector<std::byte> guest(size);
    const std::uint64_t l1 = get64(header_offset::l1_table_offset);
    const std::uint64_t l1_size = get32(header_offset::l1_size);
    for (std::uint64_t i = 0; i * kClusterSize < l1_size * 8; ++i)
        ++references.at(l1 / kClusterSize + i);
    std::uint64_t previous = 0;
    for (std::uint64_t i = 0; i < l1_size; ++i) {
        const std::uint64_t l1_entry = get64(l1 + i * 8);
        if (l1_entry == 0)
            continue;
        REQUIRE((l1_entry & kEntryCopied) != 0);
        const std::uint64_t l2 = l1_entry & kEntryOffsetMask;
        ++references.at(l2 / kClusterSize);
        for (std::uint64_t k = 0; k < kClusterSize / 8; ++k) {
            const std::uint64_t entry = get64(l2 + k * 8);
            if (entry == 0)
                continue;
            REQUIRE((entry & kEntryCopied) != 0);
            const std::uint64_t host = entry & kEntryOffsetMask;
            REQUIRE(host > previous); // guest order
            previous = host;
            ++references.at(host / kClusterSize);
            const std::uint64_t at = (i * (kClusterSize / 8) + k) * kClusterSize;
            REQUIRE(at < size);
            const std::uint64_t length = std::min(kClusterSize, size - at);
            REQUIRE(host + kClusterSize <= file.size());
            std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(host), length,
                        guest.begin() + static_cast<std::ptrdiff_t>(at));
            REQUIRE_FALSE(is_zero(std::span(file).subspan(host, length)));
        }
    }
    REQUIRE(references == counts);
    REQUIRE(std::all_of(references.begin(), references.end(), [](unsigned n) { return n == 1; }));
    return guest;
}

std::vector<std::byte> content_of(const BlockDevice& disk, std::uint64_t size) {
    std::vector<std::byte> content(size);
    disk.read_at(0, std::span(content).first(disk.size()));
    return content;
}

} // namespace

TEST_CASE("an empty disk is a header and tables without entries") {
    const CanonicalQcow2 image = canonical(std::make_shared<MemoryDevice>(0));
    CHECK(image.virtual_size() == 0);
    CHECK(image.size() == 4 * kClusterSize);
    CHECK(image.data_offset() == image.size());
    CHECK(decode(bytes_of(image)).empty());
}

TEST_CASE("the guest's disk comes back from its canonical image") {
    const auto size = GENERATE(as<std::uint64_t>{}, 1, 511, 512, 65536, 65537, 3 * MiB + 1000, 40 * MiB);
    const auto disk = std::make_shared<MemoryDevice>(size);
    std::mt19937_64 random(size);
    for (std::uint64_t i = 0; i < 1 + size / kClusterSize / 3; ++i)
        disk->fill(random() % size, 1, static_cast<std::uint8_t>(1 + random() % 255));
    disk->fill(size - 1, 1, 3);
    const CanonicalQcow2 image = canonical(disk);
    const std::uint64_t rounded = (size + 511) / 512 * 512;
    CHECK(image.virtual_size() == rounded);
    const std::vector<std::byte> file = bytes_of(image);
    CHECK(file.size() == image.size());
    CHECK(decode(file) == content_of(*disk, rounded));
}

TEST_CASE("a grown disk has an unallocated tail") {
    const auto disk = std::make_shared<MemoryDevice>(100000);
    disk->fill(99999, 1, 1);
    const CanonicalQcow2 image = canonical(disk, 20 * MiB + 1);
    CHECK(image.virtual_size() == 20 * MiB + 512);
    CHECK(image.allocated_size() == kClusterSize);
    CHECK(decode(bytes_of(image)) == content_of(*disk, 20 * MiB + 512));
}

TEST_CASE("a disk is never cut, and never larger than the format allows") {
    const auto disk = std::make_shared<MemoryDevice>(100000);
    const auto kind_of = [&](std::uint64_t size) {
        try {
            canonical(disk, size);
        } catch (const Error& error) {
            return error.kind();
        }
        FAIL("no error");
        return ErrorKind::io;
    };
    CHECK(kind_of(99999) == ErrorKind::usage);
    CHECK(kind_of(2048 * TiB + 1) == ErrorKind::limit);
    CHECK(canonical(disk, 2048 * TiB).virtual_size() == 2048 * TiB);
    CHECK_THROWS_AS(CanonicalQcow2(disk, AllocationMap(5), std::nullopt), Error);
}

TEST_CASE("a canonical image does not depend on the extents of its source") {
    const auto one = std::make_shared<MemoryDevice>(8 * MiB);
    const auto other = std::make_shared<MemoryDevice>(8 * MiB);
    for (const auto& disk : {one, other})
        disk->fill(3 * MiB, 300000, 5).fill(7 * MiB + 5, 5, 5);
    one->declare(0, 3 * MiB, ExtentKind::data);
    other->limit_extents(512);
    CHECK(bytes_of(canonical(one)) == bytes_of(canonical(other)));
}

TEST_CASE("any part of a canonical image reads as the whole does") {
    const auto disk = std::make_shared<MemoryDevice>(700 * MiB); // two L2 tables
    std::mt19937_64 random(3);
    for (int i = 0; i < 60; ++i)
        disk->fill(random() % (disk->size() - 200000), 1 + random() % 200000, static_cast<std::uint8_t>(1 + i));
    const CanonicalQcow2 image = canonical(disk);
    const std::vector<std::byte> file = bytes_of(image);
    for (int i = 0; i < 500; ++i) {
        const std::uint64_t begin = random() % file.size();
        const std::uint64_t length = std::min<std::uint64_t>(random() % 300000, file.size() - begin);
        std::vector<std::byte> part(length);
        image.read_at(begin, part);
        REQUIRE(std::equal(part.begin(), part.end(), file.begin() + static_cast<std::ptrdiff_t>(begin)));
    }
    std::vector<std::byte> beyond(2);
    CHECK_THROWS_AS(image.read_at(image.size() - 1, beyond), Error);
}

TEST_CASE("the layout of a sparse terabyte is known without reading it") {
    const auto disk = std::make_shared<MemoryDevice>(TiB);
    disk->fill(0, 512, 1).fill(TiB / 2, 512, 2).fill(TiB - 512, 512, 3);
    const CanonicalQcow2 image = canonical(disk);
    // Header, refcount table and block, L1 table (2048 entries), three L2 tables.
    CHECK(image.data_offset() == 7 * kClusterSize);
    CHECK(image.size() == 10 * kClusterSize);
    CHECK(disk->bytes_read() == 3 * 512); // only what the extents hold
}
