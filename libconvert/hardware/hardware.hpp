// The hardware of a machine as a value: what the file says that described it where it came from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class MachineFirmware { bios, uefi };
std::string_view to_string(MachineFirmware firmware); // "bios", "uefi"

enum class ControllerKind { ide, scsi, sata, nvme, virtio, usb, floppy };
std::string_view to_string(ControllerKind kind);

struct MachineController {
    ControllerKind kind = ControllerKind::scsi;
    std::string model; // "lsilogic", "VirtualSCSI", "AHCI"; may be empty
};

// A disk of the machine; others, such as CD drives, are no part of this.
struct MachineDisk {
    std::string id;                        // what the description calls it
    std::string file;                      // the name that the description gives its file; empty: a blank disk
    std::optional<std::size_t> controller; // an index of MachineHardware::controllers
    std::optional<unsigned> address;       // on that controller
    std::optional<std::uint64_t> capacity; // bytes
};

struct MachineNic {
    std::string model;   // "VmxNet3", "E1000", "virtio"; may be empty
    std::string network; // the name of what it is connected to; may be empty
    std::string mac;     // "00:50:56:01:02:03" in lower case; empty: none is said
};

// All strings are untrusted bytes.
struct MachineHardware {
    std::string source; // "OVF", "VMX", "libvirt", "Hyper-V"
    std::string name;
    std::string annotation;
    std::string os_type; // in the words of the source: "debian11_64Guest", "Debian (64-bit)"
    std::optional<unsigned> cpus;
    std::optional<unsigned> cores_per_socket;
    std::optional<std::uint64_t> memory; // bytes
    std::optional<MachineFirmware> firmware;
    std::optional<bool> secure_boot;
    std::vector<MachineController> controllers;
    std::vector<MachineDisk> disks; // the order that the firmware finds them in, the boot disk first
    std::vector<MachineNic> nics;
    std::vector<std::string> remarks; // what of the description was passed over, for people; escaped
};

// Files that describe machines are not larger, and hypervisors give a machine less than that; larger numbers are a
// mistake or meant to harm.
inline constexpr std::size_t kMaxDescriptionBytes = 8 << 20; // licences in twenty languages have half of one
inline constexpr unsigned kMaxMachineCpus = 4096;
inline constexpr std::uint64_t kMaxMachineMemory = std::uint64_t{64} << 40;
inline constexpr std::size_t kMaxMachineDevices = 1024; // controllers, disks and NICs each

// Error{limit} beyond those numbers, Error{corrupt} for machines without a processor or memory.
void check_machine(const MachineHardware& hardware);

// A decimal number in a description; Error{corrupt} with `what` for anything else.
std::uint64_t machine_number(std::string_view text, std::string_view what);

// "00:50:56:01:02:03" of any of the forms that are in use; empty if it is no address.
std::string normal_mac(std::string_view text);

} // namespace vm2oci
