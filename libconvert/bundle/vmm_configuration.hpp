// What Firecracker and Cloud Hypervisor are started with.
//
// firecracker: src/vmm/src/resources.rs, docs/getting-started.md. cloud-hypervisor: vmm/src/vm_config.rs, docs/api.md.
#pragma once

#include <cstdint>
#include <string>

namespace vm2oci {

// Paths are relative to where the VMM is started.
struct VmmMachine {
    std::string kernel = "vmlinux"; // an ELF file; an arm64 Image as it is
    std::string initramfs;          // empty: none
    std::string command_line;       // names the root
    std::string root;               // a raw disk
    bool read_only_root = false;
    unsigned processors = 2;
    std::uint64_t memory = 0; // bytes, whole MiB
};

// Without PCI devices unless it is told otherwise; its keyboard controller is what a guest restarts by.
std::string firecracker_configuration(const VmmMachine& machine);

// A disk whose type it has to detect is not written at its first sector (version 51), and could be made into another
// type by the guest (older ones): the type is stated.
std::string cloud_hypervisor_configuration(const VmmMachine& machine);

} // namespace vm2oci
