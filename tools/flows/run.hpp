// A container's program in a machine of its own, at the caller's terminal.
#pragma once

#include "libconvert/container/image_program.hpp"
#include "runner/program_run.hpp"
#include "tools/flows/boot.hpp"

#include <optional>
#include <string>

namespace vm2oci {

struct RunRequest {
    BootSourceRequest source; // an image: a container's, or a bundle of one
    std::string architecture; // chooses in an index; "": this machine's
    ProgramWishes program;
    std::string terminal; // TERM of the program, which gets a terminal; "": it gets none, and no input
    std::optional<TerminalSize> terminal_size; // of that terminal; nullopt: not known
    std::string address;                       // what ip= says to the kernel and vm2oci's init; "": nothing
    BootRequest machine;                       // accelerator, memory, processors, network
};

// What the machine starts, before it does. Layers of a container image are read whole and verified; of a bundle is read
// what the machine reads. Error{usage}: no image, or one of an operating system.
BootSubject open_run_subject(const RunRequest& request, const OperationContext& operation);

ProgramEnd run_subject(const BootSubject& subject, const RunRequest& request, ProgramTerminal& terminal,
                       const OperationContext& operation);

} // namespace vm2oci
