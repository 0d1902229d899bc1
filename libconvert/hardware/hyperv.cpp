// Hyper-V's configuration of a machine before Windows Server 2016: XML beside what was exported. Later ones are binary.
#include "formats/base/ascii.hpp"
#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "libconvert/hardware/description.hpp"
#include "libconvert/hardware/xml_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace vm2oci {
namespace {

// Kinds of devices, as the manifest names them.
constexpr std::string_view kIdeController = "83f8638b-8dca-4152-9eda-2ca8b33039b4";
constexpr std::string_view kScsiController = "d422512d-2bf2-4752-809d-7b82b5fcb1b4";
constexpr std::string_view kSyntheticEthernet = "2fc216b0-d2e2-4967-9b6d-b8a5c9ca2778";
constexpr std::string_view kFirmware = "ac6b8dc1-3257-4a70-b1b2-a9c9215659ad"; // "Microsoft Virtual BIOS", of UEFI too

bool is_true(const std::string& text) {
    return to_lower_ascii(text) == "true";
}

// Nodes of devices are called "_GUID_", and writers differ in their letters.
pugi::xml_node device_node(const pugi::xml_node& configuration, std::string_view guid) {
    const std::string wanted = "_" + to_lower_ascii(guid) + "_";
    for (const pugi::xml_node& child : configuration.children())
        if (to_lower_ascii(child.name()) == wanted)
            return child;
    return {};
}

// The number in "controller0"; nullopt: it is something else.
std::optional<unsigned> numbered(std::string_view name, std::string_view word) {
    if (!name.starts_with(word) || name.size() == word.size() || name.size() > word.size() + 3)
        return std::nullopt;
    const std::string_view digits = name.substr(word.size());
    if (!std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; }))
        return std::nullopt;
    return static_cast<unsigned>(machine_number(digits, "a device's place"));
}

class HypervReader {
  public:
    explicit HypervReader(const pugi::xml_node& configuration) : configuration_(configuration) {}

    MachineDescription read() {
        const pugi::xml_node properties = child_of(configuration_, "properties");
        const pugi::xml_node settings = child_of(configuration_, "settings");
        if (!properties && !settings)
            fail(ErrorKind::unsupported, "it is no configuration of a machine of Hyper-V");
        machine().source = "Hyper-V";
        machine().name = child_text(properties, "name");
        machine().annotation = child_text(properties, "notes");
        read_size(settings);
        read_firmware(properties);
        read_devices();
        return std::move(description_);
    }

  private:
    MachineHardware& machine() { return description_.hardware; }
    void remark(std::string text) { machine().remarks.push_back(std::move(text)); }

    void read_size(const pugi::xml_node& settings) {
        const std::string count = child_text(child_of(settings, "processors"), "count");
        if (!count.empty())
            machine().cpus = static_cast<unsigned>(
                std::min<std::uint64_t>(machine_number(count, "the number of processors"), kMaxMachineCpus + 1ULL));
        const pugi::xml_node bank = child_of(child_of(settings, "memory"), "bank");
        const std::string size = child_text(bank, "size"); // MiB, what the machine starts with
        if (!size.empty())
            machine().memory = checked_multiply<std::uint64_t>(machine_number(size, "the size of the memory"), MiB,
                                                               "the size of the memory");
        if (is_true(child_text(bank, "dynamic_memory_enabled")))
            remark("its memory is dynamic: what it starts with counts");
    }

    // The subtype is the generation less one; the second came with Windows Server 2012 R2 and has UEFI.
    void read_firmware(const pugi::xml_node& properties) {
        const std::string subtype = child_text(properties, "subtype");
        if (subtype.empty() || subtype == "0") {
            machine().firmware = MachineFirmware::bios;
        } else if (subtype == "1") {
            machine().firmware = MachineFirmware::uefi;
            const std::string secure = child_text(device_node(configuration_, kFirmware), "secure_boot_enabled");
            if (!secure.empty())
                machine().secure_boot = is_true(secure);
        } else {
            remark("its generation is " + quote_untrusted(subtype) + ", which is not known");
        }
    }

    // The first generation starts from IDE only. Without a manifest (Packer writes such) nothing is attached.
    void read_devices() {
        std::vector<std::pair<std::string, pugi::xml_node>> ethernet;
        std::vector<pugi::xml_node> scsi;
        pugi::xml_node ide;
        for (const pugi::xml_node& entry : child_of(configuration_, "manifest").children()) {
            const std::string kind = to_lower_ascii(child_text(entry, "device"));
            const std::string instance = child_text(entry, "instance");
            const std::string name = child_text(entry, "name");
            const pugi::xml_node node = device_node(configuration_, instance.empty() ? kind : instance);
            if (kind == kIdeController)
                ide = node;
            else if (kind == kScsiController && node)
                scsi.push_back(node);
            else if (node && (kind == kSyntheticEthernet || name.find("Ethernet Port") != std::string::npos))
                ethernet.emplace_back(kind == kSyntheticEthernet ? "Synthetic" : name, node);
            check_number(scsi.size() + ethernet.size());
        }
        if (!ide) // the emulated controller is always there, listed or not
            ide = device_node(configuration_, kIdeController);
        if (ide)
            read_controller(ide, ControllerKind::ide, "IDE");
        for (std::size_t i = 0; i < scsi.size(); ++i)
            read_controller(scsi[i], ControllerKind::scsi, scsi.size() > 1 ? fmt::format("SCSI {} ", i) : "SCSI");
        for (const auto& [model, node] : ethernet)
            read_nic(model, node);
    }

    void read_controller(const pugi::xml_node& node, ControllerKind kind, const std::string& word) {
        for (const pugi::xml_node& controller : node.children()) {
            const std::optional<unsigned> number = numbered(controller.name(), "controller");
            if (!number)
                continue;
            std::optional<std::size_t> index;
            for (const pugi::xml_node& drive : controller.children()) {
                const std::optional<unsigned> place = numbered(drive.name(), "drive");
                if (!place || !is_disk_drive(drive, fmt::format("{} {}:{}", word, *number, *place)))
                    continue;
                if (!index) {
                    index = machine().controllers.size();
                    machine().controllers.push_back({kind, ""});
                }
                const std::string path = child_text(drive, "pathname");
                machine().disks.push_back(
                    {fmt::format("{} {}:{}", word, *number, *place), path, index, *place, std::nullopt});
                description_.files.push_back({last_part(path), "", ""});
                check_number(machine().disks.size());
            }
        }
    }

    bool is_disk_drive(const pugi::xml_node& drive, const std::string& id) {
        const std::string type = to_lower_ascii(child_text(drive, "type"));
        const std::string path = child_text(drive, "pathname");
        if (type == "vhd" && !path.empty())
            return true;
        if (!type.empty() && type != "none" && type != "iso" && type != "vhd")
            remark("the drive " + id + " is " + quote_untrusted(type) + ", no file with a disk, and left out");
        else if (type == "vhd")
            remark("the disk " + id + " has no file, and is left out");
        return false;
    }

    void read_nic(const std::string& model, const pugi::xml_node& node) {
        MachineNic nic;
        nic.model = model;
        nic.network = child_text(child_of(node, "Connection"), "AltSwitchName");
        nic.mac = normal_mac(child_text(node, "MacAddress"));
        if (nic.mac == "00:00:00:00:00:00")
            nic.mac.clear(); // it gets one when it first starts
        machine().nics.push_back(std::move(nic));
    }

    static void check_number(std::size_t count) {
        if (count > kMaxMachineDevices)
            fail(ErrorKind::limit, fmt::format("it has more than {} devices of one kind", kMaxMachineDevices));
    }

    pugi::xml_node configuration_;
    MachineDescription description_;
};

} // namespace

MachineDescription parse_hyperv(std::string_view text, std::string_view name) {
    pugi::xml_document document;
    parse_xml(text, name, document);
    return with_context(std::string(name), [&] {
        const pugi::xml_node configuration = document.document_element();
        if (local_name(configuration) != "configuration")
            fail(ErrorKind::unsupported,
                 "it is no configuration of Hyper-V, for its root is " + quote_untrusted(configuration.name()));
        return HypervReader(configuration).read();
    });
}

} // namespace vm2oci
