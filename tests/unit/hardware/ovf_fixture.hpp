// Descriptors for tests, with a hole for everything that one may want to be different.
#pragma once

#include <map>
#include <string>

namespace vm2oci {

// A descriptor in VMware's manner whose parts can be replaced by name: "envelope" (attributes), "doctype", "files",
// "disks", "system", "name", "os", "cpu", "memory", "controller", "disk", "nic", "more" (items), "config".
inline std::string ovf_with(const std::map<std::string, std::string>& replaced = {}) {
    std::map<std::string, std::string> part = {
        {"doctype", ""},
        {"envelope",
         R"(xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1")"},
        {"files", R"(<File ovf:id="file1" ovf:href="web-disk1.vmdk" ovf:size="4096"/>)"},
        {"disks",
         R"(<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="20" ovf:capacityAllocationUnits="byte * 2^30"/>)"},
        {"name", "<Name>web01</Name>"},
        {"os", R"(<OperatingSystemSection ovf:id="96" vmw:osType="debian11_64Guest"><Info/></OperatingSystemSection>)"},
        {"cpu", "<Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>"
                "<rasd:VirtualQuantity>4</rasd:VirtualQuantity><vmw:CoresPerSocket>2</vmw:CoresPerSocket></Item>"},
        {"memory", "<Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID>"
                   "<rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>2048</rasd:VirtualQuantity></Item>"},
        {"controller",
         "<Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType>"
         "<rasd:ResourceType>6</rasd:ResourceType></Item>"},
        {"disk",
         "<Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource>"
         "<rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></"
         "Item>"},
        {"nic", "<Item><rasd:Address>00:50:56:AB:cd:01</rasd:Address><rasd:Connection>VM Network</rasd:Connection>"
                "<rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType>"
                "<rasd:ResourceType>10</rasd:ResourceType></Item>"},
        {"more", ""},
        {"config", R"(<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>)"},
        {"system", ""}};
    for (const auto& [name, text] : replaced)
        part[name] = text;
    const std::string system = "<VirtualSystem ovf:id=\"vm\"><Info/>" + part["name"] + part["os"] +
                               "<VirtualHardwareSection><Info/>" + part["cpu"] + part["memory"] + part["controller"] +
                               part["disk"] + part["nic"] + part["more"] + part["config"] +
                               "</VirtualHardwareSection></VirtualSystem>";
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>" + part["doctype"] + "<Envelope " + part["envelope"] +
           " xmlns:rasd=\"r\" xmlns:vmw=\"v\"><References>" + part["files"] + "</References><DiskSection><Info/>" +
           part["disks"] + "</DiskSection>" + (part["system"].empty() ? system : part["system"]) + "</Envelope>";
}

} // namespace vm2oci
