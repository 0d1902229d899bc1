#include "runner/machine/spec.hpp"

#include "formats/base/error.hpp"
#include "formats/partition/partition.hpp"

#include <algorithm>

namespace vm2oci {

std::string_view to_string(Accelerator accelerator) {
    return accelerator == Accelerator::kvm ? "kvm" : "tcg";
}

std::string_view to_string(Firmware firmware) {
    switch (firmware) {
    case Firmware::bios:
        return "bios";
    case Firmware::uefi:
        return "uefi";
    case Firmware::uefi_secure:
        return "uefi-secure";
    }
    return "bios";
}

std::string_view to_string(MachineType machine) {
    switch (machine) {
    case MachineType::q35:
        return "q35";
    case MachineType::i440fx:
        return "i440fx";
    case MachineType::microvm:
        break;
    }
    return "microvm";
}

std::string_view to_string(DiskBus bus) {
    switch (bus) {
    case DiskBus::virtio:
        return "virtio";
    case DiskBus::sata:
        return "sata";
    case DiskBus::ide:
        return "ide";
    }
    return "virtio";
}

std::string_view to_string(NetworkModel model) {
    switch (model) {
    case NetworkModel::virtio:
        return "virtio";
    case NetworkModel::e1000:
        return "e1000";
    case NetworkModel::rtl8139:
        return "rtl8139";
    }
    return "virtio";
}

std::string_view to_string(CpuLevel level) {
    return level == CpuLevel::v2 ? "x86-64-v2" : "x86-64-v3";
}

Firmware firmware_for(const BlockDevice& disk) {
    PartitionTable table;
    try {
        table = read_partitions(disk);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::io || error.kind() == ErrorKind::cancelled)
            throw;
        return Firmware::bios;
    }
    const bool efi = std::any_of(table.partitions.begin(), table.partitions.end(), is_efi_system);
    // On GPT the protective MBR often holds code that only prints an error; GRUB's real one needs its partition.
    const bool bios = table.kind == TableKind::gpt
                          ? table.has_boot_code && std::any_of(table.partitions.begin(), table.partitions.end(),
                                                               [](const Partition& partition) {
                                                                   return is_bios_boot(partition) || partition.active;
                                                               })
                          : table.has_boot_code;
    return efi && !bios ? Firmware::uefi : Firmware::bios;
}

} // namespace vm2oci
