// What a machine's description asks of the machine that it is booted on.
#pragma once

#include "libconvert/hardware/hardware.hpp"
#include "runner/machine/spec.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// What this host can give.
struct HostResources {
    std::uint64_t memory = 0; // bytes in all; 0: not known
    unsigned processors = 1;
};
HostResources host_resources();

struct DescribedMachine {
    std::optional<Firmware> firmware;
    std::optional<std::uint64_t> memory; // bytes, whole MiB
    std::optional<unsigned> cpus;
    std::vector<std::string> reasons; // why it is less than described, for people
};

// At most half of the host's memory and all of its processors; at least what boots anything.
DescribedMachine described_machine(const MachineHardware& hardware, const HostResources& host);

} // namespace vm2oci
