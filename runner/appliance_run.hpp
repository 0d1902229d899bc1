// Runs vm2oci's appliance: a machine that boots for one job, says how it went, and ends.
#pragma once

#include "formats/appliance/answer.hpp"
#include "formats/base/progress.hpp"
#include "runner/acceleration.hpp"
#include "runner/machine/machine.hpp"
#include "runner/machine/spec.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace vm2oci {

struct ApplianceLimits {
    // Without a word of the appliance: a kernel that hangs says nothing. Of processor time of the machine, and of the
    // time that it had a processor: a busy host is no hang. A start takes some two seconds of it under emulation, and
    // the replay of the largest log of xfs, 2 GiB, about ten.
    std::chrono::milliseconds silence{120000};
    // What it says before its answer. run_appliance() lowers it to what the job can have steps and contents for.
    std::uint64_t words = 1'000'000;
};

struct ApplianceRunOptions {
    AccelerationChoice acceleration = AccelerationChoice::automatic;
    ApplianceLimits limits;
    std::filesystem::path kvm_device = "/dev/kvm";
    std::string qemu_binary = "qemu-system-x86_64";
};

// The machine of a job: `job` is what it reads first; `volumes` are told by their serial numbers.
VmSpec appliance_machine(std::shared_ptr<const BlockDevice> kernel, std::shared_ptr<const BlockDevice> initramfs,
                         std::shared_ptr<const BlockDevice> job, std::vector<FurtherDisk> volumes);

// Until it has answered: the answer is of kind done or failed. Error{external} when the machine ends, panics, hangs or
// talks nonsense, with the last that its kernel said; Error{io} when its disks cannot be read or written; what was
// written is then anything. Error{cancelled}.
ApplianceAnswer watch_appliance(Machine& machine, const ApplianceLimits& limits, const OperationContext& operation);

// Boots it and watches it. The machine is gone when this returns. Where KVM only seemed to work, it is started again by
// emulation.
ApplianceAnswer run_appliance(const VmSpec& spec, const ApplianceRunOptions& options,
                              const OperationContext& operation);

} // namespace vm2oci
