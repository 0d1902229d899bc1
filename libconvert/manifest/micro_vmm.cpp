#include "formats/base/error.hpp"
#include "libconvert/bundle/vmm_configuration.hpp"
#include "libconvert/manifest/writers.hpp"

namespace vm2oci {
namespace {

VmmMachine unpacked(const RunnableMachine& machine) {
    if (!machine.kernel)
        fail(ErrorKind::unsupported, "it starts kernels and not disks, and this brings no kernel of its own; make a "
                                     "bundle of it");
    VmmMachine vmm;
    vmm.initramfs = machine.kernel->initramfs ? "initramfs" : "";
    vmm.command_line = machine.kernel->command_line;
    vmm.root = machine.kernel->read_only_root ? "rootfs.erofs" : "rootfs.img";
    vmm.read_only_root = machine.kernel->read_only_root;
    vmm.processors = machine.sockets * machine.cores;
    vmm.memory = machine.memory;
    return vmm;
}

} // namespace

std::string firecracker_manifest(const RunnableMachine& machine) {
    return firecracker_configuration(unpacked(machine));
}

std::string cloud_hypervisor_manifest(const RunnableMachine& machine) {
    return cloud_hypervisor_configuration(unpacked(machine));
}

} // namespace vm2oci
