#include "libconvert/hardware/ovf.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/hardware/ovf_items.hpp"
#include "libconvert/hardware/xml_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxOvfFiles = 4096;

// In OVF 0.9, and in oVirt's files to this day, sections are told by their xsi:type alone ("ovf:DiskSection_Type").
bool is_section(const pugi::xml_node& node, std::string_view name) {
    if (local_name(node) == name)
        return true;
    if (local_name(node) != "Section" && local_name(node) != "Content")
        return false;
    const std::string type = attribute_of(node, "type");
    const std::size_t colon = type.rfind(':');
    return type.substr(colon == std::string::npos ? 0 : colon + 1) == std::string(name) + "_Type";
}

std::vector<pugi::xml_node> sections_of(const pugi::xml_node& parent, std::string_view name) {
    std::vector<pugi::xml_node> found;
    for (const pugi::xml_node& child : parent.children())
        if (is_section(child, name))
            found.push_back(child);
    return found;
}

pugi::xml_node section_of(const pugi::xml_node& parent, std::string_view name) {
    const std::vector<pugi::xml_node> found = sections_of(parent, name);
    return found.empty() ? pugi::xml_node() : found.front();
}

// The address of a specification: VHD's have moved a few times, and are Microsoft's.
OvfFormat format_of(std::string_view address) {
    const std::string lower = to_lower_ascii(address);
    const bool is_microsoft = lower.find("microsoft.com/") != std::string::npos;
    return is_microsoft && lower.find("vhdx") == std::string::npos ? OvfFormat::vhd : OvfFormat::unsaid;
}

class OvfReader {
  public:
    explicit OvfReader(const pugi::xml_node& envelope) : envelope_(envelope) {}

    OvfMachine read() {
        // With the slash only oVirt writes it.
        const std::string_view space = envelope_.attribute("xmlns:ovf").value();
        machine_.sizes_are_exact = space != "http://schemas.dmtf.org/ovf/envelope/1/";
        read_files();
        read_disks();
        hardware().source = "OVF";
        read_system(only_system());
        find_disk_files();
        check_machine(hardware());
        return std::move(machine_);
    }

  private:
    MachineHardware& hardware() { return machine_.hardware; }
    void remark(std::string text) { hardware().remarks.push_back(std::move(text)); }

    void read_files() {
        std::set<std::string> ids;
        for (const pugi::xml_node& file : children_of(child_of(envelope_, "References"), "File")) {
            OvfFile entry;
            entry.id = attribute_of(file, "id");
            entry.href = attribute_of(file, "href");
            if (entry.href.empty())
                fail(ErrorKind::corrupt, "a file of its references has no name");
            if (has_attribute(file, "chunkSize"))
                fail(ErrorKind::unsupported, "the file " + quote_untrusted(entry.href) +
                                                 " is split in pieces; put them together and describe them as one file "
                                                 "first");
            const std::string compression = to_lower_ascii(attribute_of(file, "compression"));
            if (compression == "gzip")
                entry.compression = OvfCompression::gzip;
            else if (!compression.empty() && compression != "identity")
                fail(ErrorKind::unsupported, "the file " + quote_untrusted(entry.href) + " is compressed with " +
                                                 quote_untrusted(compression) + ", and OVF has gzip only");
            const std::string size = attribute_of(file, "size");
            if (!size.empty())
                entry.size = machine_number(size, "the size of a file");
            if (!entry.id.empty() && !ids.insert(entry.id).second)
                fail(ErrorKind::corrupt, "two files of its references have the id " + quote_untrusted(entry.id));
            machine_.files.push_back(std::move(entry));
            if (machine_.files.size() > kMaxOvfFiles)
                fail(ErrorKind::limit, fmt::format("it names more than {} files", kMaxOvfFiles));
        }
    }

    void read_disks() {
        std::set<std::string> ids;
        for (const pugi::xml_node& section : sections_of(envelope_, "DiskSection"))
            for (const pugi::xml_node& disk : children_of(section, "Disk")) {
                disks_.push_back(disk_of(disk));
                if (!ids.insert(disks_.back().id).second)
                    fail(ErrorKind::corrupt,
                         "its DiskSection has the disk " + quote_untrusted(disks_.back().id) + " twice");
                if (disks_.size() > kMaxMachineDevices)
                    fail(ErrorKind::limit, fmt::format("it has more than {} disks", kMaxMachineDevices));
            }
    }

    OvfDisk disk_of(const pugi::xml_node& node) {
        OvfDisk disk;
        disk.id = attribute_of(node, "diskId");
        if (disk.id.empty())
            fail(ErrorKind::corrupt, "a disk of its DiskSection has no diskId");
        disk.file_ref = attribute_of(node, "fileRef");
        disk.format = format_of(attribute_of(node, "format"));
        disk.interface = attribute_of(node, "disk-interface");
        if (attribute_of(node, "boot") == "true")
            disk.boot_order = 0;
        const std::string parent = attribute_of(node, "parentRef");
        if (!parent.empty())
            fail(ErrorKind::unsupported, "the disk " + quote_untrusted(disk.id) + " holds only what differs from " +
                                             quote_untrusted(parent) +
                                             "; consolidate the machine's disks and export it anew");
        disk.capacity = capacity_of(node, disk.id);
        return disk;
    }

    std::optional<std::uint64_t> capacity_of(const pugi::xml_node& node, const std::string& id) {
        std::string text = attribute_of(node, "capacity");
        std::string units = attribute_of(node, "capacityAllocationUnits");
        if (text.empty() && has_attribute(node, "size") && has_attribute(node, "volume-format")) {
            text = attribute_of(node, "size"); // oVirt's, in GiB
            units = "byte * 2^30";
        }
        if (text.empty())
            return std::nullopt;
        if (text.starts_with("${")) {
            remark("the size of the disk " + quote_untrusted(id) + " is left to whoever deploys it");
            return std::nullopt;
        }
        const std::optional<std::uint64_t> unit =
            units.empty() ? std::optional<std::uint64_t>(1) : allocation_unit(units);
        if (!unit)
            fail(ErrorKind::corrupt, "the size of the disk " + quote_untrusted(id) + " is given in " +
                                         quote_untrusted(units) + ", no unit that is known");
        return checked_multiply(machine_number(text, "the size of a disk"), *unit, "the size of a disk");
    }

    // Of a collection of one machine, that one.
    pugi::xml_node only_system() {
        std::vector<pugi::xml_node> systems;
        std::vector<pugi::xml_node> parents{envelope_};
        while (!parents.empty()) {
            const pugi::xml_node parent = parents.back();
            parents.pop_back();
            for (const pugi::xml_node& system : sections_of(parent, "VirtualSystem"))
                systems.push_back(system);
            for (const pugi::xml_node& collection : sections_of(parent, "VirtualSystemCollection"))
                parents.push_back(collection);
        }
        if (systems.empty())
            fail(ErrorKind::corrupt, "it describes no machine");
        if (systems.size() > 1)
            fail(ErrorKind::unsupported,
                 fmt::format("it describes {} machines; export them one by one", systems.size()));
        return systems.front();
    }

    void read_system(const pugi::xml_node& system) {
        hardware().name = child_text(system, "Name");
        if (hardware().name.empty())
            hardware().name = attribute_of(system, "id");
        const pugi::xml_node notes = section_of(system, "AnnotationSection");
        hardware().annotation = child_text(notes, "Annotation");
        if (hardware().annotation.empty())
            hardware().annotation = child_text(system, "Description"); // oVirt's
        read_os(section_of(system, "OperatingSystemSection"));
        const std::vector<pugi::xml_node> sections = sections_of(system, "VirtualHardwareSection");
        if (sections.empty())
            fail(ErrorKind::corrupt, "the machine has no VirtualHardwareSection");
        if (sections.size() > 1)
            remark(fmt::format("its hardware is described {} times, for different hypervisors; the first counts",
                               sections.size()));
        read_hardware_section(sections.front(), default_configuration(), disks_, hardware());
        read_other_firmware(system, sections.front());
    }

    void read_os(const pugi::xml_node& section) {
        std::string type = attribute_of(section, "osType");
        if (type.empty())
            type = child_text(section, "OSType"); // VirtualBox's
        if (type.empty())
            type = child_text(section, "Description");
        if (type.empty() && has_attribute(section, "id"))
            type = "CIM " + attribute_of(section, "id");
        hardware().os_type = type;
    }

    std::string default_configuration() {
        const std::vector<pugi::xml_node> all =
            children_of(section_of(envelope_, "DeploymentOptionSection"), "Configuration");
        for (const pugi::xml_node& configuration : all)
            if (const std::string chosen = attribute_of(configuration, "default"); chosen == "true" || chosen == "1")
                return attribute_of(configuration, "id");
        return all.empty() ? "" : attribute_of(all.front(), "id");
    }

    // What writers other than VMware's have in places of their own.
    void read_other_firmware(const pugi::xml_node& system, const pugi::xml_node& section) {
        const auto set = [&](MachineFirmware firmware) {
            if (!hardware().firmware)
                hardware().firmware = firmware;
        };
        const pugi::xml_node virtualbox = child_of(child_of(system, "Machine"), "Hardware");
        const std::string type = attribute_of(child_of(virtualbox, "Firmware"), "type");
        if (!type.empty())
            set(type.starts_with("EFI") ? MachineFirmware::uefi : MachineFirmware::bios);
        // oVirt's BiosType: 1 i440fx and 2 q35 with SeaBIOS, 3 q35 with OVMF, 4 the same with Secure Boot.
        const std::string bios = child_text(system, "BiosType");
        if (bios == "1" || bios == "2")
            set(MachineFirmware::bios);
        if (bios == "3" || bios == "4") {
            set(MachineFirmware::uefi);
            hardware().secure_boot = bios == "4";
        }
        for (const pugi::xml_node& data : children_of(section, "VirtualSystemOtherConfigurationData")) { // Citrix
            const std::string name = attribute_of(data, "Name");
            const std::string value = child_text(data, "Value");
            if (name == "HVM_boot_params" && value.find("firmware=uefi") != std::string::npos)
                set(MachineFirmware::uefi);
            else if (name == "HVM_boot_params" && value.find("firmware=bios") != std::string::npos)
                set(MachineFirmware::bios);
            if (name == "platform" && value.find("secureboot=true") != std::string::npos)
                hardware().secure_boot = true;
        }
    }

    void find_disk_files() {
        if (hardware().disks.empty() && !disks_.empty()) {
            remark("no item of its hardware names a disk; all of the DiskSection are taken, in their order");
            for (const OvfDisk& disk : disks_)
                hardware().disks.push_back({disk.id, "", std::nullopt, std::nullopt, disk.capacity});
        }
        for (const OvfDisk& disk : disks_) {
            const auto is_used = [&](const MachineDisk& used) { return used.id == disk.id; };
            if (std::ranges::none_of(hardware().disks, is_used))
                remark("the disk " + quote_untrusted(disk.id) + " is attached to nothing, and left out");
        }
        for (MachineDisk& disk : hardware().disks) {
            const auto entry = std::ranges::find(disks_, disk.id, &OvfDisk::id);
            std::optional<std::size_t> file;
            if (!entry->file_ref.empty()) {
                const auto named = std::ranges::find_if(machine_.files, [&](const OvfFile& candidate) {
                    return candidate.id == entry->file_ref || candidate.href == entry->file_ref;
                });
                if (named == machine_.files.end())
                    fail(ErrorKind::corrupt, "the disk " + quote_untrusted(disk.id) + " lies in the file " +
                                                 quote_untrusted(entry->file_ref) + ", which is not in its references");
                file = static_cast<std::size_t>(named - machine_.files.begin());
                disk.file = named->href;
            } else if (!disk.capacity) {
                fail(ErrorKind::corrupt,
                     "the disk " + quote_untrusted(disk.id) + " is blank, and its size is not said");
            }
            machine_.disk_files.push_back(file);
            machine_.disk_formats.push_back(entry->format);
        }
    }

    pugi::xml_node envelope_;
    OvfMachine machine_;
    std::vector<OvfDisk> disks_;
};

} // namespace

OvfMachine parse_ovf(std::string_view text, std::string_view name) {
    pugi::xml_document document;
    parse_xml(text, name, document);
    return with_context(std::string(name), [&] {
        const pugi::xml_node envelope = document.document_element();
        if (local_name(envelope) != "Envelope")
            fail(ErrorKind::unsupported, "it is no OVF, for its root is " + quote_untrusted(envelope.name()));
        return OvfReader(envelope).read();
    });
}

std::optional<std::uint64_t> allocation_unit(std::string_view text) {
    std::string unit;
    for (const char c : to_lower_ascii(text))
        if (c != ' ' && c != '\t')
            unit += c;
    constexpr std::pair<std::string_view, std::uint64_t> names[] = {{"byte", 1},
                                                                    {"bytes", 1},
                                                                    {"b", 1},
                                                                    {"kilobytes", 1 << 10},
                                                                    {"kilobyte", 1 << 10},
                                                                    {"kb", 1 << 10},
                                                                    {"kib", 1 << 10},
                                                                    {"megabytes", 1 << 20},
                                                                    {"megabyte", 1 << 20},
                                                                    {"mb", 1 << 20},
                                                                    {"mib", 1 << 20},
                                                                    {"gigabytes", 1 << 30},
                                                                    {"gigabyte", 1 << 30},
                                                                    {"gb", 1 << 30},
                                                                    {"gib", 1 << 30},
                                                                    {"terabytes", std::uint64_t{1} << 40},
                                                                    {"tb", std::uint64_t{1} << 40},
                                                                    {"tib", std::uint64_t{1} << 40}};
    for (const auto& [name, bytes] : names)
        if (unit == name)
            return bytes;
    if (!unit.starts_with("byte*"))
        return std::nullopt;
    // "byte*2^20", "byte*1024*1024"
    std::uint64_t bytes = 1;
    std::string_view rest = std::string_view(unit).substr(4);
    while (!rest.empty()) {
        const auto number = [&](std::uint64_t& value) {
            const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
            if (error != std::errc())
                return false;
            rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
            return true;
        };
        std::uint64_t factor = 0;
        std::uint64_t power = 1;
        if (rest.front() != '*')
            return std::nullopt;
        rest.remove_prefix(1);
        if (!number(factor) || factor == 0)
            return std::nullopt;
        if (rest.starts_with('^')) {
            rest.remove_prefix(1);
            if (!number(power))
                return std::nullopt;
        }
        if (power > 63)
            return std::nullopt;
        for (; power > 0; --power)
            if (__builtin_mul_overflow(bytes, factor, &bytes))
                return std::nullopt;
    }
    return bytes;
}

} // namespace vm2oci
