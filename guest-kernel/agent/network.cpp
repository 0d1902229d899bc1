#include "guest-kernel/agent/network.hpp"

#include "guest-kernel/agent/text.hpp"
#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

namespace vm2oci::guest {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kClientPort = 68;
constexpr std::uint16_t kServerPort = 67;
// A server on the same host answers at once; one that is not there must not keep the program waiting.
constexpr std::array kWaits = {std::chrono::milliseconds(500), std::chrono::milliseconds(1000),
                               std::chrono::milliseconds(2000), std::chrono::milliseconds(2000)};
constexpr std::uint32_t kShortestRenewal = 30; // seconds
constexpr std::uint32_t kLongestRenewal = 12 * 3600;

class Socket {
  public:
    explicit Socket(int type = SOCK_DGRAM) : fd_(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {}
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket() {
        if (fd_ >= 0)
            ::close(fd_);
    }
    int get() const { return fd_; }

  private:
    int fd_;
};

ifreq request_for(const std::string& card) {
    ifreq request{};
    std::strncpy(request.ifr_name, card.c_str(), IFNAMSIZ - 1);
    return request;
}

bool bring_up(int socket, const std::string& card) {
    ifreq request = request_for(card);
    if (::ioctl(socket, SIOCGIFFLAGS, &request) != 0)
        return false;
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP | IFF_RUNNING);
    return ::ioctl(socket, SIOCSIFFLAGS, &request) == 0;
}

sockaddr_in address_of(Ipv4 address, std::uint16_t port = 0) {
    sockaddr_in result{};
    result.sin_family = AF_INET;
    result.sin_port = htons(port);
    result.sin_addr.s_addr = htonl(address);
    return result;
}

void set_address(int socket, const std::string& card, unsigned long what, Ipv4 address) {
    ifreq request = request_for(card);
    const sockaddr_in value = address_of(address);
    std::memcpy(&request.ifr_addr, &value, sizeof value);
    ::ioctl(socket, what, &request);
}

void apply(const std::string& card, const DhcpLease& lease) {
    const Socket socket;
    set_address(socket.get(), card, SIOCSIFADDR, lease.address);
    set_address(socket.get(), card, SIOCSIFNETMASK, lease.netmask);
    constexpr std::uint32_t smallest_mtu = 576; // RFC 791
    if (lease.mtu >= smallest_mtu) {
        ifreq request = request_for(card);
        request.ifr_mtu = static_cast<int>(lease.mtu);
        ::ioctl(socket.get(), SIOCSIFMTU, &request);
    }
    if (lease.gateway == 0)
        return;
    rtentry route{};
    const sockaddr_in any = address_of(0);
    const sockaddr_in gateway = address_of(lease.gateway);
    std::memcpy(&route.rt_dst, &any, sizeof any);
    std::memcpy(&route.rt_genmask, &any, sizeof any);
    std::memcpy(&route.rt_gateway, &gateway, sizeof gateway);
    route.rt_flags = RTF_UP | RTF_GATEWAY;
    ::ioctl(socket.get(), SIOCADDRT, &route);
}

// The first card that is one, by name; "": none.
std::string first_card() {
    for (const std::string& name : list_folder("/sys/class/net"))
        if (trim(read_text("/sys/class/net/" + name + "/type", 16).value_or("")) == "1" &&
            read_text("/sys/class/net/" + name + "/device/uevent", 16))
            return name;
    return "";
}

std::optional<MacAddress> mac_of(int socket, const std::string& card) {
    ifreq request = request_for(card);
    if (::ioctl(socket, SIOCGIFHWADDR, &request) != 0)
        return std::nullopt;
    MacAddress mac{};
    std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
    return mac;
}

// One question, and the first answer of that kind, or a refusal.
std::optional<DhcpReply> ask(int socket, const MacAddress& mac, DhcpKind question, DhcpKind answer,
                             const DhcpLease& wanted, std::chrono::milliseconds wait) {
    std::uint32_t transaction = 0;
    if (::getrandom(&transaction, sizeof transaction, GRND_NONBLOCK) != sizeof transaction)
        transaction = static_cast<std::uint32_t>(Clock::now().time_since_epoch().count());
    const std::string message = dhcp_message(question, mac, transaction, wanted);
    const sockaddr_in everybody = address_of(INADDR_BROADCAST, kServerPort);
    ::sendto(socket, message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&everybody),
             sizeof everybody);
    const auto deadline = Clock::now() + wait;
    std::array<char, 2048> buffer{};
    while (true) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        pollfd entry{socket, POLLIN, 0};
        if (left.count() <= 0 || ::poll(&entry, 1, static_cast<int>(left.count())) <= 0)
            return std::nullopt;
        const ssize_t n = ::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (n <= 0)
            continue;
        auto reply = parse_dhcp_reply({buffer.data(), static_cast<std::size_t>(n)}, mac, transaction);
        if (reply && (reply->kind == answer || reply->kind == DhcpKind::refuse))
            return reply;
    }
}

// `known`: a lease that is to be prolonged.
std::optional<DhcpLease> obtain(const std::string& card, const std::optional<DhcpLease>& known) {
    const Socket socket;
    const int on = 1;
    const sockaddr_in here = address_of(INADDR_ANY, kClientPort);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const std::optional<MacAddress> mac = mac_of(socket.get(), card);
    if (!mac ||
        ::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, card.c_str(),
                     static_cast<socklen_t>(card.size() + 1)) != 0 ||
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0)
        return std::nullopt;
    for (const auto wait : kWaits) {
        std::optional<DhcpLease> wanted = known;
        if (!wanted)
            if (const auto offer = ask(socket.get(), *mac, DhcpKind::discover, DhcpKind::offer, {}, wait);
                offer && offer->kind == DhcpKind::offer)
                wanted = offer->lease;
        if (!wanted)
            continue;
        const auto reply = ask(socket.get(), *mac, DhcpKind::request, DhcpKind::acknowledge, *wanted, wait);
        if (reply && reply->kind == DhcpKind::acknowledge)
            return reply->lease;
        if (reply && known)
            return obtain(card, std::nullopt);
    }
    return std::nullopt;
}

// "": it has none.
std::string address_of_card(int socket, const std::string& card) {
    ifreq request = request_for(card);
    if (::ioctl(socket, SIOCGIFADDR, &request) != 0)
        return "";
    sockaddr_in address{};
    std::memcpy(&address, &request.ifr_addr, sizeof address);
    return ipv4_text(ntohl(address.sin_addr.s_addr));
}

NetworkNames names_of(const DhcpLease& lease) {
    NetworkNames names;
    names.address = ipv4_text(lease.address);
    names.domain = lease.domain;
    for (const Ipv4 server : lease.name_servers)
        names.name_servers.push_back(ipv4_text(server));
    return names;
}

[[noreturn]] void keep_lease(const std::string& card, DhcpLease lease) {
    while (true) {
        const std::uint32_t half = std::clamp(lease.seconds / 2, kShortestRenewal, kLongestRenewal);
        std::this_thread::sleep_for(std::chrono::seconds(half));
        const std::optional<DhcpLease> renewed = obtain(card, lease);
        if (!renewed)
            continue;
        if (renewed->address != lease.address || renewed->netmask != lease.netmask)
            apply(card, *renewed);
        lease = *renewed;
    }
}

} // namespace

NetworkNames parse_kernel_names(std::string_view text) {
    NetworkNames names;
    for (const std::string_view line : split_lines(text)) {
        const std::vector<std::string_view> words = split_words(line);
        if (words.size() == 2 && words[0] == "nameserver" && words[1] != "0.0.0.0")
            names.name_servers.emplace_back(words[1]);
        else if (words.size() == 2 && words[0] == "domain")
            names.domain = words[1];
    }
    return names;
}

NetworkNames set_up_network(const AddressWords& words) {
    const Socket socket;
    bring_up(socket.get(), "lo");
    const std::string card = words.device.empty() ? first_card() : words.device;
    if (words.setup == AddressWords::Setup::none || card.empty() || !bring_up(socket.get(), card))
        return {};
    if (const std::string address = address_of_card(socket.get(), card); !address.empty()) {
        NetworkNames names = parse_kernel_names(read_text("/proc/net/pnp", 4096).value_or(""));
        names.address = address;
        return names;
    }
    const std::optional<DhcpLease> lease =
        words.setup == AddressWords::Setup::fixed ? words.lease : obtain(card, std::nullopt);
    if (!lease)
        return {};
    apply(card, *lease);
    if (lease->seconds != 0 && lease->seconds != UINT32_MAX && ::fork() == 0)
        keep_lease(card, *lease);
    return names_of(*lease);
}

} // namespace vm2oci::guest
