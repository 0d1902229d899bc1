#include "formats/base/error.hpp"
#include "formats/block/allocation_map.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace vm2oci;
using test::MemoryDevice;

namespace {

std::vector<std::uint64_t> allocated(const AllocationMap& map) {
    std::vector<std::uint64_t> clusters;
    for (std::uint64_t at = map.next_allocated(0); at < map.cluster_count(); at = map.next_allocated(at + 1))
        clusters.push_back(at);
    return clusters;
}

} // namespace

TEST_CASE("a map finds the clusters that hold a byte, wherever it lies in them") {
    MemoryDevice disk(10 * kClusterSize + 1000);
    disk.fill(0 * kClusterSize, 1, 1);                              // first byte
    disk.fill(2 * kClusterSize - 1, 1, 1);                          // last byte of cluster 1
    disk.fill(3 * kClusterSize + 4096, 1, 1);                       // first byte behind the head
    disk.declare(5 * kClusterSize, kClusterSize, ExtentKind::data); // data that is all zeros
    disk.declare(6 * kClusterSize, kClusterSize, ExtentKind::zero);
    disk.fill(10 * kClusterSize + 999, 1, 1); // last byte of the disk
    const AllocationMap map = map_allocation(disk, {});
    CHECK(map.cluster_count() == 11);
    CHECK(allocated(map) == std::vector<std::uint64_t>{0, 1, 3, 10});
    CHECK(map.count() == 4);
}

TEST_CASE("a map does not depend on how the disk is cut into extents") {
    MemoryDevice whole(5 * kClusterSize);
    MemoryDevice cut(5 * kClusterSize);
    for (MemoryDevice* disk : {&whole, &cut})
        disk->fill(kClusterSize + 40000, 512, 7).fill(4 * kClusterSize + 512, 1, 9);
    whole.declare(0, whole.size(), ExtentKind::data);
    cut.limit_extents(512);
    CHECK(map_allocation(whole, {}) == map_allocation(cut, {}));
    CHECK(allocated(map_allocation(cut, {})) == std::vector<std::uint64_t>{1, 4});
}

TEST_CASE("a map reads the head of a cluster with data and nothing of a hole") {
    MemoryDevice disk(1024 * kClusterSize);
    disk.fill(100 * kClusterSize, 50 * kClusterSize, 1);
    map_allocation(disk, {});
    CHECK(disk.reads() == 50);
    CHECK(disk.bytes_read() == 50 * 4096);
}

TEST_CASE("a map is the same for any number of threads") {
    MemoryDevice disk(3 * GiB + 12345);
    std::mt19937_64 random(1);
    for (int i = 0; i < 2000; ++i)
        disk.fill(random() % (disk.size() - 100), 1 + random() % 100, 1);
    OperationContext one;
    one.threads = 1;
    OperationContext eight;
    eight.threads = 8;
    const AllocationMap map = map_allocation(disk, one);
    CHECK(map.count() > 1900);
    CHECK(map == map_allocation(disk, eight));
}

TEST_CASE("a failing read ends a map with its error, on any number of threads") {
    for (const unsigned threads : {1U, 4U}) {
        MemoryDevice disk(2 * GiB);
        disk.fill(1 * GiB, 10, 1).fail_reads(1 * GiB, 1, ErrorKind::corrupt);
        OperationContext context;
        context.threads = threads;
        try {
            map_allocation(disk, context);
            FAIL("no error");
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::corrupt);
        }
    }
}

TEST_CASE("a map can be cancelled") {
    MemoryDevice disk(GiB);
    Cancellation cancellation;
    cancellation.cancel();
    OperationContext context;
    context.cancellation = &cancellation;
    CHECK_THROWS_AS(map_allocation(disk, context), Error);
}

TEST_CASE("count, next and select agree with each other") {
    AllocationMap map(1000 * kClusterSize);
    std::mt19937_64 random(7);
    std::vector<std::uint64_t> expected;
    for (std::uint64_t cluster = 0; cluster < 1000; ++cluster)
        if (random() % 3 == 0) {
            map.set(cluster);
            expected.push_back(cluster);
        }
    CHECK(allocated(map) == expected);
    CHECK(map.count() == expected.size());
    for (std::size_t rank = 0; rank < expected.size(); ++rank)
        REQUIRE(map.select(0, rank) == expected[rank]);
    for (std::uint64_t begin = 0; begin < 200; ++begin)
        for (std::uint64_t end = begin; end < 200; ++end) {
            const auto inside = std::count_if(expected.begin(), expected.end(),
                                              [&](std::uint64_t cluster) { return cluster >= begin && cluster < end; });
            REQUIRE(map.count(begin, end) == static_cast<std::uint64_t>(inside));
            std::uint64_t free = begin;
            while (free < end && map.contains(free))
                ++free;
            REQUIRE(map.next_free(begin, end) == free);
        }
    const AllocationMap empty(0);
    CHECK(empty.cluster_count() == 0);
    CHECK(empty.next_allocated(0) == 0);
    CHECK(empty.count() == 0);
}
