#include "runner/report/boot_checks.hpp"

namespace vm2oci::boot_check {

std::string ready_name(const ReadyCondition& condition) {
    std::string name = "ready: ";
    if (condition.pattern)
        return name + condition.pattern->text();
    return name + std::string(to_string(condition.signal));
}

std::string expected_name(const ConsolePattern& pattern) {
    return "expect: " + pattern.text();
}

std::string port_name(const PortForward& forward) {
    return "port " + std::to_string(forward.guest) + " answers";
}

std::string command_name(std::string_view command) {
    return "exec: " + std::string(command);
}

std::vector<Check> planned(const JudgePolicy& policy, const std::vector<PortForward>& forwards,
                           const std::vector<std::string>& commands) {
    std::vector<Check> checks;
    const auto add = [&](std::string name) {
        Check check;
        check.name = std::move(name);
        checks.push_back(std::move(check));
    };
    add(std::string(kernel));
    add(std::string(init));
    if (policy.ready.empty())
        add(std::string(ready));
    for (const ReadyCondition& condition : policy.ready)
        if (condition.signal != ReadySignal::port)
            add(ready_name(condition));
    for (const PortForward& forward : forwards)
        add(port_name(forward));
    for (const ConsolePattern& pattern : policy.expected)
        add(expected_name(pattern));
    add(std::string(sound));
    for (const std::string& command : commands)
        add(command_name(command));
    return checks;
}

} // namespace vm2oci::boot_check
