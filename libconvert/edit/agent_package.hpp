// Agents as users name them, unpacked into files: nothing of a package is ever run.
#pragma once

#include "libconvert/edit/request.hpp"

#include <string>
#include <string_view>

namespace vm2oci {

inline constexpr std::size_t kAgentSizeLimit = 256ull * 1024 * 1024; // unpacked; agents have a few MB

// "qemu-ga" (this machine's own), "vm2oci" (ours, which came with the program), the path of a .deb, .rpm or tar, a
// folder that is laid over the guest's root, or FILE:UNIT (a program and the unit that starts it). Error{not_found},
// Error{corrupt}, Error{unsupported}, Error{limit}.
AgentRequest load_agent(const std::string& specification);

// The files of a package in memory; `name` is for messages and says nothing of the format.
AgentRequest read_agent_package(std::string_view bytes, const std::string& name);

} // namespace vm2oci
