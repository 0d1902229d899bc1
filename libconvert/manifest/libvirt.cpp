// libvirt's domain.
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/manifest/writers.hpp"

#include <fmt/format.h>
#include <pugixml.hpp>

#include <sstream>

namespace vm2oci {
namespace {

constexpr const char* kImageFolder = "/var/lib/libvirt/images/";

pugi::xml_node add(pugi::xml_node parent, const char* name, const std::string& text) {
    pugi::xml_node node = parent.append_child(name);
    node.text().set(text.c_str());
    return node;
}

void comment(pugi::xml_node parent, const std::string& text) {
    std::string safe; // "--" ends a comment
    for (const char c : text)
        safe += c == '-' && !safe.empty() && safe.back() == '-' ? ' ' : c;
    parent.append_child(pugi::node_comment).set_value((" " + safe + " ").c_str());
}

pugi::xml_node with(pugi::xml_node node, const char* name, const std::string& value) {
    node.append_attribute(name).set_value(value.c_str());
    return node;
}

// Disks in images are written to files for it.
std::string file_of(const RunnableMachine& machine, const RunnableDisk& disk) {
    if (!disk.file.empty())
        return disk.file;
    return kImageFolder + machine.name + (&disk == &machine.disks.front() ? "" : "-" + disk.name) + "." + disk.format;
}

void add_start(const RunnableMachine& machine, pugi::xml_node domain) {
    pugi::xml_node os = domain.append_child("os");
    const bool arm = machine.architecture == "arm64";
    if (!machine.kernel && machine.firmware != StartFirmware::bios) {
        with(os, "firmware", "efi");
        const char* enabled = machine.firmware == StartFirmware::uefi_secure ? "yes" : "no";
        pugi::xml_node features = os.append_child("firmware");
        with(with(features.append_child("feature"), "enabled", enabled), "name", "secure-boot");
    }
    pugi::xml_node type = add(os, "type", "hvm");
    with(type, "arch", arm ? "aarch64" : machine.architecture == "amd64" ? "x86_64" : machine.architecture);
    with(type, "machine",
         arm                               ? "virt"
         : machine.architecture == "s390x" ? "s390-ccw-virtio"
         : machine.old_machine             ? "pc"
                                           : "q35");
    if (machine.kernel) {
        comment(os, "the files of the bundle, unpacked into a folder");
        add(os, "kernel", kImageFolder + machine.name + "/vmlinux");
        if (machine.kernel->initramfs)
            add(os, "initrd", kImageFolder + machine.name + "/initramfs");
        add(os, "cmdline", machine.kernel->command_line);
    } else {
        with(os.append_child("boot"), "dev", "hd");
    }
}

void add_features(const RunnableMachine& machine, pugi::xml_node domain) {
    if (machine.architecture == "s390x")
        return;
    pugi::xml_node features = domain.append_child("features");
    features.append_child("acpi");
    if (machine.architecture == "amd64")
        features.append_child("apic");
    if (machine.firmware == StartFirmware::uefi_secure && !machine.kernel)
        with(features.append_child("smm"), "state", "on");
    if (machine.guest.type == "windows") {
        pugi::xml_node hyperv = with(features.append_child("hyperv"), "mode", "custom");
        with(hyperv.append_child("relaxed"), "state", "on");
        with(hyperv.append_child("vapic"), "state", "on");
        with(with(hyperv.append_child("spinlocks"), "state", "on"), "retries", "8191");
    }
}

void add_disks(const RunnableMachine& machine, pugi::xml_node devices) {
    const bool virtio = machine.attachment == DiskAttachment::virtio;
    for (std::size_t i = 0; i < machine.disks.size(); ++i) {
        const RunnableDisk& disk = machine.disks[i];
        pugi::xml_node node = with(with(devices.append_child("disk"), "type", "file"), "device", "disk");
        const bool raw_root = machine.kernel && i == 0; // unpacked bundles have raw roots
        with(with(node.append_child("driver"), "name", "qemu"), "type", raw_root ? "raw" : disk.format);
        const std::string root = kImageFolder + machine.name +
                                 (machine.kernel && machine.kernel->read_only_root ? "/rootfs.erofs" : "/rootfs.img");
        with(node.append_child("source"), "file", raw_root ? root : file_of(machine, disk));
        if (disk.sector_size != 512)
            with(with(node.append_child("blockio"), "logical_block_size", std::to_string(disk.sector_size)),
                 "physical_block_size", std::to_string(disk.sector_size));
        const std::string letter(1, static_cast<char>('a' + i % 26));
        with(with(node.append_child("target"), "dev", (virtio ? "vd" : "sd") + letter), "bus",
             virtio ? "virtio" : "sata");
        if (raw_root && machine.kernel->read_only_root)
            node.append_child("readonly");
    }
}

void add_nics(const RunnableMachine& machine, pugi::xml_node devices) {
    for (const RunnableNic& nic : machine.nics) {
        if (!nic.origin.empty())
            comment(devices, "it was connected to " + nic.origin);
        pugi::xml_node node = with(devices.append_child("interface"), "type", "network");
        if (!nic.mac.empty())
            with(node.append_child("mac"), "address", nic.mac);
        with(node.append_child("source"), "network", nic.network.empty() ? "default" : nic.network);
        with(node.append_child("model"), "type",
             nic.model == NicModel::virtio && machine.transitional_virtio ? "virtio-transitional"
                                                                          : std::string(to_string(nic.model)));
    }
}

} // namespace

std::string libvirt_manifest(const RunnableMachine& machine) {
    if (machine.form == RunnableForm::rootfs)
        fail(ErrorKind::unsupported, "libvirt runs disks here, and this is a container image");
    pugi::xml_document document;
    pugi::xml_node domain = with(document.append_child("domain"), "type", "kvm");
    if (machine.guest.is_known())
        comment(domain, machine.guest.product);
    for (const std::string& remark : machine.remarks)
        comment(domain, remark);
    if (machine.form != RunnableForm::disk)
        comment(domain,
                machine.kernel
                    ? "write the bundle's files first: vm2oci convert IMAGE " + std::string(kImageFolder) + machine.name
                    : "write the disk first: vm2oci convert IMAGE qcow2:" + file_of(machine, machine.disks.front()));
    add(domain, "name", machine.name);
    with(add(domain, "memory", std::to_string(machine.memory / KiB)), "unit", "KiB");
    pugi::xml_node processors = add(domain, "vcpu", std::to_string(machine.sockets * machine.cores));
    static_cast<void>(processors);
    add_start(machine, domain);
    add_features(machine, domain);
    pugi::xml_node cpu = with(domain.append_child("cpu"), "mode", "host-passthrough");
    pugi::xml_node topology = cpu.append_child("topology");
    with(with(with(topology, "sockets", std::to_string(machine.sockets)), "cores", std::to_string(machine.cores)),
         "threads", "1");
    with(domain.append_child("clock"), "offset", "utc");
    pugi::xml_node devices = domain.append_child("devices");
    for (const std::string* reason : {&machine.reasons.attachment, &machine.reasons.network, &machine.reasons.machine})
        if (!reason->empty())
            comment(devices, *reason);
    add_disks(machine, devices);
    add_nics(machine, devices);
    with(devices.append_child("serial"), "type", "pty");
    with(devices.append_child("console"), "type", "pty");
    with(add(with(devices.append_child("rng"), "model", machine.transitional_virtio ? "virtio-transitional" : "virtio"),
             "backend", "/dev/urandom"),
         "model", "random");
    std::ostringstream text;
    document.save(text, "  ", pugi::format_indent | pugi::format_no_declaration);
    return text.str();
}

} // namespace vm2oci
