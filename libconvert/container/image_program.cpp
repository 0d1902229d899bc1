#include "libconvert/container/image_program.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/container/container_user.hpp"
#include "libconvert/container/signals.hpp"

#include <algorithm>
#include <limits>
#include <string_view>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxAccounts = 4ull * 1024 * 1024; // of /etc/passwd; a directory of a university has some 100,000
// What runc's users, docker and podman set where an image does not.
constexpr std::string_view kDefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string_view name_of(std::string_view variable) {
    return variable.substr(0, variable.find('='));
}

// As execve(2)'s callers see it, the first of a name counts with some and the last with others: there is one.
void set_variable(std::vector<std::string>& environment, const std::string& variable) {
    const auto found = std::find_if(environment.begin(), environment.end(),
                                    [&](const std::string& known) { return name_of(known) == name_of(variable); });
    if (found != environment.end())
        *found = variable;
    else
        environment.push_back(variable);
}

bool has_variable(const std::vector<std::string>& environment, std::string_view name) {
    return std::any_of(environment.begin(), environment.end(),
                       [&](const std::string& variable) { return name_of(variable) == name; });
}

std::string absolute(const std::string& path) {
    return path.starts_with('/') ? path : "/" + path;
}

// systemd, OpenRC and their like do their work as process 1 alone.
ProgramRole role_of(const ContainerProgram& program) {
    const std::string& path = program.arguments.front();
    const std::string_view last = std::string_view(path).substr(path.rfind('/') + 1);
    const bool is_init = path.starts_with('/') && (last == "init" || last == "systemd") && program.uid == 0;
    return is_init ? ProgramRole::init : ProgramRole::child;
}

std::uint32_t whole_seconds(std::int64_t nanoseconds, std::uint32_t usual) {
    constexpr std::int64_t second = 1'000'000'000;
    if (nanoseconds == 0)
        return usual;
    const std::int64_t seconds = nanoseconds / second + (nanoseconds % second != 0 ? 1 : 0);
    return static_cast<std::uint32_t>(std::min<std::int64_t>(seconds, std::numeric_limits<std::int32_t>::max()));
}

std::optional<ProgramHealth> health_of(const ImageConfig& config) {
    if (!config.health_check || config.health_check->test.empty())
        return std::nullopt;
    const ImageHealthCheck& check = *config.health_check;
    ProgramHealth health;
    const std::string& kind = check.test.front();
    if (kind != "NONE" && kind != "CMD" && kind != "CMD-SHELL")
        fail(ErrorKind::unsupported,
             "the image's health check is of a kind that is not known: " + quote_untrusted(kind));
    if (kind == "NONE" || check.test.size() == 1)
        return std::nullopt;
    if (kind == "CMD-SHELL")
        health.test = config.shell.empty() ? std::vector<std::string>{"/bin/sh", "-c"} : config.shell;
    health.test.insert(health.test.end(), check.test.begin() + 1, check.test.end());
    health.interval_seconds = whole_seconds(check.interval, health.interval_seconds);
    health.timeout_seconds = whole_seconds(check.timeout, health.timeout_seconds);
    health.start_seconds = whole_seconds(check.start_period, health.start_seconds);
    health.start_interval_seconds = whole_seconds(check.start_interval, health.start_interval_seconds);
    if (check.retries != 0)
        health.retries =
            static_cast<std::uint32_t>(std::min<std::int64_t>(check.retries, std::numeric_limits<std::int32_t>::max()));
    return health;
}

} // namespace

void apply_wishes(ContainerProgram& program, const ProgramWishes& wishes) {
    if (!wishes.command.empty()) {
        program.arguments.resize(program.entrypoint);
        program.arguments.insert(program.arguments.end(), wishes.command.begin(), wishes.command.end());
    }
    if (!wishes.hostname.empty())
        program.hostname = wishes.hostname;
    if (!wishes.hostname.empty() && !has_variable(wishes.environment, "HOSTNAME"))
        set_variable(program.environment, "HOSTNAME=" + wishes.hostname);
    for (const std::string& variable : wishes.environment)
        set_variable(program.environment, variable);
    program.role = role_of(program);
}

ContainerProgram program_of_image(const ImageConfig& config, const ContainerFiles& files, const ProgramWishes& wishes) {
    ContainerProgram program;
    program.arguments = config.entrypoint;
    program.entrypoint = static_cast<std::uint32_t>(config.entrypoint.size());
    program.arguments.insert(program.arguments.end(), config.command.begin(), config.command.end());
    if (program.arguments.empty() && wishes.command.empty())
        fail(ErrorKind::unsupported, "the image names no program to start: it has neither an entrypoint nor a command, "
                                     "and none was given");
    const ContainerUser user =
        find_container_user(config.user, files.read_file("/etc/passwd", kMaxAccounts).value_or(""),
                            files.read_file("/etc/group", kMaxAccounts).value_or(""));
    program.uid = user.uid;
    program.gid = user.gid;
    program.groups = user.groups;
    for (const std::string& variable : config.environment)
        set_variable(program.environment, variable);
    for (const std::string& usual : {std::string(kDefaultPath), "HOME=" + user.home, "HOSTNAME=" + program.hostname})
        if (!has_variable(program.environment, name_of(usual)))
            program.environment.push_back(usual);
    if (!config.working_directory.empty())
        program.working_folder = absolute(config.working_directory);
    for (const std::string& volume : config.volumes)
        program.volumes.push_back(absolute(volume));
    if (!config.stop_signal.empty())
        program.stop_signal = with_context("the image's stop signal", [&] { return parse_signal(config.stop_signal); });
    program.health = health_of(config);
    if (program.arguments.empty())
        program.arguments = wishes.command;
    apply_wishes(program, wishes);
    return program;
}

} // namespace vm2oci
