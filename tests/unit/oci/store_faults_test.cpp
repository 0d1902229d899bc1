// Every system call that makes an image durable or visible fails once: what was there before must still be whole.
#include "formats/base/error.hpp"
#include "formats/oci/archive.hpp"
#include "formats/oci/layout.hpp"
#include "formats/oci/layout_index.hpp"
#include "formats/oci/verify.hpp"
#include "tests/unit/oci/oci_fixture.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

// The call that is to fail, counted over all kinds from the moment it is set; 0: none.
std::atomic<int> calls_until_failure{0};
std::atomic<int> calls_seen{0};

bool fails_now() {
    ++calls_seen;
    if (calls_until_failure == 0 || --calls_until_failure != 0)
        return false;
    errno = ENOSPC;
    return true;
}

} // namespace

// These stand in for libc's in this executable alone.
extern "C" {
int fsync(int fd) {
    return fails_now() ? -1 : static_cast<int>(::syscall(SYS_fsync, fd));
}
int rename(const char* from, const char* to) noexcept {
    return fails_now() ? -1 : static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
    return fails_now() ? -1 : static_cast<int>(::syscall(SYS_linkat, from_folder, from, to_folder, to, flags));
}
int fchmod(int fd, mode_t mode) noexcept {
    return fails_now() ? -1 : static_cast<int>(::syscall(SYS_fchmod, fd, mode));
}
int mkdir(const char* path, mode_t mode) noexcept {
    return fails_now() ? -1 : static_cast<int>(::syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}
}

namespace {

constexpr int kMoreThanAllCalls = 1000;

void publish_layout(const fs::path& folder, const char* tag, std::string_view content) {
    OciLayoutDestination destination(folder, tag);
    destination.publish(put_image(destination, content));
}

void publish_archive(const fs::path& file, const char* tag, std::string_view content) {
    OciArchiveDestination destination(file, tag);
    destination.publish(put_image(destination, content));
}

// How many calls fail before one run succeeds; `check` looks at what each failure left.
template <class Work, class Check>
int fail_each_call(Work work, Check check) {
    for (int call = 1; call < kMoreThanAllCalls; ++call) {
        calls_until_failure = call;
        bool failed = false;
        try {
            work(call);
        } catch (const Error& error) {
            failed = true;
            CHECK(error.kind() == ErrorKind::io);
        }
        const bool reached = calls_until_failure == 0;
        calls_until_failure = 0;
        if (!reached)
            return call - 1;
        INFO("call " << call);
        check(failed);
    }
    return kMoreThanAllCalls;
}

} // namespace

TEST_CASE("a layout survives every call that fails while a tag is added") {
    const TestFolder folder;
    const fs::path layout = folder.path / "layout";
    publish_layout(layout, "old", "old disk");
    const int calls = fail_each_call(
        [&](int call) { publish_layout(layout, "new", "new disk " + std::to_string(call)); },
        [&](bool failed) {
            OciLayoutSource old_source(layout, "old");
            CHECK(verify_image(old_source, {}).findings.empty());
            // Only the fsync of the folder behind the last rename fails so late that the tag is there.
            if (!failed || layout_index_tags(read_file(layout / "index.json", 1 << 20).value()).size() == 2) {
                OciLayoutSource new_source(layout, "new");
                CHECK(verify_image(new_source, {}).findings.empty());
            }
            for (const fs::directory_entry& entry : fs::recursive_directory_iterator(layout))
                CHECK(entry.path().extension() != ".tmp");
        });
    CHECK(calls >= 15); // three blobs and index.json: mode, fsync, link, rename, folder
    OciLayoutSource new_source(layout, "new");
    CHECK(verify_image(new_source, {}).findings.empty());
}

TEST_CASE("a new layout is whole or no layout, whichever call fails") {
    const TestFolder folder;
    const int calls =
        fail_each_call([&](int call) { publish_layout(folder.path / std::to_string(call), "v1", "disk"); },
                       [&](bool) {
                           for (const fs::directory_entry& entry : fs::directory_iterator(folder.path)) {
                               if (!fs::exists(entry.path() / "oci-layout"))
                                   continue;
                               check_layout_file(read_file(entry.path() / "oci-layout", 1000).value());
                               for (const std::string& tag :
                                    layout_index_tags(read_file(entry.path() / "index.json", 1 << 20).value())) {
                                   OciLayoutSource source(entry.path(), tag);
                                   CHECK(verify_image(source, {}).findings.empty());
                               }
                           }
                       });
    CHECK(calls >= 20);
    // What a failed run left is no obstacle to the next one.
    for (int call = 1; call <= calls; ++call) {
        publish_layout(folder.path / std::to_string(call), "v1", "disk");
        OciLayoutSource source(folder.path / std::to_string(call), "v1");
        CHECK(verify_image(source, {}).findings.empty());
    }
}

TEST_CASE("an archive is the old one or the new one, whichever call fails") {
    const TestFolder folder;
    const fs::path file = folder.path / "image.tar";
    publish_archive(file, "v1", "old disk");
    const int calls =
        fail_each_call([&](int) { publish_archive(file, "v1", "new disk"); },
                       [&](bool) {
                           OciArchiveSource source(file, "v1", {});
                           CHECK(verify_image(source, {}).findings.empty());
                           CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
                       });
    CHECK(calls >= 4);
}

TEST_CASE("an archive keeps its other tags, whichever call fails while one is added") {
    const TestFolder folder;
    const fs::path file = folder.path / "images.tar";
    publish_archive(file, "kept", "kept disk");
    publish_archive(file, "other", "other disk");
    const int calls =
        fail_each_call([&](int call) { publish_archive(file, "new", "new disk " + std::to_string(call)); },
                       [&](bool) {
                           for (const char* tag : {"kept", "other"}) {
                               OciArchiveSource source(file, tag, {});
                               CHECK(verify_image(source, {}).findings.empty());
                           }
                       });
    CHECK(calls >= 4);
    OciArchiveSource source(file, std::nullopt, {});
    CHECK(source.images().size() == 3);
    CHECK(verify_image(source, {}).findings.empty());
}
