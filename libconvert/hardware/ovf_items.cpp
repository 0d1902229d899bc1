#include "libconvert/hardware/ovf_items.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "libconvert/hardware/ovf.hpp"
#include "libconvert/hardware/xml_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace vm2oci {
namespace {

// CIM_ResourceAllocationSettingData, ResourceType.
enum class ResourceType : unsigned {
    processor = 3,
    memory = 4,
    ide = 5,
    scsi = 6,
    ethernet = 10,
    disk = 17,
    storage_extent = 19, // what Citrix calls a disk
    other_storage = 20,  // SATA and NVMe controllers
    usb = 23,
    logical_disk = 31,
    storage_volume = 32,
};

bool is_disk_type(unsigned type) {
    switch (static_cast<ResourceType>(type)) {
    case ResourceType::disk:
    case ResourceType::storage_extent:
    case ResourceType::logical_disk:
    case ResourceType::storage_volume:
        return true;
    default:
        return false;
    }
}

bool contains_word(std::string_view words, std::string_view word) {
    while (!words.empty()) {
        const std::size_t end = words.find(' ');
        if (words.substr(0, end) == word)
            return true;
        words.remove_prefix(end == std::string_view::npos ? words.size() : end + 1);
    }
    return false;
}

// An item whose number is a bound, or that is for another configuration, does not describe the machine.
bool counts(const pugi::xml_node& item, std::string_view configuration) {
    const std::string bound = attribute_of(item, "bound");
    if (!bound.empty() && bound != "normal")
        return false;
    const std::string configurations = attribute_of(item, "configuration");
    return configurations.empty() || contains_word(configurations, configuration);
}

// A disk of an item, with what puts it in order.
struct AttachedDisk {
    MachineDisk disk;
    std::string parent; // the controller's InstanceID
    std::size_t boot_order = 0;
};

class HardwareReader {
  public:
    HardwareReader(std::string_view configuration, const std::vector<OvfDisk>& disks, MachineHardware& hardware)
        : configuration_(configuration), disks_(disks), hardware_(hardware) {}

    void read(const pugi::xml_node& section) {
        for (const pugi::xml_node& child : section.children()) {
            const std::string_view name = local_name(child);
            if ((name == "Item" || name == "StorageItem" || name == "EthernetPortItem") &&
                counts(child, configuration_))
                read_item(child);
            else if (name == "Config" || name == "ExtraConfig")
                read_setting(attribute_of(child, "key"), attribute_of(child, "value"));
        }
        attach_disks();
    }

  private:
    void read_item(const pugi::xml_node& item) {
        const std::string type = child_text(item, "ResourceType");
        if (type.empty())
            fail(ErrorKind::corrupt, "an item of the machine's hardware has no ResourceType");
        const auto number = checked_cast<unsigned>(machine_number(type, "a ResourceType"), "a ResourceType");
        switch (static_cast<ResourceType>(number)) {
        case ResourceType::processor:
            return read_processors(item);
        case ResourceType::memory:
            return read_memory(item);
        case ResourceType::ide:
            return add_controller(item, ControllerKind::ide);
        case ResourceType::scsi:
            return add_controller(item, ControllerKind::scsi);
        case ResourceType::other_storage:
            return read_other_storage(item);
        case ResourceType::usb:
            return add_controller(item, ControllerKind::usb);
        case ResourceType::ethernet:
            return read_nic(item);
        default:
            if (is_disk_type(number))
                read_disk(item);
        }
    }

    void read_processors(const pugi::xml_node& item) {
        if (hardware_.cpus)
            return remark("it lists its processors more than once; the first counts");
        const auto count = [&](const char* name) {
            const std::string text = child_text(item, name);
            return text.empty() ? std::optional<std::uint64_t>() : machine_number(text, name);
        };
        const std::optional<std::uint64_t> sockets = count("num_of_sockets");
        std::optional<std::uint64_t> cores = count("CoresPerSocket");
        std::optional<std::uint64_t> all = count("VirtualQuantity");
        if (!cores)
            cores = count("cpu_per_socket");
        if (sockets && cores)
            all = checked_multiply(checked_multiply(*sockets, *cores, "the number of processors"),
                                   count("threads_per_cpu").value_or(1), "the number of processors");
        if (!all)
            fail(ErrorKind::corrupt, "the machine's description has processors, and does not say how many");
        hardware_.cpus = clamped(*all);
        if (cores)
            hardware_.cores_per_socket = clamped(*cores);
        if (cores && *cores != 0 && *all % *cores != 0)
            remark(fmt::format("{} processors make no whole sockets of {}", *all, *cores));
    }

    // What is too large stays too large for check_machine().
    static unsigned clamped(std::uint64_t count) {
        return static_cast<unsigned>(std::min<std::uint64_t>(count, kMaxMachineCpus + 1ULL));
    }

    void read_memory(const pugi::xml_node& item) {
        if (hardware_.memory)
            return remark("it lists its memory more than once; the first counts");
        const std::string units = child_text(item, "AllocationUnits");
        const std::optional<std::uint64_t> unit = units.empty() ? std::optional(MiB) : allocation_unit(units);
        if (!unit)
            fail(ErrorKind::corrupt,
                 "the machine's memory is given in " + quote_untrusted(units) + ", no unit that is known");
        const std::string quantity = child_text(item, "VirtualQuantity");
        hardware_.memory =
            checked_multiply(machine_number(quantity, "the size of the memory"), *unit, "the size of the memory");
    }

    void read_other_storage(const pugi::xml_node& item) {
        const std::string model = to_lower_ascii(child_text(item, "ResourceSubType"));
        if (model.find("nvme") != std::string::npos)
            return add_controller(item, ControllerKind::nvme);
        if (model.find("virtioscsi") != std::string::npos)
            return add_controller(item, ControllerKind::scsi);
        if (!child_text(item, "HostResource").empty())
            return read_disk(item);
        add_controller(item, ControllerKind::sata);
    }

    void add_controller(const pugi::xml_node& item, ControllerKind kind) {
        const std::string id = instance_id(item);
        if (!id.empty() && !controllers_.emplace(id, hardware_.controllers.size()).second)
            fail(ErrorKind::corrupt, "two items of the machine's hardware have the InstanceID " + quote_untrusted(id));
        hardware_.controllers.push_back({kind, child_text(item, "ResourceSubType")});
        bus_numbers_.emplace(hardware_.controllers.size() - 1, child_text(item, "Address"));
        check_count(hardware_.controllers.size());
    }

    void read_nic(const pugi::xml_node& item) {
        MachineNic nic;
        nic.model = child_text(item, "ResourceSubType");
        // oVirt's numbers (VmInterfaceType).
        if (nic.model == "1")
            nic.model = "rtl8139";
        else if (nic.model == "2")
            nic.model = "e1000";
        else if (nic.model == "3")
            nic.model = "virtio";
        nic.network = child_text(item, "Connection");
        for (const char* name : {"MACAddress", "Address"})
            if (nic.mac.empty())
                nic.mac = normal_mac(child_text(item, name));
        hardware_.nics.push_back(std::move(nic));
        check_count(hardware_.nics.size());
    }

    void read_disk(const pugi::xml_node& item) {
        std::string host = child_text(item, "HostResource");
        if (host.empty())
            return remark("one of its disks has neither a file nor a size, and is left out");
        // "ovf:/disk/ID" is the standard's, and "/disk/ID" was; the others are what people write who take it for an
        // address of the web.
        for (const std::string_view prefix : {"ovf:///disk/", "ovf://disk/", "ovf:/disk/", "ovf:disk/", "/disk/"})
            if (host.starts_with(prefix)) {
                host = host.substr(prefix.size());
                break;
            }
        if (host.starts_with("ovf:/file/") || host.starts_with("/file/"))
            fail(ErrorKind::unsupported,
                 "a disk of the machine is a file without an entry in the DiskSection: " + quote_untrusted(host) +
                     "; take the file out of the package, and convert it alone");
        const std::string id = instance_id(item);
        const auto fits = [&](const OvfDisk& disk) { return disk.id == host; };
        const auto fits_ovirt = [&](const OvfDisk& disk) { return disk.file_ref == host || disk.id == id; };
        auto found = std::ranges::find_if(disks_, fits);
        if (found == disks_.end())
            found = std::ranges::find_if(disks_, fits_ovirt);
        if (found == disks_.end())
            fail(ErrorKind::corrupt, "the machine's hardware names the disk " + quote_untrusted(host) +
                                         ", which is not in its DiskSection");
        AttachedDisk attached;
        attached.disk.id = found->id;
        attached.disk.capacity = found->capacity;
        for (const AttachedDisk& other : attached_)
            if (other.disk.id == found->id)
                fail(ErrorKind::corrupt, "the machine has the disk " + quote_untrusted(found->id) + " twice");
        const std::string address = child_text(item, "AddressOnParent");
        if (!address.empty())
            attached.disk.address =
                checked_cast<unsigned>(machine_number(address, "the address of a disk"), "the address of a disk");
        attached.parent = child_text(item, "Parent");
        if (attached.parent.empty() && !found->interface.empty())
            attached.parent = ovirt_controller(found->interface);
        const std::string order = child_text(item, "BootOrder");
        attached.boot_order = found->boot_order;
        if (!order.empty() && order != "0")
            attached.boot_order = static_cast<std::size_t>(machine_number(order, "a BootOrder"));
        attached_.push_back(std::move(attached));
        check_count(attached_.size());
    }

    // oVirt names what a disk is attached by, and no controller.
    std::string ovirt_controller(const std::string& interface) {
        std::string id = "ovirt:" + interface;
        const std::string lower = to_lower_ascii(interface);
        const ControllerKind kind = lower == "virtio"                         ? ControllerKind::virtio
                                    : lower.find("scsi") != std::string::npos ? ControllerKind::scsi
                                    : lower.find("sata") != std::string::npos ? ControllerKind::sata
                                                                              : ControllerKind::ide;
        if (controllers_.emplace(id, hardware_.controllers.size()).second)
            hardware_.controllers.push_back({kind, interface});
        return id;
    }

    // Controllers of a kind by the numbers of their buses, where all of them have one: VMware lists IDE 1 before IDE 0.
    // Kinds in the order in which they are listed.
    std::tuple<std::size_t, std::uint64_t, std::size_t> controller_order(std::size_t controller) const {
        std::size_t first = controller;
        std::optional<std::uint64_t> number = 0;
        for (std::size_t i = 0; i < hardware_.controllers.size(); ++i) {
            if (hardware_.controllers[i].kind != hardware_.controllers[controller].kind)
                continue;
            first = std::min(first, i);
            const std::optional<std::uint64_t> its = bus_number(i);
            if (!its)
                number.reset();
            else if (i == controller && number)
                number = its;
        }
        return {first, number.value_or(0), controller};
    }
    std::optional<std::uint64_t> bus_number(std::size_t controller) const {
        const auto text = bus_numbers_.find(controller);
        constexpr std::size_t most_digits = 4;
        if (text == bus_numbers_.end() || text->second.empty() || text->second.size() > most_digits ||
            text->second.find_first_not_of("0123456789") != std::string::npos)
            return std::nullopt;
        return machine_number(text->second, "the number of a bus");
    }

    // The firmware asks controllers in their order, and a controller its addresses.
    void attach_disks() {
        for (AttachedDisk& attached : attached_) {
            const auto controller = controllers_.find(attached.parent);
            if (controller != controllers_.end())
                attached.disk.controller = controller->second;
            else if (!attached.parent.empty() && attached.parent.find_first_not_of('0') != std::string::npos &&
                     attached.parent.find('-') == std::string::npos) // oVirt's null UUID
                remark("the disk " + quote_untrusted(attached.disk.id) + " is on a controller that is not there");
        }
        const auto place = [&](const AttachedDisk& attached) {
            constexpr std::size_t last = ~std::size_t{0};
            const auto controller = attached.disk.controller ? controller_order(*attached.disk.controller)
                                                             : std::tuple(last, std::uint64_t{0}, last);
            return std::tuple(attached.boot_order, controller, attached.disk.address.value_or(0));
        };
        std::ranges::stable_sort(
            attached_, [&](const AttachedDisk& one, const AttachedDisk& other) { return place(one) < place(other); });
        for (AttachedDisk& attached : attached_)
            hardware_.disks.push_back(std::move(attached.disk));
    }

    void read_setting(const std::string& key, const std::string& value) {
        const std::string lower = to_lower_ascii(value);
        if (key == "firmware" && (lower == "efi" || lower == "bios"))
            hardware_.firmware = lower == "efi" ? MachineFirmware::uefi : MachineFirmware::bios;
        else if (key == "firmware")
            remark("its firmware is " + quote_untrusted(value) + ", which is not known");
        else if (key == "bootOptions.efiSecureBootEnabled" || key == "uefi.secureBoot.enabled")
            hardware_.secure_boot = lower == "true" || lower == "1";
    }

    static std::string instance_id(const pugi::xml_node& item) {
        const std::string id = child_text(item, "InstanceID");
        return id.empty() ? child_text(item, "InstanceId") : id;
    }
    static void check_count(std::size_t count) {
        if (count > kMaxMachineDevices)
            fail(ErrorKind::limit, fmt::format("the machine has more than {} devices of one kind", kMaxMachineDevices));
    }
    void remark(std::string text) { hardware_.remarks.push_back(std::move(text)); }

    std::string_view configuration_;
    const std::vector<OvfDisk>& disks_;
    MachineHardware& hardware_;
    std::map<std::string, std::size_t> controllers_; // by InstanceID
    std::map<std::size_t, std::string> bus_numbers_; // of controllers, as they are written
    std::vector<AttachedDisk> attached_;
};

} // namespace

void read_hardware_section(const pugi::xml_node& section, std::string_view configuration,
                           const std::vector<OvfDisk>& disks, MachineHardware& hardware) {
    HardwareReader(configuration, disks, hardware).read(section);
}

} // namespace vm2oci
