// The readiness agent: talks to the host on a virtio-serial port until the machine ends.
#pragma once

#include "guest-kernel/agent/session.hpp"

#include <string>

namespace vm2oci::guest {

// Returns the exit code. Without the port (it may come late, so it is waited for shortly) that is 0, and nothing is
// printed: a machine may be booted by others than vm2oci. Without a container the
// host is told that there is none when it asks for one.
int run_agent(const std::string& port = {}, ContainerReach container = {});

} // namespace vm2oci::guest
