// Descriptors in the manner of those who write them.
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/hardware/ovf.hpp"
#include "tests/unit/hardware/ovf_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

MachineHardware hardware_of(const std::string& text) {
    return parse_ovf(text, "test.ovf").hardware;
}

std::vector<std::string> disk_files(const MachineHardware& hardware) {
    std::vector<std::string> files;
    for (const MachineDisk& disk : hardware.disks)
        files.push_back(disk.file);
    return files;
}

std::string disk_item(const std::string& id, const std::string& parent, const std::string& address) {
    return "<Item><rasd:AddressOnParent>" + address + "</rasd:AddressOnParent><rasd:HostResource>/disk/" + id +
           "</rasd:HostResource><rasd:InstanceID>d" + id + "</rasd:InstanceID><rasd:Parent>" + parent +
           "</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>";
}

} // namespace

TEST_CASE("vCenter and ovftool: everything of a machine") {
    const OvfMachine machine =
        parse_ovf(ovf_with({{"config", R"(<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
            <vmw:Config ovf:required="false" vmw:key="bootOptions.efiSecureBootEnabled" vmw:value="true"/>)"}}),
                  "web01.ovf");
    const MachineHardware& hardware = machine.hardware;
    CHECK(hardware.source == "OVF");
    CHECK(hardware.name == "web01");
    CHECK(hardware.os_type == "debian11_64Guest");
    CHECK(hardware.cpus == 4U);
    CHECK(hardware.cores_per_socket == 2U);
    CHECK(hardware.memory == 2 * GiB);
    CHECK(hardware.firmware == MachineFirmware::uefi);
    CHECK(hardware.secure_boot == true);
    REQUIRE(hardware.controllers.size() == 1);
    CHECK(hardware.controllers[0].kind == ControllerKind::scsi);
    CHECK(hardware.controllers[0].model == "VirtualSCSI");
    REQUIRE(hardware.disks.size() == 1);
    CHECK(hardware.disks[0].id == "vmdisk1");
    CHECK(hardware.disks[0].file == "web-disk1.vmdk");
    CHECK(hardware.disks[0].controller == std::size_t{0});
    CHECK(hardware.disks[0].address == 0U);
    CHECK(hardware.disks[0].capacity == 20 * GiB);
    REQUIRE(hardware.nics.size() == 1);
    CHECK(hardware.nics[0].model == "VmxNet3");
    CHECK(hardware.nics[0].network == "VM Network");
    CHECK(hardware.nics[0].mac == "00:50:56:ab:cd:01");
    CHECK(hardware.remarks.empty());
    REQUIRE(machine.files.size() == 1);
    CHECK(machine.files[0].size == std::uint64_t{4096});
    CHECK(machine.disk_files == std::vector<std::optional<std::size_t>>{0});
    CHECK(machine.sizes_are_exact);
}

TEST_CASE("VirtualBox and Oracle: own sections, SATA, a CD drive, several names for one network") {
    const std::string text = R"(<?xml version="1.0"?>
<Envelope ovf:version="1.0" xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="r" xmlns:vbox="http://www.virtualbox.org/ovf/machine">
 <References><File ovf:href="ol8-disk001.vmdk" ovf:id="file1"/></References>
 <DiskSection><Info/><Disk ovf:capacity="10737418240" ovf:diskId="vmdisk1" ovf:fileRef="file1" vbox:uuid="1-2"/></DiskSection>
 <VirtualSystem ovf:id="ol8">
  <OperatingSystemSection ovf:id="109"><Info/><Description>Oracle_64</Description>
   <vbox:OSType ovf:required="false">Oracle8_64</vbox:OSType></OperatingSystemSection>
  <VirtualHardwareSection><Info/>
   <Item><rasd:Caption>1 virtual CPU</rasd:Caption><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
   <Item><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>1536</rasd:VirtualQuantity></Item>
   <Item><rasd:Address>0</rasd:Address><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>PIIX4</rasd:ResourceSubType><rasd:ResourceType>5</rasd:ResourceType></Item>
   <Item><rasd:Address>0</rasd:Address><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>AHCI</rasd:ResourceSubType><rasd:ResourceType>20</rasd:ResourceType></Item>
   <Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:InstanceID>6</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>15</rasd:ResourceType></Item>
   <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>7</rasd:InstanceID><rasd:Parent>5</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
   <Item><rasd:Connection>NAT</rasd:Connection><rasd:InstanceID>8</rasd:InstanceID><rasd:ResourceType>10</rasd:ResourceType><rasd:ResourceSubType>E1000</rasd:ResourceSubType></Item>
  </VirtualHardwareSection>
  <vbox:Machine ovf:required="false" version="1.19" name="ol8"><Hardware><CPU count="9"/><Firmware type="EFI"/></Hardware></vbox:Machine>
 </VirtualSystem>
</Envelope>)";
    const MachineHardware hardware = hardware_of(text);
    CHECK(hardware.name == "ol8");
    CHECK(hardware.os_type == "Oracle8_64");
    CHECK(hardware.cpus == 1U);
    CHECK(hardware.memory == 1536 * MiB);
    CHECK(hardware.firmware == MachineFirmware::uefi);
    CHECK(hardware.disks.at(0).capacity == 10 * GiB);
    CHECK(hardware.controllers.at(*hardware.disks[0].controller).kind == ControllerKind::sata);
    CHECK(hardware.nics.at(0).model == "E1000");
    CHECK(hardware.nics[0].mac.empty());
}

TEST_CASE("virt-v2v, RHV and oVirt: OVF 0.9, sections by type, sizes that are about") {
    const std::string text = R"(<?xml version='1.0' encoding='utf-8'?>
<ovf:Envelope xmlns:ovf='http://schemas.dmtf.org/ovf/envelope/1/' xmlns:rasd='r' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' ovf:version='0.9'>
 <References><File ovf:href='img1/vol1' ovf:id='vol1' ovf:size='1' ovf:description='generated'/>
  <File ovf:href='img2/vol2' ovf:id='vol2' ovf:size='1'/></References>
 <Section xsi:type='ovf:NetworkSection_Type'><Info/></Section>
 <Section xsi:type='ovf:DiskSection_Type'><Info/>
  <Disk ovf:diskId='img2' ovf:size='5' ovf:fileRef='img2/vol2' ovf:volume-format='RAW' ovf:disk-interface='VirtIO_SCSI' ovf:boot='false'/>
  <Disk ovf:diskId='img1' ovf:size='10' ovf:fileRef='img1/vol1' ovf:volume-format='COW' ovf:disk-interface='VirtIO' ovf:boot='true'/></Section>
 <Content ovf:id='out' xsi:type='ovf:VirtualSystem_Type'><Name>rhel7</Name><Description>moved</Description><BiosType>4</BiosType>
  <Section ovf:id='x' ovf:required='false' xsi:type='ovf:OperatingSystemSection_Type'><Info/><Description>rhel_7x64</Description></Section>
  <Section xsi:type='ovf:VirtualHardwareSection_Type'><Info/>
   <Item><rasd:InstanceId>1</rasd:InstanceId><rasd:ResourceType>3</rasd:ResourceType><rasd:num_of_sockets>2</rasd:num_of_sockets><rasd:cpu_per_socket>3</rasd:cpu_per_socket><rasd:threads_per_cpu>2</rasd:threads_per_cpu></Item>
   <Item><rasd:InstanceId>2</rasd:InstanceId><rasd:ResourceType>4</rasd:ResourceType><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits><rasd:VirtualQuantity>4096</rasd:VirtualQuantity></Item>
   <Item><rasd:InstanceId>vol2</rasd:InstanceId><rasd:ResourceType>17</rasd:ResourceType><rasd:HostResource>img2/vol2</rasd:HostResource><rasd:Parent>00000000-0000-0000-0000-000000000000</rasd:Parent></Item>
   <Item><rasd:InstanceId>vol1</rasd:InstanceId><rasd:ResourceType>17</rasd:ResourceType><rasd:HostResource>img1/vol1</rasd:HostResource></Item>
   <Item><rasd:InstanceId>4</rasd:InstanceId><rasd:ResourceType>10</rasd:ResourceType><rasd:ResourceSubType>3</rasd:ResourceSubType><rasd:Connection>ovirtmgmt</rasd:Connection><rasd:MACAddress>52:54:00:AA:BB:CC</rasd:MACAddress></Item>
  </Section></Content></ovf:Envelope>)";
    const OvfMachine machine = parse_ovf(text, "vm.ovf");
    const MachineHardware& hardware = machine.hardware;
    CHECK_FALSE(machine.sizes_are_exact);
    CHECK(hardware.name == "rhel7");
    CHECK(hardware.annotation == "moved");
    CHECK(hardware.os_type == "rhel_7x64");
    CHECK(hardware.cpus == 12U);
    CHECK(hardware.cores_per_socket == 3U);
    CHECK(hardware.memory == 4 * GiB);
    CHECK(hardware.firmware == MachineFirmware::uefi);
    CHECK(hardware.secure_boot == true);
    CHECK(disk_files(hardware) == std::vector<std::string>{"img1/vol1", "img2/vol2"}); // the boot disk first
    CHECK(hardware.disks[0].capacity == 10 * GiB);
    CHECK(hardware.nics.at(0).model == "virtio");
    CHECK(hardware.nics[0].mac == "52:54:00:aa:bb:cc");
}

TEST_CASE("VMware lists IDE 1 before IDE 0, and starts from the latter") {
    const auto controller = [](const std::string& id, const std::string& address, const std::string& type) {
        return "<Item>" + (address.empty() ? "" : "<rasd:Address>" + address + "</rasd:Address>") +
               "<rasd:InstanceID>" + id + "</rasd:InstanceID><rasd:ResourceType>" + type +
               "</rasd:ResourceType></Item>";
    };
    const auto disk = [](const std::string& id, const std::string& parent) {
        return "<Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/" + id +
               "</rasd:HostResource><rasd:Parent>" + parent +
               "</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>";
    };
    const auto order_with = [&](const std::string& controllers) {
        std::string order;
        const MachineHardware hardware = hardware_of(ovf_with(
            {{"files",
              R"(<File ovf:id="a" ovf:href="a"/><File ovf:id="b" ovf:href="b"/><File ovf:id="c" ovf:href="c"/>)"},
             {"disks",
              R"(<Disk ovf:diskId="a" ovf:fileRef="a"/><Disk ovf:diskId="b" ovf:fileRef="b"/><Disk ovf:diskId="c" ovf:fileRef="c"/>)"},
             {"controller", controllers},
             {"disk", disk("a", "10") + disk("b", "11") + disk("c", "12")}}));
        for (const std::string& file : disk_files(hardware))
            order += file;
        return order;
    };
    CHECK(order_with(controller("10", "1", "5") + controller("11", "0", "5") + controller("12", "0", "6")) == "bac");
    CHECK(order_with(controller("12", "0", "6") + controller("10", "1", "5") + controller("11", "0", "5")) == "cba");
    CHECK(order_with(controller("10", "2", "6") + controller("11", "1", "6") + controller("12", "0", "6")) == "cba");
    // Numbers that not all of them have, or that are none, say nothing.
    CHECK(order_with(controller("10", "1", "5") + controller("11", "", "5") + controller("12", "0", "5")) == "abc");
    CHECK(order_with(controller("10", "1", "5") + controller("11", "{0a-1}", "5") + controller("12", "0", "5")) ==
          "abc");
}

TEST_CASE("a disk of the DiskSection is named in every way that people write") {
    for (const std::string host : {"ovf:/disk/vmdisk1", "/disk/vmdisk1", "ovf://disk/vmdisk1", "ovf:///disk/vmdisk1",
                                   "ovf:disk/vmdisk1", "vmdisk1", "file1"}) {
        INFO(host);
        const MachineHardware hardware = hardware_of(
            ovf_with({{"disk", "<Item><rasd:HostResource>" + host +
                                   "</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType></Item>"}}));
        CHECK(disk_files(hardware) == std::vector<std::string>{"web-disk1.vmdk"});
    }
}

TEST_CASE("Citrix: disks as storage extents, firmware in a string of parameters") {
    const std::string boot =
        R"(<xenovf:VirtualSystemOtherConfigurationData xmlns:xenovf="x" Name="HVM_boot_params"><Value>order=dc;firmware=uefi;</Value></xenovf:VirtualSystemOtherConfigurationData>)"
        R"(<xenovf:VirtualSystemOtherConfigurationData Name="platform"><Value>viridian=true;secureboot=true;</Value></xenovf:VirtualSystemOtherConfigurationData>)";
    const MachineHardware hardware = hardware_of(ovf_with(
        {{"config", boot},
         {"controller", ""},
         {"files", R"(<ovf:File ovf:id="file1" ovf:href="a.vhd" ovf:size="1"/>)"},
         {"disk", "<Item><rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID>"
                  "<rasd:ResourceType>19</rasd:ResourceType><rasd:Connection>device=0,bootable=true</rasd:Connection></"
                  "Item>"}}));
    CHECK(hardware.firmware == MachineFirmware::uefi);
    CHECK(hardware.secure_boot == true);
    CHECK(disk_files(hardware) == std::vector<std::string>{"a.vhd"});
}

TEST_CASE("AWS, Nutanix and others: a machine in a collection, no items for disks, OVF 2") {
    const std::string hardware_section =
        "<VirtualHardwareSection><Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>"
        "<rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item></VirtualHardwareSection>";
    const MachineHardware alone =
        hardware_of(ovf_with({{"system", "<VirtualSystemCollection><VirtualSystem ovf:id=\"ahv\">" + hardware_section +
                                             "</VirtualSystem></VirtualSystemCollection>"}}));
    CHECK(alone.name == "ahv");
    CHECK(alone.cpus == 2U);
    CHECK(alone.disks.size() == 1);
    CHECK(alone.remarks.size() == 1);
    CHECK_FALSE(alone.firmware);
    const MachineHardware two = hardware_of(ovf_with(
        {{"envelope",
          R"(xmlns="http://schemas.dmtf.org/ovf/envelope/2" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/2")"},
         {"disk", "<StorageItem><sasd:AddressOnParent>3</sasd:AddressOnParent><sasd:HostResource>ovf:/disk/vmdisk1</"
                  "sasd:HostResource>"
                  "<sasd:InstanceID>4</sasd:InstanceID><sasd:Parent>3</sasd:Parent><sasd:ResourceType>17</"
                  "sasd:ResourceType></StorageItem>"},
         {"nic", "<EthernetPortItem><epasd:ResourceType>10</epasd:ResourceType><epasd:Connection>net</"
                 "epasd:Connection></EthernetPortItem>"}}));
    CHECK(two.disks.at(0).address == 3U);
    CHECK(two.nics.at(0).network == "net");
}

TEST_CASE("prefixes are the writer's own") {
    std::string text = ovf_with();
    for (const auto& [from, to] : std::map<std::string, std::string>{{"ovf:", "o:"}, {"rasd:", "ns1:"}, {"vmw:", "q:"}})
        for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
            if (text.compare(at + from.size(), 6, "/disk/") != 0)
                text.replace(at, from.size(), to);
    const MachineHardware hardware = hardware_of(text);
    CHECK(hardware.cpus == 4U);
    CHECK(hardware.firmware == MachineFirmware::uefi);
    CHECK(disk_files(hardware) == std::vector<std::string>{"web-disk1.vmdk"});
}

TEST_CASE("disks come in the order that the firmware finds them in") {
    const std::string controllers =
        "<Item><rasd:InstanceID>30</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>"
        "<Item><rasd:InstanceID>31</rasd:InstanceID><rasd:ResourceSubType>vmware.nvme.controller</"
        "rasd:ResourceSubType><rasd:ResourceType>20</rasd:ResourceType></Item>";
    const std::string files =
        R"(<File ovf:id="a" ovf:href="a.vmdk"/><File ovf:id="b" ovf:href="b.vmdk"/><File ovf:id="c" ovf:href="c.vmdk"/>)";
    const std::string disks =
        R"(<Disk ovf:diskId="A" ovf:fileRef="a"/><Disk ovf:diskId="B" ovf:fileRef="b"/><Disk ovf:diskId="C" ovf:fileRef="c"/><Disk ovf:diskId="D" ovf:fileRef="c"/>)";
    const MachineHardware hardware = hardware_of(
        ovf_with({{"controller", controllers},
                  {"files", files},
                  {"disks", disks},
                  {"disk", disk_item("C", "31", "0") + disk_item("B", "30", "1") + disk_item("A", "30", "0")}}));
    CHECK(disk_files(hardware) == std::vector<std::string>{"a.vmdk", "b.vmdk", "c.vmdk"});
    CHECK(hardware.controllers.at(*hardware.disks[2].controller).kind == ControllerKind::nvme);
    CHECK_THAT(hardware.remarks.at(0), Catch::Contains("'D' is attached to nothing"));
}

TEST_CASE("items of other configurations, and bounds, do not count") {
    const std::string options =
        R"(<DeploymentOptionSection><Configuration ovf:id="small"/><Configuration ovf:id="large" ovf:default="true"/></DeploymentOptionSection>)";
    const std::string cpus =
        R"(<Item ovf:configuration="small"><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>)"
        R"(<Item ovf:configuration="medium large"><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>8</rasd:VirtualQuantity></Item>)"
        R"(<Item ovf:bound="max"><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>64</rasd:VirtualQuantity></Item>)";
    std::string text = ovf_with({{"cpu", cpus}});
    text.insert(text.find("<VirtualSystem "), options);
    CHECK(hardware_of(text).cpus == 8U);
    CHECK(hardware_of(text).remarks.empty());
}

TEST_CASE("descriptors in UTF-16, with a byte order mark, with comments and sections of characters") {
    const std::string text = ovf_with({{"name", "<Name><![CDATA[web <01>]]></Name><!-- <Name>other</Name> -->"}});
    CHECK(hardware_of("\xef\xbb\xbf" + text).name == "web <01>");
    std::string wide("\xff\xfe", 2);
    for (const char c : text)
        wide += std::string{c, '\0'};
    CHECK(hardware_of(wide).name == "web <01>");
}

TEST_CASE("units of every writer") {
    CHECK(allocation_unit("byte * 2^20") == MiB);
    CHECK(allocation_unit("byte*2^30") == GiB);
    CHECK(allocation_unit("Byte * 2 ^ 10") == KiB);
    CHECK(allocation_unit("byte * 10^9") == 1'000'000'000U);
    CHECK(allocation_unit("byte * 1024 * 1024") == MiB);
    CHECK(allocation_unit("MegaBytes") == MiB);
    CHECK(allocation_unit("GB") == GiB);
    CHECK(allocation_unit("byte") == 1U);
    for (const char* wrong : {"", "bit * 2^3", "byte * 2^64", "byte * 0", "byte 2^20", "byte *", "byte * x",
                              "hertz * 10^6", "byte * 2^99999999999999999999", "byte * 99999999999999999999"})
        CHECK_FALSE(allocation_unit(wrong));
}

TEST_CASE("addresses of network cards in every form") {
    CHECK(normal_mac("00:50:56:AB:CD:EF") == "00:50:56:ab:cd:ef");
    CHECK(normal_mac("00-50-56-ab-cd-ef") == "00:50:56:ab:cd:ef");
    CHECK(normal_mac("005056ABCDEF") == "00:50:56:ab:cd:ef");
    CHECK(normal_mac("0").empty());
    CHECK(normal_mac("00:50:56:ab:cd:eg").empty());
    CHECK(normal_mac("00:50:56:ab:cd:ef:00").empty());
}
