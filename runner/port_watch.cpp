#include "runner/port_watch.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr PortWatch::Milliseconds kPollInterval{1000};
// The guest had this long to answer a connection; then another one is tried.
constexpr PortWatch::Milliseconds kConnectionLife{5000};

} // namespace

PortWatch::PortWatch(const std::vector<PortForward>& forwards) {
    for (const PortForward& forward : forwards)
        ports_.push_back({forward, UniqueFd(), Milliseconds{0}, std::nullopt});
}

bool PortWatch::all_open() const {
    return std::all_of(ports_.begin(), ports_.end(), [](const Port& port) { return port.opened.has_value(); });
}

void PortWatch::try_connect(Port& port, Milliseconds now) {
    port.connection = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    port.connected = now;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port.forward.host);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // Whether it works is asked of the machine's network.
    (void)!::connect(port.connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

bool PortWatch::poll(Milliseconds now) {
    if (now < next_poll_ || all_open())
        return false;
    next_poll_ = now + kPollInterval;
    for (Port& port : ports_)
        if (!port.opened && (!port.connection || now - port.connected >= kConnectionLife))
            try_connect(port, now);
    return true;
}

void PortWatch::take_connections(const std::vector<std::uint16_t>& host_ports, Milliseconds now) {
    for (Port& port : ports_) {
        if (port.opened || std::find(host_ports.begin(), host_ports.end(), port.forward.host) == host_ports.end())
            continue;
        port.opened = now;
        port.connection.reset();
    }
}

} // namespace vm2oci
