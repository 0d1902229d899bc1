// The life of a container's program in a machine of its own, by process 1.
#pragma once

#include "formats/container/program.hpp"

#include "guest-kernel/agent/boot_line.hpp"

namespace vm2oci::guest {

// With the program's root as "/", and proc, sys and dev mounted in it. Sets the machine up, starts the program, hands
// it signals, takes care of orphans, and when it ends says so and ends the machine. Throws Error where the machine
// cannot be set up; returns only when the machine does not end.
void run_container(const ContainerProgram& program, const BootLine& line);

} // namespace vm2oci::guest
