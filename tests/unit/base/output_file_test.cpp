#include "formats/base/error.hpp"
#include "formats/base/output_file.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

void put(const fs::path& path, std::string_view text) {
    write_output(path, as_bytes(text));
}

unsigned mode_at(const fs::path& path) {
    struct stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

ErrorKind refusal_of(const fs::path& path) {
    try {
        const OutputFile file(path);
    } catch (const Error& error) {
        return error.kind();
    }
    FAIL("not refused");
    return ErrorKind::io;
}

} // namespace

TEST_CASE("links are written through, dangling ones and chains too") {
    const test::TemporaryFolder folder;
    fs::create_directory(folder.path() / "deep");
    fs::create_symlink("deep/second", folder.path() / "first");
    fs::create_symlink("../end", folder.path() / "deep" / "second");
    for (const char* text : {"new", "replaced"}) {
        put(folder.path() / "first", text);
        CHECK(fs::is_symlink(folder.path() / "first"));
        CHECK(fs::is_symlink(folder.path() / "deep" / "second"));
        CHECK(read_file(folder.path() / "end", 100) == text);
    }
    fs::create_symlink("circle", folder.path() / "circle");
    CHECK_THROWS_AS(resolve_output(folder.path() / "circle"), Error);
}

TEST_CASE("a pipe gets the document and stays a pipe") {
    const test::TemporaryFolder folder;
    const fs::path fifo = folder.path() / "fifo";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    const UniqueFd reader(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    fs::create_symlink("fifo", folder.path() / "link");
    put(folder.path() / "link", "sha256:0");
    char buffer[32];
    CHECK(::read(reader.get(), buffer, sizeof buffer) == 8);
    CHECK(fs::is_fifo(fifo));
    CHECK(refusal_of(folder.path() / "link") == ErrorKind::unsupported);
}

TEST_CASE("a descriptor is written where it stands") {
    const test::TemporaryFolder folder;
    const fs::path file = folder.path() / "log";
    const UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    write_exactly(fd.get(), as_bytes("before "));
    const std::string name = std::to_string(fd.get());
    fs::create_symlink("/proc/self/fd/" + name, folder.path() / "stdout");
    put(folder.path() / "stdout", "one ");
    put("/dev/fd/" + name, "two");
    CHECK(read_file(file, 100) == "before one two");
    CHECK(refusal_of(folder.path() / "stdout") == ErrorKind::unsupported);
    CHECK_THROWS_AS(put("/proc/self/fd/987654", "x"), Error);
}

TEST_CASE("a replaced file keeps its mode and attributes, a new one obeys the umask") {
    const test::TemporaryFolder folder;
    const unsigned fresh = 0666 & ~process_umask();
    put(folder.path() / "new", "x");
    CHECK(mode_at(folder.path() / "new") == fresh);
    for (const unsigned mode : {0600U, 0640U, 0444U}) {
        const fs::path file = folder.path() / std::to_string(mode);
        put(file, "old");
        const bool attributes = ::setxattr(file.c_str(), "user.note", "kept", 4, 0) == 0;
        REQUIRE(::chmod(file.c_str(), mode) == 0);
        OutputFile output(file);
        write_exactly(output.fd(), as_bytes("next"));
        output.publish();
        CHECK(mode_at(file) == mode);
        CHECK(read_file(file, 100) == "next");
        char value[8];
        if (attributes)
            CHECK(::getxattr(file.c_str(), "user.note", value, sizeof value) == 4);
    }
    if (::geteuid() == 0) {
        const fs::path file = folder.path() / "owned";
        put(file, "old");
        REQUIRE(::chown(file.c_str(), 107, 108) == 0);
        REQUIRE(::chmod(file.c_str(), 0600) == 0);
        put(file, "new");
        struct stat status {};
        REQUIRE(::stat(file.c_str(), &status) == 0);
        CHECK(status.st_uid == 107);
        CHECK(status.st_gid == 108);
        CHECK(mode_at(file) == 0600);
    }
}

TEST_CASE("temporary files of killed runs are collected, those of living writers are not") {
    const test::TemporaryFolder folder;
    const fs::path stale = folder.path() / ".vm2oci-0123456789abcdef0123456789abcdef.tmp";
    const fs::path alive = folder.path() / ".vm2oci-ffffffffffffffffffffffffffffffff.tmp";
    const fs::path foreign = folder.path() / ".vm2oci-notes.tmp";
    for (const fs::path& path : {stale, alive, foreign})
        REQUIRE(UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600))); // put() collects, too
    const UniqueFd writer(::open(alive.c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(::flock(writer.get(), LOCK_EX) == 0);
    collect_stale_files(folder.path());
    CHECK_FALSE(fs::exists(stale));
    CHECK(fs::exists(alive));
    CHECK(fs::exists(foreign));
}
