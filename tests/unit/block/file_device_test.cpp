#include "formats/block/file_device.hpp"
#include "tests/unit/block/qcow2_fixture.hpp"

#include <unistd.h>

#include <cstdlib>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

UniqueFd sparse_file(std::uint64_t size) {
    UniqueFd fd = scratch_file({});
    REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
    return fd;
}

} // namespace

TEST_CASE("holes of a file are unallocated and everything else is data") {
    UniqueFd fd = sparse_file(64 * MiB + 100);
    write_exactly_at(fd.get(), 32 * MiB, as_bytes("hello"));
    const FileDevice device(std::move(fd), "scratch");
    CHECK(device.size() == 64 * MiB + 100);
    std::vector<std::byte> bytes(5);
    device.read_at(32 * MiB, bytes);
    CHECK(as_text(bytes) == "hello");
    // A file system without holes would say data everywhere, which is allowed, and then there is nothing to see.
    CHECK(data_bytes(device) >= 5);
    CHECK(device.extent_at(32 * MiB).kind == ExtentKind::data);
    CHECK(device.extent_at(32 * MiB + 4).kind == ExtentKind::data);
    if (device.extent_at(0).kind == ExtentKind::unallocated) {
        CHECK(device.extent_at(0).length <= 32 * MiB);
        CHECK(data_bytes(device) < MiB);
        CHECK(device.extent_at(64 * MiB + 99).kind == ExtentKind::unallocated);
        CHECK(device.extent_at(64 * MiB + 99).length == 1);
    }
    CHECK(error_of([&] { device.extent_at(64 * MiB + 100); }).kind() == ErrorKind::corrupt);
    CHECK(error_of([&] { device.read_at(64 * MiB + 96, bytes); }).kind() == ErrorKind::corrupt);
}

TEST_CASE("a file that becomes shorter is an error, not zeros") {
    UniqueFd fd = sparse_file(MiB);
    const int raw = fd.get();
    const FileDevice device(std::move(fd), "scratch");
    REQUIRE(::ftruncate(raw, 4096) == 0);
    std::vector<std::byte> bytes(8192);
    CHECK(error_of([&] { device.read_at(0, bytes); }).kind() == ErrorKind::io);
}
