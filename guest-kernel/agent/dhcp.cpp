#include "guest-kernel/agent/dhcp.hpp"

#include <algorithm>

namespace vm2oci::guest {
namespace {

constexpr std::size_t kFixedSize = 236; // before the options and their cookie
constexpr std::string_view kCookie = "\x63\x82\x53\x63";
constexpr std::size_t kSmallest = 300; // of BOOTP, which relays may insist on

namespace option {
constexpr unsigned char pad = 0;
constexpr unsigned char netmask = 1;
constexpr unsigned char router = 3;
constexpr unsigned char name_server = 6;
constexpr unsigned char domain = 15;
constexpr unsigned char mtu = 26;
constexpr unsigned char requested_address = 50;
constexpr unsigned char lease_time = 51;
constexpr unsigned char message_type = 53;
constexpr unsigned char server = 54;
constexpr unsigned char parameters = 55;
constexpr unsigned char end = 255;
} // namespace option

void put_number(std::string& out, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        out += static_cast<char>(value >> shift & 0xff);
}

void put_option(std::string& out, unsigned char code, std::string_view value) {
    out += static_cast<char>(code);
    out += static_cast<char>(value.size());
    out += value;
}

void put_address(std::string& out, unsigned char code, Ipv4 address) {
    std::string bytes;
    put_number(bytes, address);
    put_option(out, code, bytes);
}

std::uint32_t number_at(std::string_view bytes, std::size_t at, std::size_t size = 4) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i)
        value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    return value;
}

// What goes into resolv.conf: nothing that begins another line there.
std::string domain_of(std::string_view text) {
    const bool is_name = std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    });
    return is_name ? std::string(text) : std::string();
}

void take_option(unsigned char code, std::string_view value, DhcpReply& reply, bool& has_kind) {
    DhcpLease& lease = reply.lease;
    if (code == option::message_type && value.size() == 1) {
        const auto kind = static_cast<unsigned char>(value[0]);
        has_kind = kind == static_cast<unsigned char>(DhcpKind::offer) ||
                   kind == static_cast<unsigned char>(DhcpKind::acknowledge) ||
                   kind == static_cast<unsigned char>(DhcpKind::refuse);
        reply.kind = static_cast<DhcpKind>(kind);
    } else if (code == option::netmask && value.size() == 4) {
        lease.netmask = number_at(value, 0);
    } else if (code == option::router && value.size() >= 4) {
        lease.gateway = number_at(value, 0);
    } else if (code == option::name_server) {
        for (std::size_t at = 0; at + 4 <= value.size(); at += 4)
            lease.name_servers.push_back(number_at(value, at));
    } else if (code == option::domain) {
        lease.domain = domain_of(value.substr(0, value.find('\0')));
    } else if (code == option::mtu && value.size() == 2) {
        lease.mtu = number_at(value, 0, 2);
    } else if (code == option::lease_time && value.size() == 4) {
        lease.seconds = number_at(value, 0);
    } else if (code == option::server && value.size() == 4) {
        lease.server = number_at(value, 0);
    }
}

} // namespace

std::string ipv4_text(Ipv4 address) {
    std::string text;
    for (int shift = 24; shift >= 0; shift -= 8)
        text += (text.empty() ? "" : ".") + std::to_string(address >> shift & 0xff);
    return text;
}

std::string dhcp_message(DhcpKind kind, const MacAddress& mac, std::uint32_t transaction, const DhcpLease& wanted) {
    std::string message("\x01\x01\x06\x00", 4); // a request, of Ethernet, with addresses of six bytes
    put_number(message, transaction);
    put_number(message, 0x8000); // no time has passed; the answer is to be a broadcast
    message.append(16, '\0');    // addresses, none of which is known
    for (const unsigned char byte : mac)
        message += static_cast<char>(byte);
    message.resize(kFixedSize, '\0');
    message += kCookie;
    put_option(message, option::message_type, std::string(1, static_cast<char>(kind)));
    if (kind == DhcpKind::request) {
        put_address(message, option::requested_address, wanted.address);
        if (wanted.server != 0)
            put_address(message, option::server, wanted.server);
    }
    const std::string asked = {option::netmask, option::router, option::name_server,
                               option::domain,  option::mtu,    option::lease_time};
    put_option(message, option::parameters, asked);
    message += static_cast<char>(option::end);
    message.resize(std::max(message.size(), kSmallest), '\0');
    return message;
}

std::optional<DhcpReply> parse_dhcp_reply(std::string_view bytes, const MacAddress& mac, std::uint32_t transaction) {
    constexpr std::size_t mac_at = 28;
    constexpr std::size_t address_at = 16;
    if (bytes.size() < kFixedSize + kCookie.size() || bytes[0] != 2 || number_at(bytes, 4) != transaction ||
        bytes.substr(kFixedSize, kCookie.size()) != kCookie)
        return std::nullopt;
    for (std::size_t i = 0; i < mac.size(); ++i)
        if (static_cast<unsigned char>(bytes[mac_at + i]) != mac[i])
            return std::nullopt;
    DhcpReply reply;
    bool has_kind = false;
    reply.lease.address = number_at(bytes, address_at);
    for (std::size_t at = kFixedSize + kCookie.size(); at < bytes.size();) {
        const auto code = static_cast<unsigned char>(bytes[at++]);
        if (code == option::end)
            break;
        if (code == option::pad)
            continue;
        if (at >= bytes.size())
            return std::nullopt;
        const std::size_t size = static_cast<unsigned char>(bytes[at++]);
        if (size > bytes.size() - at)
            return std::nullopt;
        take_option(code, bytes.substr(at, size), reply, has_kind);
        at += size;
    }
    if (!has_kind || (reply.kind != DhcpKind::refuse && reply.lease.address == 0))
        return std::nullopt;
    if (reply.lease.netmask == 0)
        reply.lease.netmask = 0xffffff00;
    return reply;
}

} // namespace vm2oci::guest
