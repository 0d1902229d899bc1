// A moment of a boot.
#pragma once

#include <chrono>

namespace vm2oci {

using Milliseconds = std::chrono::milliseconds;

// Since power-on, and how much processor time the machine has used until then. Emulated machines are timed by the
// latter, because their host may be busy with something else.
struct BootInstant {
    Milliseconds wall{0};
    Milliseconds cpu{0};
    // Time that the machine waited for a processor of the host: starved is not idle. Never more than `wall`.
    Milliseconds starved{0};

    // What counts against the machine.
    Milliseconds own() const { return wall - starved; }
};

} // namespace vm2oci
