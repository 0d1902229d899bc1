#include "guest-kernel/agent/program_start.hpp"

#include "guest-kernel/agent/container_root.hpp"
#include "guest-kernel/agent/text.hpp"
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace vm2oci::guest {
namespace {

constexpr int kNotFound = 127;
constexpr int kNotRunnable = 126;

[[noreturn]] void give_up(const std::string& what, int error, int code) {
    say_line(what + ": " + std::strerror(error));
    ::_exit(code);
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (const std::string& text : texts)
        pointers.push_back(const_cast<char*>(text.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

void take_streams(const ContainerProgram& program, const StartedStreams& streams) {
    if (streams.is_terminal)
        ::setpgid(0, 0);
    else
        ::setsid();
    ::dup2(streams.input, STDIN_FILENO);
    ::dup2(streams.output, STDOUT_FILENO);
    ::dup2(streams.output, STDERR_FILENO);
    if (streams.is_terminal) {
        ::signal(SIGTTOU, SIG_IGN); // who is in the background may not say who is in the foreground
        ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
        ::signal(SIGTTOU, SIG_DFL);
    }
    // Programs open /dev/stdout anew, and then it counts whose terminal it is.
    [[maybe_unused]] const int owned = ::fchown(STDOUT_FILENO, program.uid, program.gid);
}

void become_user(const ContainerProgram& program) {
    const std::vector<gid_t> groups(program.groups.begin(), program.groups.end());
    if (::setgroups(groups.size(), groups.data()) != 0 || ::setgid(program.gid) != 0 || ::setuid(program.uid) != 0)
        give_up("cannot become user " + std::to_string(program.uid), errno, kNotRunnable);
}

} // namespace

std::vector<std::string> places_of(const std::string& name, const std::vector<std::string>& environment) {
    if (name.find('/') != std::string::npos)
        return {name};
    constexpr std::string_view variable = "PATH=";
    const auto found = std::find_if(environment.begin(), environment.end(),
                                    [&](const std::string& text) { return text.starts_with(variable); });
    std::vector<std::string> places;
    if (found == environment.end() || name.empty())
        return places;
    std::string_view rest = std::string_view(*found).substr(variable.size());
    while (true) {
        const std::size_t end = rest.find(':');
        const std::string folder(rest.substr(0, end));
        places.push_back((folder.empty() ? "." : folder) + "/" + name);
        if (end == std::string_view::npos)
            return places;
        rest.remove_prefix(end + 1);
    }
}

void become_program(const ContainerProgram& program, const std::vector<std::string>& arguments,
                    const StartedStreams& streams) {
    take_streams(program, streams);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    become_user(program);
    // As the user: a folder on which that has no rights is no place to start in.
    if (::chdir(program.working_folder.c_str()) != 0)
        give_up("cannot go to the folder " + json_quote(program.working_folder), errno, kNotRunnable);
    const std::vector<char*> list = pointers_to(arguments);
    const std::vector<char*> environment = pointers_to(program.environment);
    int error = ENOENT;
    for (const std::string& place : places_of(arguments.front(), program.environment)) {
        ::execve(place.c_str(), list.data(), environment.data());
        if (errno != ENOENT && errno != ENOTDIR)
            error = errno;
    }
    give_up("cannot start " + json_quote(arguments.front()), error, error == ENOENT ? kNotFound : kNotRunnable);
}

} // namespace vm2oci::guest
