#include "guest-kernel/agent/address_words.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace vm2oci::guest {
namespace {

enum Field : std::size_t { client, server, gateway, netmask, host, device, autoconf, name_server, second_name_server };

Ipv4 parse_ipv4(std::string_view text) {
    in_addr address{};
    return ::inet_pton(AF_INET, std::string(text).c_str(), &address) == 1 ? ntohl(address.s_addr) : 0;
}

bool is_off(std::string_view word) {
    return word == "off" || word == "none";
}

// RFC 791, 3.2: what is not said follows from the first bits.
Ipv4 netmask_of_class(Ipv4 address) {
    return address >> 31 == 0 ? 0xff000000 : address >> 30 == 2 ? 0xffff0000 : 0xffffff00;
}

} // namespace

AddressWords parse_address_words(std::string_view value) {
    AddressWords words;
    if (value.find(':') == std::string_view::npos && parse_ipv4(value) == 0) {
        words.setup = is_off(value) ? AddressWords::Setup::none : AddressWords::Setup::dhcp;
        return words;
    }
    std::array<std::string_view, second_name_server + 1> fields;
    for (std::string_view& field : fields) {
        const std::size_t end = std::min(value.find(':'), value.size());
        field = value.substr(0, end);
        value.remove_prefix(std::min(end + 1, value.size()));
    }
    words.device = fields[device];
    words.lease.address = parse_ipv4(fields[client]);
    if (words.lease.address == 0) {
        words.setup = is_off(fields[autoconf]) ? AddressWords::Setup::none : AddressWords::Setup::dhcp;
        return words;
    }
    words.setup = AddressWords::Setup::fixed;
    words.lease.gateway = parse_ipv4(fields[gateway]);
    words.lease.netmask = parse_ipv4(fields[netmask]);
    if (words.lease.netmask == 0)
        words.lease.netmask = netmask_of_class(words.lease.address);
    for (const Field field : {name_server, second_name_server})
        if (const Ipv4 known = parse_ipv4(fields[field]); known != 0)
            words.lease.name_servers.push_back(known);
    return words;
}

} // namespace vm2oci::guest
