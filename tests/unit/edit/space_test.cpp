#include "formats/base/error.hpp"
#include "libconvert/edit/space.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using vm2oci::test::MemoryGuest;

namespace {

constexpr std::uint64_t kFree = 10'000;

MemoryGuest guest_with(std::uint64_t free_inodes) {
    MemoryGuest guest;
    guest.file("/old", std::string(50'000, 'x')).file("/folder/file", std::string(40'000, 'x'));
    guest.mount({"/", "partition 1", "ext4", "", "", FileSystemUsage{1'000'000, kFree, 100, free_inodes}});
    guest.mount({"/boot", "partition 2", "ext4", "", "", FileSystemUsage{1'000'000, 0, 100, 0}});
    return guest;
}

Edit edit_of(EditKind kind, const std::string& path, std::uint64_t size = 0) {
    Edit edit;
    edit.kind = kind;
    edit.path = path;
    edit.size = size;
    return edit;
}

} // namespace

TEST_CASE("A plan that cannot fit is refused before it is carried out") {
    const MemoryGuest guest = guest_with(5);
    CHECK_NOTHROW(check_space({{edit_of(EditKind::write_file, "/new", kFree - 1000)}, {}}, guest));
    CHECK_THROWS_WITH(check_space({{edit_of(EditKind::write_file, "/new", 2 * kFree)}, {}}, guest),
                      Catch::Contains("too full") && Catch::Contains("'/'"));
    CHECK_THROWS_WITH(check_space({{edit_of(EditKind::write_file, "/boot/new", 5000)}, {}}, guest),
                      Catch::Contains("'/boot'"));
}

TEST_CASE("What a plan removes and replaces makes room for what it writes") {
    const MemoryGuest guest = guest_with(5);
    CHECK_NOTHROW(check_space({{edit_of(EditKind::write_file, "/old", 55'000)}, {}}, guest));
    CHECK_NOTHROW(check_space(
        {{edit_of(EditKind::remove, "/folder"), edit_of(EditKind::write_file, "/new", 45'000)}, {}}, guest));
    CHECK_THROWS_AS(
        check_space({{edit_of(EditKind::remove, "/folder"), edit_of(EditKind::write_file, "/new", 90'000)}, {}}, guest),
        Error);
}

TEST_CASE("Inodes are counted too") {
    const MemoryGuest guest = guest_with(1);
    CHECK_NOTHROW(check_space({{edit_of(EditKind::make_symlink, "/link")}, {}}, guest));
    CHECK_THROWS_WITH(
        check_space({{edit_of(EditKind::make_symlink, "/link"), edit_of(EditKind::write_file, "/new")}, {}}, guest),
        Catch::Contains("inodes"));
}
