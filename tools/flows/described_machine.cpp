#include "tools/flows/described_machine.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace vm2oci {
namespace {

constexpr std::uint64_t kLeastMemory = 256 * MiB; // descriptions of appliances say less, and mean what was small then

} // namespace

HostResources host_resources() {
    HostResources host;
    const long pages = ::sysconf(_SC_PHYS_PAGES);
    const long page = ::sysconf(_SC_PAGE_SIZE);
    if (pages > 0 && page > 0)
        host.memory = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page);
    host.processors = std::max(1U, std::thread::hardware_concurrency());
    return host;
}

DescribedMachine described_machine(const MachineHardware& hardware, const HostResources& host) {
    DescribedMachine machine;
    if (hardware.firmware == MachineFirmware::bios)
        machine.firmware = Firmware::bios;
    else if (hardware.firmware == MachineFirmware::uefi)
        machine.firmware = hardware.secure_boot.value_or(false) ? Firmware::uefi_secure : Firmware::uefi;
    if (hardware.memory) {
        const std::uint64_t most = host.memory == 0 ? *hardware.memory : std::max(kLeastMemory, host.memory / 2);
        machine.memory = align_down(std::clamp(*hardware.memory, kLeastMemory, std::max(kLeastMemory, most)), MiB);
        if (*machine.memory < align_down(*hardware.memory, MiB))
            machine.reasons.push_back(
                fmt::format("the machine is described with {} of memory, and this host has {}: {}",
                            format_size(*hardware.memory), format_size(host.memory), format_size(*machine.memory)));
    }
    if (hardware.cpus) {
        machine.cpus = std::clamp(*hardware.cpus, 1U, std::max(1U, host.processors));
        if (*machine.cpus < *hardware.cpus)
            machine.reasons.push_back(fmt::format("the machine is described with {} processors, and this host has {}",
                                                  *hardware.cpus, host.processors));
    }
    return machine;
}

} // namespace vm2oci
