// The agent's side of the conversation: requests in, answers out, and the news of the system being up.
#pragma once

#include "guest-kernel/agent/commands.hpp"
#include "guest-kernel/agent/request.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace vm2oci::guest {

// How to reach a container's program; each says whether it could. Empty: there is none.
struct ContainerReach {
    std::function<bool(int signal)> signal;
    std::function<bool(int rows, int columns)> resize; // its terminal
};

// Not thread-safe. The caller moves bytes between the port and feed() and output(), and calls poll() at least every
// 100 ms while a command runs, every second else.
class Session final {
  public:
    Session() = default;
    explicit Session(ContainerReach container) : container_(std::move(container)) {}

    // The host has (re)connected: what it may have missed is said again.
    void connected();
    void feed(std::string_view bytes);
    void poll();

    std::string& output() { return output_; } // the caller takes from the front what it has sent
    Commands& commands() { return commands_; }

  private:
    using Clock = std::chrono::steady_clock;

    void send(std::string_view type, std::string_view fields = {});
    void refuse(std::string_view problem, const Request* request = nullptr);
    void handle(std::string_view line);
    void execute(const Request& request);
    void pass_signal(const Request& request);
    void resize(const Request& request);
    void send_facts(const Request& request);
    void gather_facts(const Request& request, std::string active);
    void watch_system();
    void take_state(const CommandResult& result);
    void watch_other_init();
    void system_is_up(std::string_view state);
    void send_ready();

    ContainerReach container_;
    Commands commands_;
    std::string input_;
    std::string output_;
    bool skipping_ = false; // the rest of a line that was too long
    bool watching_ = false;
    bool up_ = false;
    bool waits_at_once_ = true; // systemctl knows --wait
    Clock::time_point next_look_{};
    Clock::time_point started_ = Clock::now();
    std::string state_;
    std::string ready_; // the message, once there is one
};

} // namespace vm2oci::guest
