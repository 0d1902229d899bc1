// The virtio-serial port on which the agent and the host talk.
#pragma once

#include <string>
#include <string_view>

namespace vm2oci::guest {

inline constexpr std::string_view kPortName = "org.vm2oci.agent.0";

// The device of the port, found without udev; "": the machine has none.
std::string find_port(std::string_view name = kPortName, const std::string& sysfs = "/sys",
                      const std::string& dev = "/dev");

} // namespace vm2oci::guest
