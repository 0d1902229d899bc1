#include "formats/base/error.hpp"
#include "tests/support/temporary_folder.hpp"

#include "guest-kernel/agent/block_devices.hpp"
#include "guest-kernel/agent/device_mapper.hpp"
#include <catch2/catch.hpp>
#include <unistd.h>

#include <filesystem>
#include <fstream>

using namespace vm2oci;
using namespace vm2oci::guest;
namespace fs = std::filesystem;

namespace {

LvmLogicalVolume volume(std::vector<LvmSegment> segments) {
    LvmLogicalVolume made;
    made.group = "vg-0";
    made.name = "root";
    made.segments = std::move(segments);
    return made;
}

std::string number_of(const std::string& uuid) {
    return uuid == "a" ? "254:1" : "254:2";
}

} // namespace

TEST_CASE("ways to name the root") {
    using Kind = RootName::Kind;
    const auto kind_and_value = [](std::string_view text) {
        const auto name = parse_root_name(text);
        return name ? std::to_string(static_cast<int>(name->kind)) + name->value : std::string("none");
    };
    const auto as = [](Kind kind, const std::string& value) { return std::to_string(static_cast<int>(kind)) + value; };
    CHECK(kind_and_value("/dev/vda1") == as(Kind::path, "/dev/vda1"));
    CHECK(kind_and_value("UUID=12-34") == as(Kind::uuid, "12-34"));
    CHECK(kind_and_value("/dev/disk/by-uuid/12-34") == as(Kind::uuid, "12-34"));
    CHECK(kind_and_value("LABEL=cloudimg-rootfs") == as(Kind::label, "cloudimg-rootfs"));
    CHECK(kind_and_value("PARTLABEL=root") == as(Kind::partition_label, "root"));
    for (const char* odd : {"", "UUID=", "PARTUUID=1", "8:1", "nfs", "/dev/", "/etc/passwd"})
        CHECK(kind_and_value(odd) == "none");
}

TEST_CASE("logical volumes are named as LVM names them") {
    CHECK(mapper_name("vg", "root") == "vg-root");
    CHECK(mapper_name("vg-0", "my-root") == "vg--0-my--root");
    CHECK(names_volume("/dev/mapper/vg--0-my--root", "vg-0", "my-root"));
    CHECK(names_volume("/dev/vg-0/my-root", "vg-0", "my-root"));
    CHECK_FALSE(names_volume("/dev/mapper/vg-0-my-root", "vg-0", "my-root"));
    CHECK_FALSE(names_volume("/dev/vg-0/my", "vg-0", "my-root"));
}

TEST_CASE("segments become a table of device-mapper") {
    const auto table = mapper_table(volume({{0, "a", 1048576, 4096}, {4096, "b", 512, 512}}), number_of);
    REQUIRE(table.size() == 2);
    CHECK(table[0].begin == 0);
    CHECK(table[0].length == 8);
    CHECK(table[0].parameters == "254:1 2048");
    CHECK(table[1].begin == 8);
    CHECK(table[1].length == 1);
    CHECK(table[1].parameters == "254:2 1");
    CHECK_THROWS_AS(mapper_table(volume({}), number_of), Error);
    CHECK_THROWS_AS(mapper_table(volume({{0, "a", 100, 512}}), number_of), Error);
    CHECK_THROWS_AS(mapper_table(volume({{0, "a", 0, 0}}), number_of), Error);
    CHECK_THROWS_AS(mapper_table(volume({{0, "a", 0, 512}, {1024, "a", 512, 512}}), number_of), Error);
}

TEST_CASE("devices are those that have a size") {
    const test::TemporaryFolder folder;
    const fs::path& top = folder.path();
    for (const auto& [name, size] :
         {std::pair{"vda", "20480\n"}, {"vda1", "16384\n"}, {"sr0", "0\n"}, {"ram0", "8192\n"}, {"vdb", ""}}) {
        fs::create_directories(top / "class/block" / name);
        std::ofstream(top / "class/block" / name / "size") << size;
    }
    fs::create_directories(top / "dev");
    {
        // An erofs superblock (fs/erofs/erofs_fs.h), and a device that cannot be opened.
        std::ofstream disk(top / "dev/vda", std::ios::binary);
        std::string bytes(8192, '\0');
        bytes.replace(1024, 4, std::string("\xe2\xe1\xf5\xe0", 4));
        bytes.replace(1024 + 48, 16, std::string(16, '\x11'));
        disk << bytes;
    }
    const auto devices = block_devices(top, top / "dev");
    REQUIRE(devices.size() == 2);
    CHECK(devices[0].node == (top / "dev/vda").string());
    REQUIRE(devices[0].signature);
    CHECK(devices[0].signature->type == "erofs");
    CHECK(devices[0].signature->uuid == "11111111-1111-1111-1111-111111111111");
    CHECK_FALSE(devices[1].signature);
}
