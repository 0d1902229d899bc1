// What to boot: a machine and its disks, as a value.
#pragma once

#include "formats/base/size.hpp"
#include "formats/block/block_device.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class Firmware { bios, uefi, uefi_secure };
std::string_view to_string(Firmware firmware); // "bios", "uefi", "uefi-secure"

enum class MachineType { q35, i440fx };
enum class DiskBus { virtio, sata, ide };
enum class NetworkModel { virtio, e1000, rtl8139 };
std::string_view to_string(MachineType machine);
std::string_view to_string(DiskBus bus);
std::string_view to_string(NetworkModel model);

// The hardware that a guest finds. The default is what KubeVirt gives; legacy guests need older things.
struct MachineProfile {
    MachineType machine = MachineType::q35;
    DiskBus disk = DiskBus::virtio;
    NetworkModel network = NetworkModel::virtio;
    std::string cpu; // QEMU's name of a processor model; empty: chosen for the accelerator
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

struct VmSpec {
    MachineProfile profile;
    Firmware firmware = Firmware::bios;
    std::uint64_t memory = 1 * GiB;
    unsigned cpus = 2;
    std::shared_ptr<const BlockDevice> disk;
    std::shared_ptr<const BlockDevice> seed; // a NoCloud disk for this boot; may be null
    NetworkMode network = NetworkMode::none;
    std::vector<PortForward> forwards; // with NetworkMode::user only
};

// Which firmware the disk is made for: BIOS where it has a BIOS boot loader, as KubeVirt's default is BIOS; UEFI where
// it has only an EFI system partition. Never throws for a broken partition table: such a disk boots, or not, by BIOS.
Firmware firmware_for(const BlockDevice& disk);

} // namespace vm2oci
