#include "runner/acceleration.hpp"

#include "formats/base/error.hpp"

namespace vm2oci {

ChosenAccelerator choose_accelerator(AccelerationChoice choice, const std::filesystem::path& kvm_device) {
    if (choice == AccelerationChoice::tcg)
        return {Accelerator::tcg, "asked for", std::nullopt};
    const KvmProbe probe = probe_kvm(kvm_device);
    if (probe.usable())
        return {Accelerator::kvm, "KVM " + probe.reason, probe};
    if (choice == AccelerationChoice::kvm)
        fail(ErrorKind::external, "KVM is not usable: " + probe.reason, HintKind::accelerator);
    return {Accelerator::tcg, "KVM is not usable: " + probe.reason, probe};
}

VmSpec for_accelerator(VmSpec spec, Accelerator accelerator) {
    if (accelerator == Accelerator::kvm && spec.kernel && spec.kernel->devices == KernelDevices::pci_or_mmio &&
        spec.profile.machine == MachineType::q35 && spec.profile.disk == DiskBus::virtio) {
        spec.profile.machine = MachineType::microvm;
        spec.profile_reasons.emplace_back("the kernel needs no PCI: microvm");
    }
    return spec;
}

} // namespace vm2oci
