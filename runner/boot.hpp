// Boots a machine in QEMU, watches it, and reports.
#pragma once

#include "formats/base/progress.hpp"
#include "runner/acceleration.hpp"
#include "runner/judge/judge.hpp"
#include "runner/machine/spec.hpp"
#include "runner/report/boot_report.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// What runs the machine.
enum class MachineBackend {
    automatic, // the only one that there is
    qemu,
};

// Hears of the boot while it goes on. Called from the thread of boot_machine(), often; must be quick.
class BootObserver {
  public:
    virtual ~BootObserver() = default;
    // Bytes as the guest printed them: dangerous on a terminal, except where the user asked for exactly that.
    virtual void console(std::string_view bytes) = 0;
    // Something in the report has changed, or time has passed.
    virtual void progress(const BootReport& report) = 0;
    // Keys to type into the console; nullopt: none. "Leave" is reported by leave_wanted().
    virtual std::string input() = 0;
    virtual bool leave_wanted() = 0;
    // A descriptor that becomes readable when input() has something; -1: none.
    virtual int input_fd() const = 0;
};

// Whether a machine that came up is asked by vm2oci's agent what runs in it.
enum class FactsChoice { leave, ask };

struct BootOptions {
    std::string source; // for the report
    AccelerationChoice acceleration = AccelerationChoice::automatic;
    JudgePolicy policy;
    std::optional<Milliseconds> timeout; // of the user; replaces the policy's limits
    std::vector<std::string> commands;   // to run inside by the guest agent, once it is ready
    FactsChoice facts = FactsChoice::leave;
    MachineBackend backend = MachineBackend::automatic;
    std::filesystem::path kvm_device = "/dev/kvm";
    std::string qemu_binary = "qemu-system-x86_64";
};

// Ends by itself at the verdict, at a limit, or when the operation is cancelled (Outcome::stopped). Throws Error for
// what is no matter of the image: no QEMU, no KVM when asked for, no place for scratch files. Call it from a thread
// that lasts as long as the call: QEMU dies with it.
BootReport boot_machine(const VmSpec& spec, const BootOptions& options, BootObserver& observer,
                        const OperationContext& operation);

} // namespace vm2oci
