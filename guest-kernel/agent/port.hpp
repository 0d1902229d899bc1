// The virtio-serial port on which the agent and the host talk.
#pragma once

#include "formats/base/agent_port.hpp"

#include <string>
#include <string_view>

namespace vm2oci::guest {

// The device of the port, found without udev; "": the machine has none.
std::string find_port(std::string_view name = kAgentPort, const std::string& sysfs = "/sys",
                      const std::string& dev = "/dev");

} // namespace vm2oci::guest
