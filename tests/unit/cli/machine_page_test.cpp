// The pages of a machine's description and of an image.
#include "formats/base/size.hpp"
#include "tests/unit/cli/said.hpp"
#include "tools/vm2oci/image_page.hpp"
#include "tools/vm2oci/machine_page.hpp"
#include "tools/vm2oci/page.hpp"

using namespace vm2oci;
using namespace vm2oci::cli;

namespace {

std::string page_of(const MachineHardware& hardware) {
    Page page;
    describe_machine(page, hardware);
    return page.text();
}

std::string page_of(const ImageFindings& findings) {
    Page page;
    describe_image(page, findings);
    return page.text();
}

Digest digest(char c) {
    return Digest::parse("sha256:" + std::string(64, c));
}

ImageFindings plain_image() {
    ImageFindings findings;
    findings.content.top.digest = findings.content.manifest.digest = digest('a');
    findings.content.manifest.media_type = media_type::oci_manifest;
    findings.no_disk = "there is no file in /disk";
    findings.trust = ContentTrust::verified;
    return findings;
}

} // namespace

TEST_CASE("a description that says next to nothing has a page with as much") {
    MachineHardware hardware;
    hardware.source = "VMX";
    CHECK(page_of(hardware) == "  described by  VMX\n");
}

TEST_CASE("a machine of vSphere is told whole, and its words are data") {
    MachineHardware hardware;
    hardware.source = "OVF";
    hardware.name = "web\x1b[2J";
    hardware.annotation = "two\nlines";
    hardware.os_type = "rhel8_64Guest";
    hardware.cpus = 4;
    hardware.memory = 6 * GiB;
    hardware.firmware = MachineFirmware::uefi;
    hardware.secure_boot = true;
    hardware.controllers = {{ControllerKind::scsi, "VirtualSCSI"}, {ControllerKind::sata, ""}};
    hardware.disks = {{"vmdisk1", "web-1.vmdk", 0, 15, 40 * GiB},
                      {"vmdisk2", "", 1, std::nullopt, std::nullopt},
                      {"vmdisk3", "x'y.vmdk", std::nullopt, 3, 512}};
    hardware.nics = {{"VmxNet3", "VM Network", "00:50:56:01:02:03"}, {"", "", ""}, {"E1000", "", "00:50:56:0a:0b:0c"}};
    hardware.remarks = {"a CD drive is passed over"};
    CHECK(page_of(hardware) == "  described by  OVF\n"
                               "  name          web\\x1b[2J\n"
                               "  annotation    two\\x0alines\n"
                               "  system        rhel8_64Guest\n"
                               "  processors    4\n"
                               "  memory        6 GiB\n"
                               "  firmware      uefi, Secure Boot\n"
                               "  disk          1 'web-1.vmdk', 40 GiB, scsi (VirtualSCSI), address 15\n"
                               "  disk          2 'vmdisk2', sata\n"
                               "  disk          3 'x'y.vmdk', 512 B\n"
                               "  network       VmxNet3, 'VM Network', 00:50:56:01:02:03\n"
                               "  network       unknown model\n"
                               "  network       E1000, 00:50:56:0a:0b:0c\n"
                               "  remark        a CD drive is passed over\n");
    hardware.cores_per_socket = 2;
    hardware.firmware = MachineFirmware::bios;
    hardware.secure_boot = false;
    const std::string page = page_of(hardware);
    CHECK(page.find("  processors    4, 2 in a socket\n") != std::string::npos);
    CHECK(page.find("  firmware      bios\n") != std::string::npos);
}

TEST_CASE("the page of an image has what its manifest and configuration say") {
    ImageFindings findings = plain_image();
    const std::string a = "sha256:" + std::string(64, 'a');
    CHECK(page_of(findings) == "  digest      " + a +
                                   "\n"
                                   "  media type  application/vnd.oci.image.manifest.v1+json\n"
                                   "  content     verified: every layer is what its digest says\n"
                                   "  disk        there is no file in /disk\n");
    findings.content.top.digest = digest('b');
    findings.trust = ContentTrust::not_verified;
    findings.content.config = ImageConfig();
    ImageConfig& config = *findings.content.config;
    config.platform.architecture = "arm64";
    config.created = "2026-01-02T03:04:05Z";
    config.entrypoint = {"/bin/sh", "-c\x07"};
    config.command = {"a b"};
    config.environment = {"PATH=/bin", "X=\n"};
    config.labels = {{"k", "v\x1b"}};
    findings.content.parsed_manifest.annotations = {{"org", "example"}};
    Descriptor layer;
    layer.media_type = media_type::oci_layer_zstd;
    layer.digest = digest('c');
    layer.size = 1536;
    findings.content.parsed_manifest.layers = {layer};
    Descriptor signature = layer;
    signature.digest = digest('d');
    signature.artifact_type = "application/vnd.dev.cosign";
    signature.size = 17;
    findings.referrers = {signature, layer};
    const std::string page = page_of(findings);
    const std::string unverified =
        "  content     not verified against its digests, for only parts are read; --verify reads it all\n";
    CHECK(page.find(unverified) != std::string::npos);
    for (const char* row : {"  platform    linux/arm64\n", "  created     2026-01-02T03:04:05Z\n",
                            "  entrypoint  /bin/sh -c\\x07\n", "  command     a b\n", "  variable    PATH=/bin\n",
                            "  variable    X=\\x0a\n", "  label       k=v\\x1b\n", "  annotation  org=example\n"}) {
        CAPTURE(row);
        CHECK(page.find(row) != std::string::npos);
    }
    CHECK(page.find("  index       sha256:" + std::string(64, 'b') + "\n") != std::string::npos);
    const std::string in_layer = " (1.5 KiB, application/vnd.oci.image.layer.v1.tar+zstd)\n";
    CHECK(page.find("  layer       sha256:" + std::string(64, 'c') + in_layer) != std::string::npos);
    CHECK(page.find("  referrer    sha256:" + std::string(64, 'd') + " (17 B, application/vnd.dev.cosign)\n") !=
          std::string::npos);
    CHECK(page.find("  referrer    sha256:" + std::string(64, 'c') + in_layer) != std::string::npos);
    findings.trust = ContentTrust::proven_parts;
    CHECK(page_of(findings).find("--verify") == std::string::npos);
}

TEST_CASE("the disks of an image are told each below its path, and the machine behind them") {
    ImageFindings findings = plain_image();
    findings.disk_path = "disk/a\x01.qcow2";
    findings.disk = DiskFindings();
    findings.disk->format_known = true;
    findings.disk->info.virtual_size = MiB;
    DiskSeen other;
    other.name = "disk/data.img";
    other.findings = *findings.disk;
    other.findings.info.virtual_size = 2 * MiB;
    findings.further_disks = {other};
    findings.hardware = MachineHardware();
    findings.hardware->source = "OVF";
    const std::string page = page_of(findings);
    const std::size_t first = page.find("\n/disk/a\\x01.qcow2\n");
    const std::size_t second = page.find("\n/disk/data.img\n");
    const std::size_t machine = page.find("\nMachine\n  described by  OVF\n");
    REQUIRE(first != std::string::npos);
    REQUIRE(second != std::string::npos);
    REQUIRE(machine != std::string::npos);
    CHECK((first < page.find("1 MiB (1048576 bytes)") && page.find("1 MiB (1048576 bytes)") < second));
    CHECK((second < page.find("2 MiB (2097152 bytes)") && page.find("2 MiB (2097152 bytes)") < machine));
    CHECK(page.find("there is no file") == std::string::npos);
}
