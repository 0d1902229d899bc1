#include "libconvert/guest/file_system_drivers.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

TEST_CASE("each kind of file system has one row, and what is written is read") {
    for (const char* name : {"ext2", "ext3", "ext4", "vfat", "xfs", "btrfs"}) {
        INFO(name);
        const FileSystemDriver* driver = find_driver(name);
        REQUIRE(driver != nullptr);
        CHECK(driver->name == name);
        CHECK((driver->edit == nullptr) == (driver->reason_not_to_edit == nullptr));
        if (driver->edit != nullptr || driver->free_space == FreeSpaceSource::reader)
            CHECK(driver->open != nullptr);
    }
    CHECK(find_driver("ntfs") == nullptr);
    CHECK(find_driver("") == nullptr);
}

TEST_CASE("what looks like a file system inside of something else has no reader") {
    const auto found = [](ContentKind kind, const char* type) {
        return find_reader(Signature{kind, type, "", "", ""}) != nullptr;
    };
    CHECK(found(ContentKind::file_system, "ext3"));
    CHECK(found(ContentKind::file_system, "vfat"));
    CHECK_FALSE(found(ContentKind::file_system, "zfs_member"));
    CHECK_FALSE(found(ContentKind::raid, "ext4"));
    CHECK_FALSE(found(ContentKind::swap, "swap"));
    CHECK(find_reader(std::nullopt) == nullptr);
}
