#include "guest-kernel/agent/agent.hpp"

#include "guest-kernel/agent/port.hpp"
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <thread>
#include <utility>
#include <vector>

namespace vm2oci::guest {
namespace {

// A driver that is a module may still be on its way.
constexpr std::chrono::milliseconds kPortWait{3000};
constexpr std::chrono::milliseconds kPortInterval{100};
constexpr int kBusyMilliseconds = 50;
constexpr int kIdleMilliseconds = 500;

std::string wait_for_port() {
    const auto deadline = std::chrono::steady_clock::now() + kPortWait;
    std::string device = find_port();
    while (device.empty() && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(kPortInterval);
        device = find_port();
    }
    return device;
}

// Sends what the port takes.
void drain(int port, std::string& output) {
    while (!output.empty()) {
        const ssize_t n = ::write(port, output.data(), output.size());
        if (n <= 0)
            return;
        output.erase(0, static_cast<std::size_t>(n));
    }
}

} // namespace

int run_agent(const std::string& port_path, ContainerReach container) {
    ::signal(SIGPIPE, SIG_IGN);
    const std::string device = port_path.empty() ? wait_for_port() : port_path;
    const int port = device.empty() ? -1 : ::open(device.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (port < 0)
        return 0; // none, or another agent holds it
    Session session(std::move(container));
    bool connected = false;
    std::array<char, 16384> buffer{};
    while (true) {
        const bool busy = !session.commands().empty();
        std::vector<pollfd> entries = {
            {port, static_cast<short>(session.output().empty() ? POLLIN : POLLIN | POLLOUT), 0}};
        session.commands().add_to(entries);
        // While nobody is connected the port reports that without end.
        if (!connected)
            entries.erase(entries.begin());
        ::poll(entries.data(), entries.size(), busy ? kBusyMilliseconds : kIdleMilliseconds);
        pollfd state{port, POLLIN | POLLOUT, 0};
        ::poll(&state, 1, 0);
        if ((state.revents & (POLLERR | POLLNVAL)) != 0)
            return 0; // the device has been taken away
        const bool was_connected = connected;
        connected = (state.revents & POLLHUP) == 0;
        if (connected && !was_connected)
            session.connected();
        const ssize_t n = connected ? ::read(port, buffer.data(), buffer.size()) : -1;
        if (n > 0)
            session.feed({buffer.data(), static_cast<std::size_t>(n)});
        session.poll();
        if (connected)
            drain(port, session.output());
    }
}

} // namespace vm2oci::guest
