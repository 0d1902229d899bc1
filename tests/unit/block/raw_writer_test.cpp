#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/block/raw_writer.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include <random>

using namespace vm2oci;
using test::MemoryDevice;

namespace {

struct Written {
    std::vector<std::byte> content;
    std::uint64_t allocated;
};

Written write(const BlockDevice& device, unsigned threads) {
    const UniqueFd fd = scratch_file({});
    OperationContext context;
    context.threads = threads;
    write_raw_file(device, fd.get(), context);
    struct stat status {};
    REQUIRE(::fstat(fd.get(), &status) == 0);
    Written result{std::vector<std::byte>(static_cast<std::size_t>(status.st_size)),
                   static_cast<std::uint64_t>(status.st_blocks) * 512};
    read_exactly_at(fd.get(), 0, result.content);
    return result;
}

} // namespace

TEST_CASE("a raw file has the disk's bytes, whatever the number of threads") {
    MemoryDevice disk(200 * MiB + 1234);
    std::mt19937_64 random(5);
    for (int i = 0; i < 300; ++i)
        disk.fill(random() % (disk.size() - 20000), 1 + random() % 20000, static_cast<std::uint8_t>(i));
    disk.declare(100 * MiB, 5 * MiB, ExtentKind::data);
    std::vector<std::byte> expected(disk.size());
    disk.read_at(0, expected);
    CHECK(write(disk, 1).content == expected);
    CHECK(write(disk, 8).content == expected);
}

TEST_CASE("zeros stay holes, even those inside data") {
    MemoryDevice disk(64 * MiB);
    disk.declare(0, disk.size(), ExtentKind::data);
    disk.put(MiB + 5, "here").put(3 * MiB - 2, "over the edge").put(disk.size() - 1, "x");
    const Written written = write(disk, 2);
    CHECK(written.content.size() == disk.size());
    CHECK(written.allocated <= 16 * 4096);
    CHECK(as_text(std::span(written.content).subspan(MiB + 5, 4)) == "here");
}

TEST_CASE("a failing read ends a raw file with its error") {
    MemoryDevice disk(200 * MiB);
    disk.fill(150 * MiB, 10, 1).fail_reads(150 * MiB, 1);
    CHECK_THROWS_AS(write(disk, 1), Error);
    CHECK_THROWS_AS(write(disk, 4), Error);
}

TEST_CASE("an empty disk is an empty raw file") {
    const MemoryDevice disk(0);
    CHECK(write(disk, 2).content.empty());
}
