// The network of a container's machine: loopback, and the first card by DHCP.
#pragma once

#include "guest-kernel/agent/dhcp.hpp"

#include <string>
#include <vector>

namespace vm2oci::guest {

struct NetworkNames {
    std::string address;                   // of the machine; "": none
    std::vector<std::string> name_servers; // addresses
    std::string domain;
};

enum class CardSetup {
    dhcp,
    by_kernel, // ip= on its command line: it is done already
};

// Never throws and waits some seconds at most: what a machine without a network does is for its program to say. A
// process of its own keeps the lease.
NetworkNames set_up_network(CardSetup setup);

// Of /proc/net/pnp, where the kernel leaves what it learned.
NetworkNames parse_kernel_names(std::string_view text);

} // namespace vm2oci::guest
