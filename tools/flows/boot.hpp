// Booting for a verdict, as `boot` and the boot test of a conversion do it.
#pragma once

#include "formats/base/outputs.hpp"
#include "formats/tree/seed_iso.hpp"
#include "runner/boot.hpp"
#include "runner/report/files.hpp"
#include "tools/flows/boot_source.hpp"
#include "tools/flows/boot_subject.hpp"
#include "tools/flows/machine_advice.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// Whether somebody sits at the machine's serial console.
enum class ConsoleMode { status, interactive };

// What is not said is what the guest or its disk asks for.
struct BootRequest {
    AccelerationChoice acceleration = AccelerationChoice::automatic;
    MachineBackend backend = MachineBackend::automatic;
    std::optional<Firmware> firmware;
    std::optional<MachineType> machine;
    std::optional<DiskBus> disk_bus;
    std::optional<NetworkModel> network_model;
    std::string cpu;                     // QEMU's name of a processor model
    std::string root;                    // which of several roots is asked what it needs, as GuestAccess::root
    std::optional<std::uint64_t> memory; // none: as the machine is described, else VmSpec's
    std::optional<unsigned> cpus;        // the same
    std::optional<Milliseconds> timeout;
    std::vector<ReadyCondition> ready;
    std::vector<ConsolePattern> expected;
    std::vector<ConsolePattern> fail;
    std::vector<std::string> ignored;  // ids of rules
    std::vector<std::string> commands; // to run inside
    std::optional<SeedFiles> seed;     // for this boot only; replaces the subject's
    NetworkMode network = NetworkMode::none;
    std::vector<PortForward> forwards;
    ConsoleMode console = ConsoleMode::status;
    std::filesystem::path junit; // exists from the first second on; empty: none
    std::filesystem::path report_folder;
};

// Pure. Error{usage}: a firmware for a kernel that is booted directly.
VmSpec machine_spec(const BootRequest& request, const BootSubject& subject, const MachineAdvice& advice);
BootOptions boot_options(const BootRequest& request, const BootSubject& subject, const MachineAdvice& advice);

// Boots a subject as a request has it; where tests put a machine that is none. The report is not written to files.
using BootMachine = std::function<BootReport(const BootSubject& subject, const BootRequest& request)>;

// The real one: looks into the guest for what it asks for, boots, keeps the JUnit file up to date meanwhile.
BootReport boot_subject(const BootSubject& subject, const BootRequest& request, BootObserver& observer,
                        const OperationContext& operation);

// Error{external, corrupt} where the run is no verdict about the machine: QEMU's own death, a disk that cannot be read.
void require_verdict(const BootReport& report);

struct BootCommand {
    BootSourceRequest source;
    BootRequest request;
    std::optional<BootSourceRequest> original; // to compare with; booted first
};

// Boots, and writes the reports, whatever the verdict is. The original is only watched: what the request demands of the
// machine it demands of the source. Errors as require_verdict() has them, with the reports written.
BootReport boot(const BootCommand& command, const BootMachine& boot_machine, const OperationContext& operation);

} // namespace vm2oci
