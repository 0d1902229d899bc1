#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

using namespace vm2oci;
namespace fs = std::filesystem;

TEST_CASE("a temporary file appears under its name only when published") {
    const test::TemporaryFolder folder;
    const fs::path target = folder.path() / "index.json";
    {
        TemporaryFile dropped(folder.path());
        write_exactly(dropped.fd(), as_bytes("gone"));
    }
    CHECK(fs::is_empty(folder.path()));

    TemporaryFile first(folder.path());
    write_exactly(first.fd(), as_bytes("one"));
    first.publish(target);
    TemporaryFile second(folder.path());
    write_exactly(second.fd(), as_bytes("two"));
    const mode_t old_mask = ::umask(0077);
    second.publish(target, 0644);
    ::umask(old_mask);
    CHECK(read_file(target, 100) == "two");
    struct stat status {};
    REQUIRE(::stat(target.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0644);
    CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("reads stop at the end of the file, exact reads refuse it") {
    const UniqueFd fd = scratch_file({});
    write_exactly_at(fd.get(), 4, as_bytes("data"));
    std::byte buffer[16];
    CHECK(read_at(fd.get(), 2, buffer) == 6);
    CHECK(buffer[0] == std::byte{0});
    CHECK_THROWS_AS(read_exactly_at(fd.get(), 0, buffer), Error);
    CHECK(file_size(fd.get()) == 8);
}

TEST_CASE("files that are no disks are told apart") {
    const test::TemporaryFolder folder;
    const fs::path fifo = folder.path() / "fifo";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    const UniqueFd fd = open_read(fifo); // must not wait for a writer
    CHECK_THROWS_AS(file_size(fd.get()), Error);
    CHECK_THROWS_AS(open_read(folder.path() / "absent"), Error);
    CHECK(read_file(folder.path() / "absent", 10) == std::nullopt);
    const UniqueFd out(::open((folder.path() / "long").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    write_exactly(out.get(), as_bytes("0123456789a"));
    CHECK_THROWS_AS(read_file(folder.path() / "long", 10), Error);
}
