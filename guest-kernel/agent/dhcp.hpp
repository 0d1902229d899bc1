// DHCP's messages (RFC 2131, 2132), without the network: bytes out, bytes in.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::guest {

using MacAddress = std::array<unsigned char, 6>;
using Ipv4 = std::uint32_t; // in the order of the host

std::string ipv4_text(Ipv4 address); // "10.0.2.15"

enum class DhcpKind : std::uint8_t { discover = 1, offer = 2, request = 3, acknowledge = 5, refuse = 6 };

struct DhcpLease {
    Ipv4 address = 0;
    Ipv4 netmask = 0;
    Ipv4 gateway = 0; // 0: none
    Ipv4 server = 0;
    std::vector<Ipv4> name_servers;
    std::string domain;        // letters, digits, "-" and "." alone; "": none
    std::uint32_t seconds = 0; // it lasts; 0: not said
    std::uint32_t mtu = 0;     // 0: not said
};

struct DhcpReply {
    DhcpKind kind = DhcpKind::offer;
    DhcpLease lease;
};

// A discover, or a request for what `wanted` says (its server "0": whoever gave it). Answers come as broadcasts: the
// interface has no address that they could be sent to.
std::string dhcp_message(DhcpKind kind, const MacAddress& mac, std::uint32_t transaction, const DhcpLease& wanted);

// nullopt: it is no answer to that transaction, or one without an address or a kind.
std::optional<DhcpReply> parse_dhcp_reply(std::string_view bytes, const MacAddress& mac, std::uint32_t transaction);

} // namespace vm2oci::guest
