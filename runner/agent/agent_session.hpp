// The conversation with qemu-guest-agent, without the channel: bytes in, bytes out.
//
// It begins when the guest opens the port: asked earlier, the questions would pile up in the channel and block it. One
// question at a time; what the guest answers is untrusted and bounded.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kAgentLineLimit = 4ull * 1024 * 1024; // guest-exec sends a program's output in one line
inline constexpr std::size_t kAgentOutputLimit = 64ull * 1024;     // of a program's output is kept

// All strings are the guest's: escape before printing.
struct AgentInfo {
    std::string version;
    std::string os_name; // "Debian GNU/Linux 12 (bookworm)"
    std::string kernel;
    bool can_execute = false; // guest-exec is there and enabled
};

struct ExecResult {
    std::string command;
    std::optional<int> exit_code; // none: it did not end by itself
    std::string output;           // standard output, then standard error
    std::string problem;          // why there is no exit code
};

class AgentSession {
  public:
    using Milliseconds = std::chrono::milliseconds;

    // Forgets what was asked and begins anew with a handshake.
    void port_opened();
    void port_closed();

    void feed(std::string_view bytes, Milliseconds now);
    // Sends questions that have waited; call now and then.
    void tick(Milliseconds now);
    // What is to be written to the channel; the caller removes what it wrote from the front.
    std::string& output() { return output_; }

    // The agent has answered the handshake and said who it is.
    const std::optional<AgentInfo>& info() const { return info_; }

    // Runs a shell command in the guest; `done` is called once, from feed() or tick(). A command that runs longer than
    // `limit` is given up. Only when info() says can_execute.
    void execute(std::string command, Milliseconds limit, std::function<void(ExecResult)> done);
    // Nothing runs and nothing waits.
    bool idle() const { return !current_ && commands_.empty(); }

  private:
    enum class Phase { closed, synchronising, asking_info, asking_os, ready };
    struct Command {
        std::string text;
        Milliseconds limit{0};
        std::function<void(ExecResult)> done;
        Milliseconds started{0};
        std::optional<std::uint64_t> pid;
        bool answer_pending = false;
    };

    void send(std::string_view method, const std::string& arguments = {});
    void take_line(std::string_view line, Milliseconds now);
    void take_exec_answer(std::string_view line, Milliseconds now);
    void finish_command(ExecResult result);
    void start_next(Milliseconds now);

    Phase phase_ = Phase::closed;
    std::uint64_t sync_id_ = 0;
    std::string line_;
    std::string output_;
    AgentInfo draft_;
    std::optional<AgentInfo> info_;
    std::deque<Command> commands_;
    std::optional<Command> current_;
    Milliseconds next_poll_{0};
};

} // namespace vm2oci
