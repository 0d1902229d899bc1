// The table of QEMU's user-mode network, as its monitor prints it.
#pragma once

#include <cstdint>
#include <string_view>

namespace vm2oci {

inline constexpr std::string_view kUsernetHead = "Protocol[State]"; // what only this table has in it

// True if `table` has an established connection that came in by the host's port.
bool usernet_established(std::string_view table, std::uint16_t host_port);

} // namespace vm2oci
