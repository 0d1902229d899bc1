// Machines as VMware, libvirt and Hyper-V describe them, of several writers and versions.
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/hardware/description.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

// ESXi 7.
const std::string esxi = R"(.encoding = "UTF-8"
config.version = "8"
virtualHW.version = "17"
displayName = "web|22zero|22 01"
annotation = "first line|0Asecond"
guestOS = "debian11-64"
firmware = "efi"
uefi.secureBoot.enabled = "TRUE"
memSize = "4096"
numvcpus = "4"
cpuid.coresPerSocket = "2"
scsi0.virtualDev = "pvscsi"
scsi0.present = "TRUE"
sata0.present = "TRUE"
sata0:0.deviceType = "cdrom-image"
sata0:0.fileName = "/vmfs/volumes/5d1/iso/debian.iso"
sata0:0.present = "TRUE"
scsi0:1.deviceType = "scsi-hardDisk"
scsi0:1.fileName = "/vmfs/volumes/5d2/web01/web01_1.vmdk"
scsi0:1.present = "TRUE"
scsi0:0.deviceType = "scsi-hardDisk"
scsi0:0.fileName = "web01.vmdk"
scsi0:0.present = "TRUE"
ethernet0.virtualDev = "vmxnet3"
ethernet0.networkName = "VM Network"
ethernet0.addressType = "generated"
ethernet0.generatedAddress = "00:0c:29:AB:cd:01"
ethernet0.present = "TRUE"
ethernet1.virtualDev = "e1000"
ethernet1.present = "FALSE"
)";

std::string utf16(const std::string& text) {
    std::string wide = "\xff\xfe";
    for (const char c : text) {
        wide += c;
        wide += '\0';
    }
    return wide;
}

// libvirt 9, as virt-install defines it.
const std::string domain = R"(<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE OVERWRITTEN
-->
<domain type='kvm' id='3'>
  <name>web01</name>
  <title>the web</title>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/12"/>
    </libosinfo:libosinfo>
  </metadata>
  <memory unit='KiB'>2097152</memory>
  <currentMemory unit='KiB'>1048576</currentMemory>
  <vcpu placement='static' current='2'>8</vcpu>
  <os firmware='efi'>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <firmware>
      <feature enabled='yes' name='enrolled-keys'/>
      <feature enabled='yes' name='secure-boot'/>
    </firmware>
    <loader readonly='yes' secure='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.ms.fd</loader>
    <boot dev='hd'/>
  </os>
  <cpu mode='host-passthrough'><topology sockets='1' dies='1' cores='4' threads='2'/></cpu>
  <devices>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' discard='unmap'/>
      <source file='/srv/vm/web01-1.img' index='1'/>
      <target dev='vdb' bus='virtio'/>
      <boot order='2'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='/srv/vm/web01.qcow2' index='2'/>
      <backingStore/>
      <target dev='vda' bus='virtio'/>
      <boot order='1'/>
    </disk>
    <controller type='scsi' index='0' model='virtio-scsi'/>
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw'/>
      <source protocol='rbd' name='pool/web01-data'/>
      <target dev='sdb' bus='scsi'/>
    </disk>
    <interface type='network'>
      <mac address='52:54:00:aa:BB:01'/>
      <source network='default'/>
      <model type='virtio'/>
    </interface>
    <interface type='bridge'><source bridge='br0'/></interface>
  </devices>
</domain>
)";

std::string hyperv_with(const std::string& subtype, const std::string& more) {
    return R"(<?xml version="1.0" encoding="UTF-16" standalone="yes"?>
<configuration>
  <_83f8638b-8dca-4152-9eda-2ca8b33039b4_>
    <controller0>
      <drive0><pathname type="string">D:\VMs\web01\web01.vhd</pathname><type type="string">VHD</type></drive0>
      <drive1><pathname type="string"></pathname><type type="string">NONE</type></drive1>
    </controller0>
    <controller1>
      <drive0><pathname type="string">C:\iso\x.iso</pathname><type type="string">ISO</type></drive0>
    </controller1>
  </_83f8638b-8dca-4152-9eda-2ca8b33039b4_>
  <_ac6b8dc1-3257-4a70-b1b2-a9c9215659ad_>
    <secure_boot_enabled type="bool">True</secure_boot_enabled>
  </_ac6b8dc1-3257-4a70-b1b2-a9c9215659ad_>
  <_55225880-49c0-4438-9ce2-5a01402fd8cb_>
    <Connection><AltSwitchName type="string">External</AltSwitchName></Connection>
    <MacAddress type="string">00-15-5D-01-07-DC</MacAddress>
  </_55225880-49c0-4438-9ce2-5a01402fd8cb_>
  <_d7a36e9b-9256-4f0d-be2c-3a13887f7b03_>
    <controller0>
      <drive0><pathname type="string">D:\VMs\web01\data.vhdx</pathname><type type="string">VHD</type></drive0>
    </controller0>
  </_d7a36e9b-9256-4f0d-be2c-3a13887f7b03_>
  <manifest>
    <size type="integer">3</size>
    <vdev001><device type="string">2fc216b0-d2e2-4967-9b6d-b8a5c9ca2778</device>
      <instance type="string">55225880-49C0-4438-9CE2-5A01402FD8CB</instance>
      <name type="string">Synthetic Ethernet Port</name></vdev001>
    <vdev002><device type="string">d422512d-2bf2-4752-809d-7b82b5fcb1b4</device>
      <instance type="string">D7A36E9B-9256-4F0D-BE2C-3A13887F7B03</instance></vdev002>
  </manifest>
  <properties>
    <name type="string">web01</name><notes type="string">of the web</notes>)" +
           subtype + R"(</properties>
  <settings>
    <memory><bank><dynamic_memory_enabled type="bool">False</dynamic_memory_enabled>
      <size type="integer">1024</size></bank></memory>
    <processors><count type="integer">3</count></processors>
  </settings>)" +
           more + "</configuration>";
}

} // namespace

TEST_CASE("a machine of ESXi") {
    const MachineDescription machine = parse_description(DescriptionFormat::vmx, esxi, "web01.vmx");
    const MachineHardware& hardware = machine.hardware;
    CHECK(hardware.source == "VMX");
    CHECK(hardware.name == "web\"zero\" 01");
    CHECK(hardware.annotation == "first line\nsecond");
    CHECK(hardware.os_type == "debian11-64");
    CHECK(hardware.cpus == 4U);
    CHECK(hardware.cores_per_socket == 2U);
    CHECK(hardware.memory == 4 * GiB);
    CHECK(hardware.firmware == MachineFirmware::uefi);
    CHECK(hardware.secure_boot == true);
    REQUIRE(hardware.disks.size() == 2);
    CHECK(hardware.disks[0].id == "scsi0:0");
    CHECK(hardware.disks[1].file == "/vmfs/volumes/5d2/web01/web01_1.vmdk");
    CHECK(machine.files[1].name == "web01_1.vmdk");
    CHECK(hardware.disks[1].address == 1U);
    REQUIRE(hardware.controllers.size() == 1);
    CHECK(hardware.controllers[0].model == "pvscsi");
    REQUIRE(hardware.nics.size() == 1);
    CHECK(hardware.nics[0].mac == "00:0c:29:ab:cd:01");
    CHECK(hardware.nics[0].network == "VM Network");
    CHECK(hardware.remarks.empty());
}

TEST_CASE("a machine of VMware Workstation that says little") {
    const MachineDescription machine = parse_description(
        DescriptionFormat::vmx,
        "#!/usr/bin/vmware\nCONFIG.VERSION=8\r\nVIRTUALHW.VERSION = \"4\"\r\n"
        "ide0:0.fileName = \"old box.vmdk\" # the disk\r\nide0:0.present = \"true\"\r\n"
        "ide1:0.fileName = \"auto detect\"\r\nide1:0.deviceType = \"atapi-cdrom\"\r\n"
        "scsi0.present = \"FALSE\"\r\nscsi0:0.fileName = \"gone.vmdk\"\r\n"
        "nvme0:3.fileName = \"C:\\VMs\\fast.vmdk\"\r\nnvme0:3.mode = \"independent-nonpersistent\"\r\n"
        "ethernet0.present = \"TRUE\"\r\nethernet0.connectionType = \"nat\"\r\n"
        "ethernet0.addressType = \"static\"\r\nethernet0.address = \"00:50:56:00:00:02\"\r\n"
        "ethernet0.generatedAddress = \"00:0c:29:00:00:01\"\r\n",
        "old.vmx");
    CHECK(machine.hardware.cpus == 1U);
    CHECK(machine.hardware.memory == 32 * MiB);
    CHECK(machine.hardware.firmware == MachineFirmware::bios);
    CHECK_FALSE(machine.hardware.secure_boot);
    REQUIRE(machine.files.size() == 2);
    CHECK(machine.files[0].name == "fast.vmdk");
    CHECK(machine.hardware.controllers[0].kind == ControllerKind::nvme);
    CHECK(machine.files[1].name == "old box.vmdk");
    CHECK(machine.hardware.nics[0].mac == "00:50:56:00:00:02");
    CHECK(machine.hardware.nics[0].network == "nat");
    CHECK(machine.hardware.remarks.size() == 3); // not present, nonpersistent, which one boots
}

TEST_CASE("the order that the firmware is told counts") {
    const MachineDescription machine = parse_description(
        DescriptionFormat::vmx,
        "config.version = \"8\"\nbios.hddOrder = \"sata0:1,scsi0:0\"\nscsi0:0.fileName = \"a.vmdk\"\n"
        "sata0:1.fileName = \"b.vmdk\"\nscsi1:10.fileName = \"d.vmdk\"\nscsi1:9.fileName = \"c.vmdk\"\n",
        "x.vmx");
    REQUIRE(machine.files.size() == 4);
    CHECK(machine.files[0].name == "b.vmdk");
    CHECK(machine.files[1].name == "a.vmdk");
    CHECK(machine.files[2].name == "c.vmdk");
    CHECK(machine.files[3].name == "d.vmdk");
    CHECK(machine.hardware.remarks.empty());
}

TEST_CASE("a domain of libvirt") {
    const MachineDescription machine = parse_description(DescriptionFormat::libvirt, domain, "web01.xml");
    const MachineHardware& hardware = machine.hardware;
    CHECK(hardware.source == "libvirt");
    CHECK(hardware.name == "web01");
    CHECK(hardware.annotation == "the web");
    CHECK(hardware.os_type == "http://debian.org/debian/12");
    CHECK(hardware.cpus == 2U);
    CHECK(hardware.cores_per_socket == 8U);
    CHECK(hardware.memory == 2 * GiB);
    CHECK(hardware.firmware == MachineFirmware::uefi);
    CHECK(hardware.secure_boot == true);
    REQUIRE(hardware.disks.size() == 3);
    CHECK(hardware.disks[0].id == "vda");
    CHECK(machine.files[0].name == "web01.qcow2");
    CHECK(machine.files[0].format == "qcow2");
    CHECK(machine.files[1].format == "raw");
    CHECK(machine.files[2].name.empty());
    CHECK_THAT(machine.files[2].place, Catch::Contains("'pool/web01-data'"));
    REQUIRE(hardware.controllers.size() == 2);
    CHECK(hardware.controllers[1].kind == ControllerKind::scsi);
    CHECK(hardware.controllers[1].model == "virtio-scsi");
    CHECK(hardware.disks[2].controller == 1U);
    REQUIRE(hardware.nics.size() == 2);
    CHECK(hardware.nics[0].mac == "52:54:00:aa:bb:01");
    CHECK(hardware.nics[1].network == "br0");
}

TEST_CASE("libvirt's units, firmware and disks without a bus") {
    const auto parsed = [](const std::string& inside) {
        return parse_description(DescriptionFormat::libvirt, "<domain type='kvm'>" + inside + "</domain>", "d.xml")
            .hardware;
    };
    CHECK(parsed("<memory>1048576</memory>").memory == GiB);
    CHECK(parsed("<memory unit='MB'>1000</memory>").memory == 1'000'000'000U);
    CHECK(parsed("<memory unit='b'>4096</memory>").memory == 4096U);
    CHECK(parsed("<memory unit='GiB'>3</memory>").memory == 3 * GiB);
    CHECK(parsed("").firmware == MachineFirmware::bios);
    CHECK_FALSE(parsed("<os><type arch='aarch64'>hvm</type></os>").firmware);
    CHECK(parsed("<os><loader type='pflash'>x</loader></os>").firmware == MachineFirmware::uefi);
    const MachineHardware maybe = parsed("<os><loader type='pflash' secure='yes'>x</loader></os>");
    CHECK_FALSE(maybe.secure_boot);
    CHECK(maybe.remarks.size() == 1);
    CHECK(parsed("<os firmware='efi'><firmware><feature name='secure-boot' enabled='yes'/>"
                 "<feature name='enrolled-keys' enabled='no'/></firmware></os>")
              .secure_boot == false);
    const MachineHardware rom = parsed("<os><loader type='rom'>/x/OVMF.fd</loader></os>");
    CHECK_FALSE(rom.firmware);
    CHECK(rom.remarks.size() == 1);
    const MachineHardware old =
        parsed("<devices><disk><source file='/a'/><target dev='hda'/></disk>"
               "<disk><source file='/b'/><target dev='sda'/></disk><disk type='block'><source dev='/dev/x'/>"
               "<target dev='vda'/></disk><disk><target dev='vdb'/></disk></devices>");
    REQUIRE(old.disks.size() == 3);
    CHECK(old.controllers[0].kind == ControllerKind::ide);
    CHECK(old.controllers[1].kind == ControllerKind::scsi);
    CHECK(old.controllers[2].kind == ControllerKind::virtio);
    CHECK(old.remarks.size() == 1);
}

TEST_CASE("a machine of Hyper-V 2008 and of 2012") {
    for (const bool is_wide : {false, true}) {
        std::string text = hyperv_with("", "");
        if (!is_wide)
            text.replace(text.find("UTF-16"), 6, "UTF-8");
        const MachineDescription machine =
            parse_description(DescriptionFormat::hyperv, is_wide ? utf16(text) : text, "0AA394FA.xml");
        const MachineHardware& hardware = machine.hardware;
        CHECK(hardware.source == "Hyper-V");
        CHECK(hardware.name == "web01");
        CHECK(hardware.annotation == "of the web");
        CHECK(hardware.cpus == 3U);
        CHECK(hardware.memory == GiB);
        CHECK(hardware.firmware == MachineFirmware::bios);
        CHECK_FALSE(hardware.secure_boot);
        REQUIRE(machine.files.size() == 2);
        CHECK(machine.files[0].name == "web01.vhd");
        CHECK(hardware.disks[0].id == "IDE 0:0");
        CHECK(machine.files[1].name == "data.vhdx");
        CHECK(hardware.controllers[1].kind == ControllerKind::scsi);
        REQUIRE(hardware.nics.size() == 1);
        CHECK(hardware.nics[0].mac == "00:15:5d:01:07:dc");
        CHECK(hardware.nics[0].network == "External");
        CHECK(hardware.nics[0].model == "Synthetic");
    }
    std::string second = hyperv_with("<subtype type=\"integer\">1</subtype>", "");
    second.replace(second.find("UTF-16"), 6, "UTF-8");
    const MachineHardware generation2 = parse_description(DescriptionFormat::hyperv, second, "x.xml").hardware;
    CHECK(generation2.firmware == MachineFirmware::uefi);
    CHECK(generation2.secure_boot == true);
}

TEST_CASE("Packer's description for Hyper-V names no disk") {
    const MachineDescription machine = parse_description(
        DescriptionFormat::hyperv,
        "<?xml version=\"1.0\" ?><configuration><properties><subtype type=\"integer\">0</subtype>"
        "<name type=\"string\">box</name></properties><settings><processors><count type=\"integer\">2</count>"
        "</processors><memory><bank><dynamic_memory_enabled type=\"bool\">True</dynamic_memory_enabled>"
        "<size type=\"integer\">512</size></bank></memory></settings></configuration>",
        "box.xml");
    CHECK(machine.hardware.memory == 512 * MiB);
    CHECK(machine.files.empty());
    CHECK(machine.hardware.remarks.size() == 1);
}

TEST_CASE("descriptions are told by how they begin") {
    CHECK(detect_description(esxi) == DescriptionFormat::vmx);
    CHECK(detect_description("\xef\xbb\xbf" + esxi) == DescriptionFormat::vmx);
    CHECK(detect_description(domain) == DescriptionFormat::libvirt);
    CHECK(detect_description("<?xml version='1.0'?><!DOCTYPE x [<!ENTITY y '<domain>'>]><domain/>") ==
          DescriptionFormat::libvirt);
    CHECK(detect_description(utf16(hyperv_with("", ""))) == DescriptionFormat::hyperv);
    for (const char* other : {"", "config.version", "a b = \"c\"\nconfig.version = \"8\"", "<Envelope/>", "<domainx/>",
                              "<configuration><appSettings/></configuration>", "# Disk DescriptorFile\nversion=1\n",
                              "text\nconfig.version = \"8\"", "<!-- <domain> -->", "<domain"})
        CHECK_FALSE(detect_description(other));
    CHECK_FALSE(detect_description(std::string("a\0b = \"1\"\nconfig.version = \"8\"", 28)));
    for (const char* known : {"<VirtualBox version=\"1.19\"/>", "<domainsnapshot/>", "<domstatus state='running'/>",
                              "<ParallelsVirtualMachine/>", "<domaincheckpoint/>"}) {
        INFO(known);
        CHECK_THROWS_AS(detect_description(known), Error);
    }
}
