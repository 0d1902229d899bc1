// A domain of libvirt, as virsh dumpxml writes it.
#include "formats/base/ascii.hpp"
#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/hardware/description.hpp"
#include "libconvert/hardware/xml_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace vm2oci {
namespace {

// What libvirt takes as the unit of a size; "KB" and its like count by thousands, and the default is KiB.
std::uint64_t libvirt_unit(const std::string& unit) {
    constexpr std::pair<std::string_view, std::uint64_t> units[] = {{"", 1 << 10},
                                                                    {"b", 1},
                                                                    {"bytes", 1},
                                                                    {"kb", 1000},
                                                                    {"k", 1 << 10},
                                                                    {"kib", 1 << 10},
                                                                    {"mb", 1'000'000},
                                                                    {"m", 1 << 20},
                                                                    {"mib", 1 << 20},
                                                                    {"gb", 1'000'000'000},
                                                                    {"g", 1 << 30},
                                                                    {"gib", 1 << 30},
                                                                    {"tb", 1'000'000'000'000},
                                                                    {"t", 1ULL << 40},
                                                                    {"tib", 1ULL << 40}};
    const std::string lower = to_lower_ascii(unit);
    for (const auto& [name, bytes] : units)
        if (lower == name)
            return bytes;
    fail(ErrorKind::corrupt, "the size of the memory is given in " + quote_untrusted(unit) + ", no unit that is known");
}

// libvirt's words for formats; of others the disk itself tells.
std::string reference_word(const std::string& type) {
    for (const char* same : {"raw", "qcow2", "vmdk", "vdi", "vhdx"})
        if (type == same)
            return type;
    return type == "vpc" ? "vhd" : "";
}

class DomainReader {
  public:
    explicit DomainReader(const pugi::xml_node& domain) : domain_(domain) {}

    MachineDescription read() {
        const std::string type = attribute_of(domain_, "type");
        if (type == "lxc" || type == "openvz")
            fail(ErrorKind::unsupported, "it describes a container (" + type + "), which has no disk to convert");
        machine().source = "libvirt";
        machine().name = child_text(domain_, "name");
        machine().annotation = child_text(domain_, "description");
        if (machine().annotation.empty())
            machine().annotation = child_text(domain_, "title");
        machine().os_type = attribute_of(child_of(child_of(child_of(domain_, "metadata"), "libosinfo"), "os"), "id");
        read_size();
        read_firmware(child_of(domain_, "os"));
        for (const pugi::xml_node& disk : children_of(child_of(domain_, "devices"), "disk"))
            read_disk(disk);
        take_disks();
        for (const pugi::xml_node& nic : children_of(child_of(domain_, "devices"), "interface"))
            read_nic(nic);
        if (!children_of(domain_, "commandline").empty())
            remark("options that are given to QEMU itself are passed over");
        return std::move(description_);
    }

  private:
    struct FoundDisk {
        MachineDisk disk;
        DescribedFile file;
        std::uint64_t boot_order;
    };

    MachineHardware& machine() { return description_.hardware; }
    void remark(std::string text) { machine().remarks.push_back(std::move(text)); }

    static unsigned clamped(std::uint64_t count) {
        return static_cast<unsigned>(std::min<std::uint64_t>(count, kMaxMachineCpus + 1ULL));
    }

    void read_size() {
        const pugi::xml_node memory = child_of(domain_, "memory");
        if (memory)
            machine().memory = checked_multiply(machine_number(text_of(memory), "the size of the memory"),
                                                libvirt_unit(attribute_of(memory, "unit")), "the size of the memory");
        const pugi::xml_node vcpu = child_of(domain_, "vcpu");
        const std::string current = attribute_of(vcpu, "current");
        if (vcpu)
            machine().cpus =
                clamped(machine_number(current.empty() ? text_of(vcpu) : current, "the number of processors"));
        const pugi::xml_node topology = child_of(child_of(domain_, "cpu"), "topology");
        if (!topology)
            return;
        std::uint64_t in_socket = 1;
        for (const char* level : {"dies", "clusters", "cores", "threads"}) {
            const std::string count = attribute_of(topology, level);
            if (!count.empty())
                in_socket = checked_multiply(in_socket, machine_number(count, level), "the number of processors");
        }
        machine().cores_per_socket = clamped(in_socket);
    }

    // Without a loader a PC has its BIOS. Whether Secure Boot is on stands in the firmware's variables; of a domain
    // only "enrolled keys" tells.
    void read_firmware(const pugi::xml_node& os) {
        const std::string chosen = attribute_of(os, "firmware");
        const pugi::xml_node loader = child_of(os, "loader");
        const std::string architecture = attribute_of(child_of(os, "type"), "arch");
        const bool is_pc = architecture.empty() || architecture == "x86_64" || architecture == "i686";
        if (chosen == "efi" || chosen == "bios")
            machine().firmware = chosen == "efi" ? MachineFirmware::uefi : MachineFirmware::bios;
        else if (attribute_of(loader, "type") == "pflash")
            machine().firmware = MachineFirmware::uefi;
        else if (loader)
            remark("its firmware is " + quote_untrusted(text_of(loader)) +
                   ", and of what kind that is it does not say");
        else if (is_pc)
            machine().firmware = MachineFirmware::bios;
        if (child_of(os, "kernel"))
            remark("it starts a kernel of its host directly, which is not on its disks");
        if (machine().firmware != MachineFirmware::uefi)
            return;
        std::map<std::string, bool> features;
        for (const pugi::xml_node& feature : children_of(child_of(os, "firmware"), "feature"))
            features[attribute_of(feature, "name")] = attribute_of(feature, "enabled") == "yes";
        if (features.contains("secure-boot"))
            machine().secure_boot =
                features["secure-boot"] && (!features.contains("enrolled-keys") || features["enrolled-keys"]);
        else if (attribute_of(loader, "secure") == "yes")
            remark("its firmware can do Secure Boot; whether it does stands in its variables, which are not read");
    }

    void read_disk(const pugi::xml_node& node) {
        const std::string device = attribute_of(node, "device");
        if (device == "cdrom" || device == "floppy")
            return;
        const pugi::xml_node target = child_of(node, "target");
        const pugi::xml_node source = child_of(node, "source");
        FoundDisk found{{}, {}, ~std::uint64_t{0}};
        found.disk.id = attribute_of(target, "dev");
        if (found.disk.id.empty())
            fail(ErrorKind::corrupt, "a disk of the machine has no target");
        if (!source) {
            remark("the disk " + quote_untrusted(found.disk.id) + " lies nowhere, and is left out");
            return;
        }
        const std::string type = attribute_of(node, "type");
        if (type.empty() || type == "file") {
            found.disk.file = attribute_of(source, "file");
            found.file.name = last_part(found.disk.file);
        } else {
            found.disk.file = attribute_of(source, type == "block" ? "dev" : type == "volume" ? "volume" : "name");
            found.file.place = (type == "block"     ? "on a block device, "
                                : type == "network" ? "on a server, "
                                : type == "volume"  ? "in a storage pool, "
                                                    : "elsewhere, ") +
                               quote_untrusted(found.disk.file);
        }
        found.file.format = reference_word(attribute_of(child_of(node, "driver"), "type"));
        const std::string bus = attribute_of(target, "bus");
        found.disk.controller = controller_of(bus, found.disk.id);
        const std::string order = attribute_of(child_of(node, "boot"), "order");
        if (!order.empty())
            found.boot_order = machine_number(order, "a boot order");
        const auto has_target = [&](const FoundDisk& other) { return other.disk.id == found.disk.id; };
        if (std::ranges::any_of(found_, has_target))
            fail(ErrorKind::corrupt, "two disks of the machine are " + quote_untrusted(found.disk.id));
        found_.push_back(std::move(found));
        if (found_.size() > kMaxMachineDevices)
            fail(ErrorKind::limit, fmt::format("it has more than {} disks", kMaxMachineDevices));
    }

    // Of a bus that is not said the target tells, as libvirt has it.
    std::size_t controller_of(std::string bus, const std::string& target) {
        if (bus.empty())
            bus = target.starts_with("vd") ? "virtio" : target.starts_with("sd") ? "scsi" : "ide";
        const auto [known, is_new] = controllers_.emplace(bus, machine().controllers.size());
        if (!is_new)
            return known->second;
        const ControllerKind kind = bus == "virtio" || bus == "xen" ? ControllerKind::virtio
                                    : bus == "scsi"                 ? ControllerKind::scsi
                                    : bus == "sata"                 ? ControllerKind::sata
                                    : bus == "usb"                  ? ControllerKind::usb
                                    : bus == "nvme"                 ? ControllerKind::nvme
                                                                    : ControllerKind::ide;
        std::string model;
        for (const pugi::xml_node& controller : children_of(child_of(domain_, "devices"), "controller"))
            if (model.empty() && attribute_of(controller, "type") == bus)
                model = attribute_of(controller, "model");
        machine().controllers.push_back({kind, model});
        return known->second;
    }

    // Disks stand in the order in which libvirt hands them to the firmware, unless they have numbers.
    void take_disks() {
        std::ranges::stable_sort(found_, {}, &FoundDisk::boot_order);
        for (FoundDisk& found : found_) {
            machine().disks.push_back(std::move(found.disk));
            description_.files.push_back(std::move(found.file));
        }
    }

    void read_nic(const pugi::xml_node& node) {
        MachineNic nic;
        nic.model = attribute_of(child_of(node, "model"), "type");
        const pugi::xml_node source = child_of(node, "source");
        for (const char* name : {"network", "bridge", "dev"})
            if (nic.network.empty())
                nic.network = attribute_of(source, name);
        nic.mac = normal_mac(attribute_of(child_of(node, "mac"), "address"));
        machine().nics.push_back(std::move(nic));
        if (machine().nics.size() > kMaxMachineDevices)
            fail(ErrorKind::limit, fmt::format("it has more than {} NICs", kMaxMachineDevices));
    }

    pugi::xml_node domain_;
    MachineDescription description_;
    std::vector<FoundDisk> found_;
    std::map<std::string, std::size_t> controllers_; // by bus
};

} // namespace

MachineDescription parse_libvirt_domain(std::string_view text, std::string_view name) {
    pugi::xml_document document;
    parse_xml(text, name, document);
    return with_context(std::string(name), [&] {
        const pugi::xml_node domain = document.document_element();
        if (local_name(domain) != "domain")
            fail(ErrorKind::unsupported,
                 "it is no domain of libvirt, for its root is " + quote_untrusted(domain.name()));
        return DomainReader(domain).read();
    });
}

} // namespace vm2oci
