// A child process that never outlives us.
#pragma once

#include "formats/base/fd.hpp"

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// A descriptor of ours that the child gets under a number of its own: 3 and up, or in the place of /dev/null 0 and 1.
struct InheritedFd {
    int ours = -1;
    int theirs = -1;
};

class ChildProcess final {
  public:
    // Starts arguments[0], found on PATH, in a process group of its own with /dev/null as input and standard output,
    // and nothing open but `inherited` and a pipe as standard error. The kernel kills it when the calling thread ends,
    // so call this from a thread that lasts. Error{external} when the program cannot be started.
    ChildProcess(const std::vector<std::string>& arguments, const std::vector<InheritedFd>& inherited);
    ~ChildProcess(); // kills the group and waits

    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;

    // Readable when there is something on standard error; at its end when the child has gone. Not blocking.
    int error_fd() const { return error_.get(); }
    // Exit status as waitpid() gives it, once the child has ended.
    std::optional<int> poll_exit();
    // User and system time of all its threads so far; the last known value after it has ended.
    std::chrono::milliseconds cpu_time();
    // How long its threads were ready to run and had no processor.
    std::chrono::milliseconds starved_time();
    void kill();
    // Asks it to end (SIGTERM), so that it can put away what it has begun, and kills it if it has not after that time.
    void end(std::chrono::milliseconds patience);

  private:
    pid_t pid_ = -1;
    UniqueFd error_;
    std::optional<int> status_;
    std::chrono::milliseconds cpu_time_{0};
    std::chrono::milliseconds starved_time_{0};
};

// Time that this machine, if it is a virtual one, waited for a processor of its own host since it started: the mean of
// its processors. Zero where the kernel does not tell.
std::chrono::milliseconds stolen_time();
// The same from the text of /proc/stat.
std::chrono::milliseconds parse_stolen_time(std::string_view stat, long ticks_per_second);

// Whether that exit status, as waitpid() gives it, is of a program that went wrong itself: neither ended nor was
// killed.
bool has_crashed(int status);
// "exit code 1", "killed by signal 9 (Killed)".
std::string describe_exit(int status);

} // namespace vm2oci
