// The readiness agent: talks to the host on a virtio-serial port until the machine ends.
#pragma once

#include <functional>
#include <string>

namespace vm2oci::guest {

// Returns the exit code. Without the port (it may come late, so it is waited for shortly) that is 0, and nothing is
// printed: a machine may be booted by others than vm2oci. `forward` hands a signal to a container's program; without it
// the host is told that there is none.
int run_agent(const std::string& port = {}, std::function<bool(int signal)> forward = {});

} // namespace vm2oci::guest
