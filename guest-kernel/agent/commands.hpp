// Programs that the agent runs, several at once, each with a limit of time and of output.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <string>
#include <vector>

struct pollfd;

namespace vm2oci::guest {

inline constexpr std::size_t kOutputLimit = 64ull * 1024; // of each stream is kept; the rest is read and dropped
inline constexpr std::size_t kCommandLimit = 16;          // at a time

struct CommandResult {
    int exit_code = 0; // as a shell has it: 127 not found, 126 not runnable, 128 + n killed by signal n
    std::string output;
    std::string errors;
    bool truncated = false;
    bool timed_out = false;
};

class Commands final {
  public:
    using Clock = std::chrono::steady_clock;
    using Done = std::function<void(const CommandResult&)>;

    Commands() = default;
    Commands(const Commands&) = delete;
    Commands& operator=(const Commands&) = delete;
    ~Commands(); // kills what still runs

    bool full() const { return running_.size() >= kCommandLimit; }
    bool empty() const { return running_.empty(); }

    // Standard input is empty, the locale is C. `done` is called from poll(), once, and may start other commands.
    void start(const std::vector<std::string>& arguments, std::chrono::seconds timeout, Done done);

    // Appends what to wait for.
    void add_to(std::vector<pollfd>& entries) const;
    // Reads what has come, and ends what has ended or has had its time. Never blocks.
    void poll();

  private:
    struct Running {
        pid_t pid = -1;
        int output = -1;
        int errors = -1;
        Clock::time_point deadline;
        CommandResult result;
        Done done;
    };
    static void read_stream(int& fd, std::string& text, bool& truncated);
    static bool has_ended(Running& command);

    std::list<Running> running_;
};

} // namespace vm2oci::guest
