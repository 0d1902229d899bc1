// What ip= on a kernel's command line says (the kernel's Documentation/admin-guide/nfs/nfsroot.rst), for kernels that
// do not read it themselves.
#pragma once

#include "guest-kernel/agent/dhcp.hpp"

#include <string>
#include <string_view>

namespace vm2oci::guest {

struct AddressWords {
    enum class Setup {
        dhcp,  // nothing is said, or "dhcp", "on", "any" and what else a server is asked by
        fixed, // the address stands there
        none,  // "off", "none": the card is left alone
    };
    Setup setup = Setup::dhcp;
    DhcpLease lease;    // Setup::fixed: all but what only a server knows
    std::string device; // the card; "": the first one
};

// "ip=" itself is not part of it. CLIENT:SERVER:GATEWAY:NETMASK:HOST:DEVICE:AUTOCONF:DNS:DNS:NTP, of which those behind
// may be missing, or AUTOCONF alone. What is no address counts as not there; a netmask that is not there is that of the
// address's class.
AddressWords parse_address_words(std::string_view value);

} // namespace vm2oci::guest
