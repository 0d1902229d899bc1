// What flows make of descriptions of machines, and of references to them.
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "tools/flows/described_machine.hpp"
#include "tools/flows/reference.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

TEST_CASE("a described machine is made as far as this host goes") {
    const HostResources host{16 * GiB, 4};
    MachineHardware hardware;
    hardware.cpus = 2;
    hardware.memory = 3 * GiB + 100;
    hardware.firmware = MachineFirmware::uefi;
    DescribedMachine machine = described_machine(hardware, host);
    CHECK(machine.cpus == 2U);
    CHECK(machine.memory == 3 * GiB);
    CHECK(machine.firmware == Firmware::uefi);
    CHECK(machine.reasons.empty());
    hardware.secure_boot = true;
    CHECK(described_machine(hardware, host).firmware == Firmware::uefi_secure);
    hardware.firmware = MachineFirmware::bios;
    CHECK(described_machine(hardware, host).firmware == Firmware::bios);
    hardware.cpus = 64;
    hardware.memory = 512 * GiB;
    machine = described_machine(hardware, host);
    CHECK(machine.cpus == 4U);
    CHECK(machine.memory == 8 * GiB);
    CHECK(machine.reasons.size() == 2);
    hardware.memory = 16 * MiB;
    CHECK(described_machine(hardware, host).memory == 256 * MiB);
    CHECK_FALSE(described_machine({}, host).memory);
    CHECK_FALSE(described_machine({}, host).cpus);
    CHECK_FALSE(described_machine({}, host).firmware);
}

TEST_CASE("references to packages and servers") {
    const auto disk = [](const std::string& text) { return std::get<DiskReference>(parse_reference(text)); };
    CHECK(disk("ova:web.ova:2").machine == MachineSource::package);
    CHECK(disk("ova:web.ova:2").path == "web.ova:2");
    CHECK_FALSE(disk("web.ova").machine);
    CHECK(disk("vmx:web.vmx").machine == MachineSource::vmx);
    CHECK(disk("libvirt:web.xml:vda").machine == MachineSource::libvirt);
    CHECK(disk("hyperv:web.xml").path == "web.xml");
    CHECK_THROWS_WITH(parse_reference("ova:"), Catch::Contains("names no disk"));
    CHECK(is_server_address(disk("nbd+unix:///x?socket=/s").path));
    CHECK(is_server_address(disk("raw:nbds://host.example/x").path));
    CHECK(is_server_address(disk("https://host.example/x.qcow2").path));
    CHECK_FALSE(is_server_address(disk("./https:/x").path));
    for (const char* read_only : {"-", "qcow2:-", "ova:web.ova", "vmx:web.vmx", "libvirt:d.xml", "hyperv:d.xml",
                                  "nbd://host.example/x", "raw:https://host.example/x", "oci-archve:web.tar",
                                  "OCI:images:web", "Docker://host.example/x:1", "sif:web.sif"}) {
        INFO(read_only);
        CHECK_THROWS_AS(require_written(disk(read_only)), Error);
    }
    for (const char* written :
         {"./-", "./oci-archve:web.tar", "raw:sif:web", "/srv/a:b", "web 01:2.raw", "web01.raw"}) {
        INFO(written);
        CHECK_NOTHROW(require_written(disk(written)));
    }
}

TEST_CASE("further disks get tags beside that of the first") {
    const auto tag = [](const std::string& text, std::size_t number) {
        return tag_of_disk(std::get<ImageReference>(parse_reference(text)), number);
    };
    CHECK(tag("oci:images:web01", 2) == "web01-disk2");
    CHECK(tag("oci:images", 3) == "disk3");
    CHECK(tag("oci-archive:a.tar:v1", 12) == "v1-disk12");
    CHECK(tag("docker://host.example/team/web:v1", 2) == "v1-disk2");
    CHECK(tag("docker://host.example/team/web", 2) == "latest-disk2");
    CHECK(tag("null:", 2).empty());
    const std::string digest = "sha256:" + std::string(64, 'a');
    CHECK_THROWS_AS(tag("docker://host.example/team/web@" + digest, 2), Error);
    CHECK_THROWS_AS(tag("docker://host.example/team/web:v1@" + digest, 2), Error);
    CHECK_THROWS_AS(tag("docker://host.example/team/web:" + std::string(125, 'v'), 2), Error);
}

TEST_CASE("the first image of a machine names the others") {
    const ImageReference first = std::get<ImageReference>(parse_reference("oci:images:web01"));
    const std::map<std::string, std::string> two = {{"org.vm2oci.machine.further-images", "web01-disk2 web01-disk3"}};
    const std::vector<ImageReference> others = further_images(first, two);
    REQUIRE(others.size() == 2);
    CHECK(std::get<LayoutReference>(others[1]).tag == "web01-disk3");
    CHECK(std::get<LayoutReference>(others[1]).folder == std::get<LayoutReference>(first).folder);
    std::map<std::string, std::string> numbered = two;
    numbered["org.vm2oci.machine.disk"] = "1";
    CHECK(further_images(first, numbered).size() == 2);
    numbered["org.vm2oci.machine.disk"] = "2";
    CHECK(further_images(first, numbered).empty());
    CHECK(further_images(first, {}).empty());
    CHECK_THROWS_AS(further_images(first, {{"org.vm2oci.machine.further-images", "web01-disk2 ../x"}}), Error);
}
