#include "guest-kernel/agent/facts.hpp"

#include "guest-kernel/agent/text.hpp"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <optional>
#include <set>

namespace vm2oci::guest {
namespace {

constexpr std::size_t kReleaseLimit = 16'384;
constexpr std::size_t kSocketTableLimit = 4'194'304; // some 25,000 sockets

// net/tcp_states.h of the kernel: TCP_LISTEN; TCP_CLOSE is what a bound UDP socket without a peer is in.
constexpr std::string_view kTcpListen = "0A";
constexpr std::string_view kUdpBound = "07";

// systemd's rules for values in such files: quotes may surround, a backslash escapes inside double quotes.
std::string unquote(std::string_view value) {
    if (value.size() < 2 || (value.front() != '"' && value.front() != '\'') || value.back() != value.front())
        return std::string(value);
    const bool escapes = value.front() == '"';
    value = value.substr(1, value.size() - 2);
    std::string text;
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (escapes && value[i] == '\\' && i + 1 < value.size())
            ++i;
        text += value[i];
    }
    return text;
}

std::optional<unsigned> hexadecimal(std::string_view text) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

// Addresses stand there as words in the byte order of the machine, which is little-endian wherever this runs.
bool is_loopback(std::string_view address) {
    return (address.size() == 8 && address.ends_with("7F")) || address == "00000000000000000000000001000000" ||
           (address.size() == 32 && address.starts_with("0000000000000000FFFF0000") && address.ends_with("7F"));
}

std::optional<std::string> text_of(const ifaddrs& entry) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (entry.ifa_addr == nullptr || (entry.ifa_flags & IFF_UP) == 0 || (entry.ifa_flags & IFF_LOOPBACK) != 0)
        return std::nullopt;
    if (entry.ifa_addr->sa_family == AF_INET) {
        const auto* address = reinterpret_cast<const sockaddr_in*>(entry.ifa_addr);
        ::inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size());
    } else if (entry.ifa_addr->sa_family == AF_INET6) {
        const auto* address = reinterpret_cast<const sockaddr_in6*>(entry.ifa_addr);
        if (IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr))
            return std::nullopt;
        ::inet_ntop(AF_INET6, &address->sin6_addr, text.data(), text.size());
    } else {
        return std::nullopt;
    }
    return std::string(text.data());
}

} // namespace

std::uint64_t uptime_milliseconds() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000000;
}

std::string kernel_release() {
    utsname names{};
    return ::uname(&names) == 0 ? names.release : "";
}

std::string os_json(std::string_view os_release) {
    std::string id;
    std::string version;
    std::string name;
    for (const std::string_view line : split_lines(os_release)) {
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos)
            continue;
        const std::string_view key = trim(line.substr(0, equals));
        const std::string value = unquote(trim(line.substr(equals + 1)));
        if (key == "ID")
            id = value;
        else if (key == "VERSION_ID")
            version = value;
        else if (key == "PRETTY_NAME")
            name = value;
    }
    std::string json = "{";
    const auto add = [&](std::string_view key, const std::string& value) {
        if (!value.empty())
            json += (json.size() > 1 ? "," : "") + json_quote(key) + ":" + json_quote(value);
    };
    add("id", id);
    add("version_id", version);
    add("pretty_name", name);
    return json + "}";
}

std::string os_json_of(const std::string& root) {
    for (const char* path : {"/etc/os-release", "/usr/lib/os-release"})
        if (const auto text = read_text(root + path, kReleaseLimit))
            return os_json(*text);
    return "{}";
}

std::vector<std::string> addresses() {
    ifaddrs* first = nullptr;
    std::vector<std::string> found;
    if (::getifaddrs(&first) != 0)
        return found;
    for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next)
        if (auto text = text_of(*entry); text && std::find(found.begin(), found.end(), *text) == found.end())
            found.push_back(std::move(*text));
    ::freeifaddrs(first);
    return found;
}

std::vector<std::string> listening_ports(const std::vector<SocketTable>& tables) {
    std::set<std::pair<std::string, unsigned>> found;
    for (const SocketTable& table : tables)
        for (const std::string_view line : split_lines(table.text)) {
            // "0: 0100007F:0016 00000000:0000 0A …"; the heading has no such words.
            const std::vector<std::string_view> words = split_words(line);
            if (words.size() < 4 || words[3] != (table.protocol == "tcp" ? kTcpListen : kUdpBound))
                continue;
            const std::size_t colon = words[1].find(':');
            if (colon == std::string_view::npos || is_loopback(words[1].substr(0, colon)))
                continue;
            if (const auto port = hexadecimal(words[1].substr(colon + 1)))
                found.emplace(table.protocol, *port);
        }
    std::vector<std::string> ports;
    ports.reserve(found.size());
    for (const auto& [protocol, port] : found)
        ports.push_back(protocol + "/" + std::to_string(port));
    return ports;
}

std::vector<std::string> listening_ports() {
    std::vector<SocketTable> tables;
    for (const std::string_view protocol : {"tcp", "udp"})
        for (const std::string_view family : {"", "6"})
            if (auto text = read_text("/proc/net/" + std::string(protocol) + std::string(family), kSocketTableLimit))
                tables.push_back({protocol, std::move(*text)});
    return listening_ports(tables);
}

std::vector<std::string> module_names(std::string_view proc_modules) {
    std::vector<std::string> names;
    for (const std::string_view line : split_lines(proc_modules))
        names.push_back(first_word(line));
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<std::string> unit_names(std::string_view list) {
    std::vector<std::string> names;
    for (const std::string_view line : split_lines(list))
        if (std::string name = first_word(line); name.find('.') != std::string::npos)
            names.push_back(std::move(name));
    std::sort(names.begin(), names.end());
    return names;
}

std::string boot_json(std::string_view properties) {
    struct Property {
        std::string_view name;
        std::string_view key;
    };
    constexpr std::array kProperties = {Property{"InitRDTimestampMonotonic", "initrd"},
                                        Property{"UserspaceTimestampMonotonic", "userspace"},
                                        Property{"FinishTimestampMonotonic", "finish"}};
    std::string json = "{\"kernel\":0";
    for (const auto& [name, key] : kProperties)
        for (const std::string_view line : split_lines(properties)) {
            if (!line.starts_with(name) || line.substr(name.size(), 1) != "=")
                continue;
            const std::string_view text = trim(line.substr(name.size() + 1));
            std::uint64_t microseconds = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), microseconds);
            if (error == std::errc() && end == text.data() + text.size() && microseconds > 0)
                json += "," + json_quote(key) + ":" + std::to_string(microseconds / 1000);
        }
    return json + "}";
}

} // namespace vm2oci::guest
