// Runs a container's machine until its program ends, without a verdict: whoever sits at the terminal judges.
#pragma once

#include "formats/base/progress.hpp"
#include "runner/acceleration.hpp"
#include "runner/machine/spec.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

struct TerminalSize {
    unsigned rows = 0;
    unsigned columns = 0;
};

// Who sits there. Called from the thread of run_program().
class ProgramTerminal {
  public:
    virtual ~ProgramTerminal() = default;
    // The program's bytes, as it printed them.
    virtual void output(std::string_view bytes) = 0;
    // Which accelerator was chosen, and why.
    virtual void chosen(Accelerator accelerator, std::string_view reason) = 0;
    // Keys for the program; empty: none.
    virtual std::string input() = 0;
    // Becomes readable when input() has something; -1: there is never any.
    virtual int input_fd() const = 0;
    // Signals for the program that have come since the last call, by their numbers.
    virtual std::vector<int> take_signals() = 0;
    // The terminal's size where it has changed since the last call; nullopt: it has not, or there is none.
    virtual std::optional<TerminalSize> take_resize() = 0;
    // Nobody wants to wait for it any longer.
    virtual bool leave_wanted() = 0;
};

struct ProgramOptions {
    AccelerationChoice acceleration = AccelerationChoice::automatic;
    std::filesystem::path kvm_device = "/dev/kvm";
    std::string qemu_binary = "qemu-system-x86_64";
};

struct ProgramEnd {
    std::optional<int> exit_code; // as a shell has it; nullopt: the machine ended before the program did, or was left
    bool has_started = false;     // the program
    bool was_left = false;
    std::string reason;   // without an exit code: what happened; safe to print
    std::string messages; // the end of what the console said before the program started; the guest's, raw
};

// Throws Error for what is no matter of the program, as boot_machine() does. Call it from a thread that lasts as long
// as the call.
ProgramEnd run_program(const VmSpec& spec, const ProgramOptions& options, ProgramTerminal& terminal,
                       const OperationContext& operation);

} // namespace vm2oci
