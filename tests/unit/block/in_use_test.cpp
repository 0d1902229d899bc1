#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/in_use.hpp"
#include "formats/block/open_disk.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <string>

using namespace vm2oci;

namespace {

// A QEMU that holds these bytes of its permissions.
UniqueFd lock_bytes(const std::filesystem::path& path, std::initializer_list<off_t> bytes) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(fd);
    for (const off_t byte : bytes) {
        struct flock lock {};
        lock.l_type = F_RDLCK; // QEMU's own are shared, too
        lock.l_whence = SEEK_SET;
        lock.l_start = byte;
        lock.l_len = 1;
        REQUIRE(::fcntl(fd.get(), F_OFD_SETLK, &lock) == 0);
    }
    return fd;
}

} // namespace

TEST_CASE("a disk that a running QEMU writes is refused, and one that it reads is not") {
    const test::TemporaryFolder folder;
    const std::filesystem::path path = folder.path() / "disk.raw";
    {
        const UniqueFd made(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
        REQUIRE(::ftruncate(made.get(), 1 << 20) == 0);
    }
    DiskSource source;
    source.path = path;
    source.format = DiskFormat::raw;
    CHECK(open_disk(source).device->size() == 1 << 20);
    {
        // What `-drive file=…` takes: reads, writes and resizes, and lets others only read.
        const UniqueFd writer = lock_bytes(path, {100, 101, 103, 201, 203});
        CHECK_THROWS_AS(open_disk(source), Error);
        const DiskFindings findings_of_allowed = [&] {
            DiskSource allowed = source;
            allowed.policy.in_use = Tolerance::allow;
            return examine_disk(allowed);
        }();
        CHECK_FALSE(findings_of_allowed.refusal);
    }
    {
        const UniqueFd grower = lock_bytes(path, {103});
        CHECK_THROWS_AS(open_disk(source), Error);
    }
    {
        const UniqueFd jealous = lock_bytes(path, {200}); // a backup job that shares no reads
        CHECK_THROWS_AS(open_disk(source), Error);
    }
    {
        const UniqueFd reader = lock_bytes(path, {100, 201, 203}); // `readonly=on`
        CHECK(open_disk(source).device->size() == 1 << 20);
    }
    CHECK(open_disk(source).device->size() == 1 << 20);
}

TEST_CASE("a backing file is looked at, too") {
    const test::TemporaryFolder folder;
    const std::filesystem::path path = folder.path() / "base.raw";
    {
        const UniqueFd made(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
        REQUIRE(::ftruncate(made.get(), 1 << 20) == 0);
    }
    const UniqueFd writer = lock_bytes(path, {101});
    const UniqueFd other(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    CHECK(writer_of(other.get()));
}
