// Programs started as a container's: its user, groups, folder and environment.
#pragma once

#include "formats/container/program.hpp"

#include <sys/types.h>

#include <string>
#include <vector>

namespace vm2oci::guest {

struct StartedStreams {
    int input = -1;
    int output = -1;          // of standard output and standard error
    bool is_terminal = false; // the caller's controlling one: the program gets its foreground
};

// In a child that was just forked: becomes `arguments`, or exits as a shell would, with the reason on `output`.
[[noreturn]] void become_program(const ContainerProgram& program, const std::vector<std::string>& arguments,
                                 const StartedStreams& streams);

// Where a name without a slash may be, by the environment's PATH.
std::vector<std::string> places_of(const std::string& name, const std::vector<std::string>& environment);

} // namespace vm2oci::guest
