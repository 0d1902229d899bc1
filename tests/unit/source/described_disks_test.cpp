// Which files a description's disks are read from, and which not.
#include "formats/base/error.hpp"
#include "libconvert/source/described_disks.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include <fstream>

using namespace vm2oci;

namespace {

MachineDescription machine_of(const std::vector<DescribedFile>& files) {
    MachineDescription machine;
    for (std::size_t i = 0; i < files.size(); ++i) {
        const std::string id = "disk" + std::string(1, static_cast<char>('a' + i));
        machine.hardware.disks.push_back({id, "/srv/" + files[i].name, std::nullopt, std::nullopt, std::nullopt});
    }
    machine.files = files;
    return machine;
}

void write(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

std::string refusal_of(MachineDescription machine, const LocationRequest& request) {
    try {
        locate_disks(machine, request);
    } catch (const Error& error) {
        return std::string(to_string(error.kind())) + ": " + error.what();
    }
    return "";
}

} // namespace

TEST_CASE("the names of disks that follow from a description's") {
    for (const char* name : {"web01.vmdk", "web01_1.vmdk", "web01-0.vmdk", "web01-000001.vmdk", "web01_1-000001.vmdk",
                             "web01-0-000012.vmdk", "web01.qcow2", "web01-1.qcow2", "web01-disk2.img",
                             "web01_disk1.RAW", "web01.vhdx", "web01.vdi"}) {
        INFO(name);
        CHECK(is_disk_sibling("web01.vmx", name));
        CHECK(is_disk_sibling("web01.xml", name));
    }
    for (const char* name : {"",
                             "web01",
                             "web01.xml",
                             "web01.txt",
                             "web02.vmdk",
                             "xweb01.vmdk",
                             "web01x.vmdk",
                             "web01-.vmdk",
                             "web01-a.vmdk",
                             "web01-1-2.vmdk",
                             "web01/../web02.vmdk",
                             "../web01.vmdk",
                             "/etc/web01.vmdk",
                             "web01-1\\2.vmdk",
                             "web01-1234567.vmdk",
                             "web01 1.vmdk",
                             "web01.vmdk.gz",
                             "web01--1.vmdk",
                             "web01_1-00001.vmdk",
                             "web01_1_000001.vmdk",
                             "web01-x-000001.vmdk",
                             "web01_1-000001-000001.vmdk",
                             "web01-disk.vmdk"}) {
        INFO(name);
        CHECK_FALSE(is_disk_sibling("web01.vmx", name));
    }
    CHECK_FALSE(is_disk_sibling(".vmx", ".vmdk"));
    CHECK_FALSE(is_disk_sibling("", ".vmdk"));
    CHECK(last_part("C:\\VMs\\web01\\web01.vhd") == "web01.vhd");
    CHECK(last_part("/vmfs/volumes/a b/web01.vmdk") == "web01.vmdk");
    CHECK(last_part("web01.vmdk") == "web01.vmdk");
    CHECK(last_part("/dev/").empty());
}

TEST_CASE("a described disk is its sibling, or what was given for it") {
    const test::TemporaryFolder folder;
    const auto file = [&](const std::string& name) { return folder.path() / name; };
    write(file("web01.img"), std::string(512, 'a'));
    write(file("web01-1.img"), std::string(512, 'b'));
    LocationRequest request{file("web01.xml"), {}, "", {}};
    MachineDescription machine = machine_of({{"web01.img", "", "raw"}, {"web01-1.img", "", ""}});
    std::vector<LocatedDisk> disks = locate_disks(machine, request);
    REQUIRE(disks.size() == 2);
    CHECK(disks[0].sibling);
    CHECK(disks[0].path == file("web01.img"));
    CHECK(disks[0].format == DiskFormat::raw);
    CHECK_FALSE(disks[1].format);

    SECTION("by its name, wherever it lies") {
        request.given = {"elsewhere/web01-1.img"};
        disks = locate_disks(machine, request);
        CHECK(disks[0].sibling);
        CHECK(disks[1].given == 0U);
    }
    SECTION("in order, where nothing else is there") {
        machine =
            machine_of({{"web01.img", "", ""}, {"other.img", "", ""}, {"", "on a block device, '/dev/x'", "raw"}});
        request.given = {"first.qcow2", "nbd://host.example/second"};
        disks = locate_disks(machine, request);
        CHECK(disks[0].sibling);
        CHECK(disks[1].given == 0U);
        CHECK(disks[2].given == 1U);
    }
    SECTION("one alone, by number and by id") {
        for (const char* wanted : {"2", "diskb"}) {
            MachineDescription chosen = machine;
            request.wanted = wanted;
            disks = locate_disks(chosen, request);
            REQUIRE(disks.size() == 1);
            CHECK(disks[0].path == file("web01-1.img"));
            CHECK(chosen.hardware.disks.size() == 1);
            CHECK(chosen.hardware.disks[0].id == "diskb");
        }
        request.wanted = "3";
        CHECK_THAT(refusal_of(machine, request), Catch::Contains("usage") && Catch::Contains("'diska' ('web01.img')"));
    }
    SECTION("of a machine that is described without disks those that are given") {
        machine = machine_of({});
        CHECK_THAT(refusal_of(machine, request), Catch::Contains("unsupported"));
        request.given = {"a.vhd", "b.vhd"};
        disks = locate_disks(machine, request);
        CHECK(disks.size() == 2);
        CHECK(machine.hardware.disks.size() == 2);
    }
}

TEST_CASE("nothing else is opened on a description's word") {
    const test::TemporaryFolder folder;
    const auto file = [&](const std::string& name) { return folder.path() / name; };
    write(file("secret.img"), std::string(512, 's'));
    write(file("web01-7.img"), std::string("QFI\xfb\0\0\0\3", 8) + std::string(504, '\0'));
    std::filesystem::create_symlink("secret.img", file("web01.img"));
    std::filesystem::create_directory(file("web01-1.img"));
    REQUIRE(::mkfifo(file("web01-2.img").c_str(), 0600) == 0);
    const LocationRequest request{file("web01.xml"), {}, "", {}};
    const auto refused = [&](const DescribedFile& described) { return refusal_of(machine_of({described}), request); };
    CHECK_THAT(refused({"secret.img", "", ""}), Catch::Contains("unsafe") && Catch::Contains("lies"));
    CHECK_THAT(refused({"web01.img", "", ""}), Catch::Contains("is a link"));
    CHECK_THAT(refused({"web01-1.img", "", ""}), Catch::Contains("no regular file"));
    CHECK_THAT(refused({"web01-2.img", "", ""}), Catch::Contains("no regular file"));
    CHECK_THAT(refused({"web01-3.img", "", ""}), Catch::Contains("not beside it"));
    CHECK_THAT(refused({"", "on a server, 'x'", ""}), Catch::Contains("lies on a server, 'x'"));
    CHECK_THAT(refused({"web01-7.img", "", "raw"}), Catch::Contains("stated to be raw, and looks like qcow2"));
    LocationRequest too_many = request;
    too_many.given = {"a.img", "b.img"};
    CHECK_THAT(refusal_of(machine_of({{"secret.img", "", ""}}), too_many),
               Catch::Contains("usage") && Catch::Contains("'b.img' stands for no disk"));
}
