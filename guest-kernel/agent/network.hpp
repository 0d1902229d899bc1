// The network of a container's machine: loopback, and one card, by DHCP or as ip= says.
#pragma once

#include "guest-kernel/agent/address_words.hpp"

#include <string>
#include <vector>

namespace vm2oci::guest {

struct NetworkNames {
    std::string address;                   // of the machine; "": none
    std::vector<std::string> name_servers; // addresses
    std::string domain;
};

// A card that has an address already, for the kernel reads ip=, too, is left as it is. Never throws and waits some
// seconds at most: what a machine without a network does is for its program to say. A process of its own keeps a lease.
NetworkNames set_up_network(const AddressWords& words);

// Of /proc/net/pnp, where the kernel leaves what it learned.
NetworkNames parse_kernel_names(std::string_view text);

} // namespace vm2oci::guest
