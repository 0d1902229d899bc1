// What to boot: a machine and its disks, as a value.
#pragma once

#include "formats/base/size.hpp"
#include "formats/block/block_changes.hpp"
#include "formats/block/block_device.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class Accelerator { kvm, tcg };
std::string_view to_string(Accelerator accelerator); // "kvm", "tcg"

enum class Firmware { bios, uefi, uefi_secure };
std::string_view to_string(Firmware firmware); // "bios", "uefi", "uefi-secure"

enum class MachineType {
    q35,
    i440fx,
    microvm, // virtio over MMIO, no PCI, no firmware: for a kernel of its own, with KVM
};
enum class DiskBus { virtio, sata, ide };
enum class NetworkModel { virtio, e1000, rtl8139 };
// The levels of the x86-64 psABI: what programs may rely on.
enum class CpuLevel { v2, v3 };
std::string_view to_string(MachineType machine);
std::string_view to_string(DiskBus bus);
std::string_view to_string(NetworkModel model);
std::string_view to_string(CpuLevel level); // "x86-64-v2", "x86-64-v3"

// The hardware that a guest finds. The default is what KubeVirt gives; legacy guests need older things.
struct MachineProfile {
    MachineType machine = MachineType::q35;
    DiskBus disk = DiskBus::virtio;
    NetworkModel network = NetworkModel::virtio;
    CpuLevel cpu_level = CpuLevel::v2; // what an emulated processor offers; with KVM it is the host's
    std::string cpu;                   // QEMU's name of a processor model; empty: chosen for the accelerator
};

enum class NetworkMode {
    none, // no interface at all
    user, // QEMU's user-mode network: outgoing connections of the host's user, and the forwarded ports
};

// A TCP port of the host's loopback interface that leads to one of the guest.
struct PortForward {
    std::uint16_t host = 0;
    std::uint16_t guest = 0;
};

// Whether the guest's service manager tells by vsock when it is up.
enum class NotifyMode { none, vsock };

// Which machines a kernel that is booted directly finds its devices on.
enum class KernelDevices {
    pci,         // any distribution's
    pci_or_mmio, // vm2oci's own: a micro-VM will do
};

// A kernel that is started without firmware, boot loader and the disk's own kernel.
struct DirectKernel {
    std::shared_ptr<const BlockDevice> image;     // bzImage, or ELF with a PVH entry
    std::shared_ptr<const BlockDevice> initramfs; // may be null
    std::string command_line;
    KernelDevices devices = KernelDevices::pci;
};

// A disk beside the one that is booted.
struct FurtherDisk {
    std::shared_ptr<const BlockDevice> device;
    std::uint64_t sector_size = 512; // as VmSpec has it
    // Where writes and discards of the machine go, so that `device` shows them, whose size is then one of whole
    // sectors. Null: to a scratch file that ends with the machine. Called from other threads.
    std::shared_ptr<BlockChanges> changes{};
    std::string serial{}; // that the guest reads; with DiskBus::virtio only
};

// How many disks a bus takes, the one that is booted and the seed among them: what fits beside the other devices of the
// machine on its PCI bus, the six ports of an AHCI controller, two channels of IDE.
constexpr std::size_t max_disks(DiskBus bus) {
    return bus == DiskBus::virtio ? 18 : bus == DiskBus::sata ? 6 : 4;
}

struct VmSpec {
    MachineProfile profile;
    NotifyMode notify = NotifyMode::none;
    std::vector<std::string> profile_reasons; // why it is not the default, for people
    Firmware firmware = Firmware::bios;
    std::uint64_t memory = 1 * GiB;
    unsigned cpus = 2;
    std::shared_ptr<const BlockDevice> disk;
    std::uint64_t sector_size = 512;         // that the disk shows; others than 512 with DiskBus::virtio only
    std::vector<FurtherDisk> further_disks;  // in the order that the guest finds them in, behind `disk`
    std::optional<DirectKernel> kernel;      // none: the disk is booted by the firmware
    std::shared_ptr<const BlockDevice> seed; // a NoCloud disk for this boot; may be null
    NetworkMode network = NetworkMode::none;
    std::vector<PortForward> forwards; // with NetworkMode::user only
};

// Which firmware the disk is made for: BIOS where it has a BIOS boot loader, as KubeVirt's default is BIOS; UEFI where
// it has only an EFI system partition. Never throws for a broken partition table: such a disk boots, or not, by BIOS.
Firmware firmware_for(const BlockDevice& disk);

} // namespace vm2oci
