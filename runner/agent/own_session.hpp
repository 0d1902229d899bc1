// The conversation with vm2oci's own agent, without the channel: bytes in, bytes out.
//
// The guest's side is guest-kernel/agent. Both say JSON objects, one a line: the guest "hello" when it opens the port,
// "ready" when the system is up, and answers to "exec" and "facts". What the guest says is untrusted and bounded.
#pragma once

#include "formats/base/agent_port.hpp"
#include "runner/agent/agent_session.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci {

inline constexpr std::string_view kOwnAgentPort = kAgentPort;
inline constexpr std::size_t kOwnAgentLineLimit = 1024ull * 1024; // two outputs of 64 KiB in base64, or some 1000 names
inline constexpr std::size_t kOwnAgentListLimit = 4096;           // names of a list are kept: units of a large server
inline constexpr std::size_t kOwnAgentTextLimit = 1024;           // bytes of one name

// All strings are the guest's: escape before printing.
struct OwnAgentHello {
    std::uint64_t version = 0; // of the protocol
    std::string kernel;
};

struct OwnAgentReady {
    std::chrono::milliseconds uptime{0}; // of the guest
    std::string state;                   // "running", "degraded"; "unknown" without a service manager that can tell
    std::string os_name;
    std::vector<std::string> addresses;
    std::vector<std::string> units_failed;
};

struct OwnAgentFacts {
    std::vector<std::string> units;
    std::vector<std::string> units_failed;
    std::vector<std::string> listening; // "tcp/22"
    std::vector<std::string> modules;
};

class OwnAgentSession {
  public:
    using Milliseconds = std::chrono::milliseconds;

    void port_closed();
    void feed(std::string_view bytes, Milliseconds now);
    // Gives up commands whose time is over; call now and then.
    void tick(Milliseconds now);
    // What is to be written to the channel; the caller removes what it wrote from the front.
    std::string& output() { return output_; }

    const std::optional<OwnAgentHello>& hello() const { return hello_; }
    const std::optional<OwnAgentReady>& ready() const { return ready_; }

    // Runs a shell command in the guest; `done` is called once, from feed() or tick(). One at a time.
    void execute(std::string command, Milliseconds limit, std::function<void(ExecResult)> done);
    // Has a signal handed to a container's program, once the agent is there.
    void pass_signal(int signal);
    // The size of that program's terminal, likewise; only the last one counts.
    void resize(unsigned rows, unsigned columns);
    // Asks what runs in the guest; `done` is called at most once, from feed().
    void ask_facts(std::function<void(const OwnAgentFacts&)> done);

  private:
    struct Command {
        std::string text;
        Milliseconds limit{0};
        std::function<void(ExecResult)> done;
        Milliseconds started{0};
        std::int64_t id = 0;
    };

    void take_line(std::string_view line, Milliseconds now);
    void start_next(Milliseconds now);
    void pass_on();
    void finish_command(ExecResult result);

    std::string line_;
    bool skipping_ = false; // the rest of a line that was too long
    std::string output_;
    std::optional<OwnAgentHello> hello_;
    std::optional<OwnAgentReady> ready_;
    std::deque<Command> commands_;
    std::vector<int> signals_;                          // that wait for the agent
    std::optional<std::pair<unsigned, unsigned>> size_; // rows and columns that do
    std::optional<Command> current_;
    std::function<void(const OwnAgentFacts&)> facts_done_;
    std::int64_t next_id_ = 1;
};

} // namespace vm2oci
