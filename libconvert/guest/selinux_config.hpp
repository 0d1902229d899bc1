// What /etc/selinux/config says, as libselinux reads it, which init loads the policy with.
#pragma once

#include <string_view>

namespace vm2oci {

// "enforcing", "permissive" or "disabled": of the first line that says one. In any case, and whatever stands behind it
// (libselinux, selinux_getenforcemode()); blanks around the key and quotation marks, which libselinux does not take,
// are taken here, for what was meant is plain. "": nothing is said.
std::string_view selinux_mode_of(std::string_view config);

} // namespace vm2oci
