// A console and a login on the serial port, which is what `virtctl console` and the boot test look at.
#include "libconvert/edit/kernel_command_lines.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/text.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::string_view kSpeed = "115200";

std::string serial_terminal(const PlanBuilder& plan) {
    return guest_machine(plan) == EM_AARCH64 ? "ttyAMA0" : "ttyS0";
}

bool names_console(const std::vector<std::string>& words, const std::string& terminal) {
    return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
        return word == "console=" + terminal || word.starts_with("console=" + terminal + ",");
    });
}

std::vector<std::string> with_console(std::vector<std::string> words, const std::string& terminal) {
    if (names_console(words, terminal))
        return words;
    // The last console is /dev/console. tty0 stays, for those who watch the screen.
    if (std::none_of(words.begin(), words.end(), [](const std::string& word) { return word.starts_with("console="); }))
        words.push_back("console=tty0");
    words.push_back(fmt::format("console={},{}", terminal, kSpeed));
    return words;
}

// sysvinit and BusyBox: `S0:2345:respawn:/sbin/getty …` or `ttyS0::respawn:/sbin/getty …`.
void mend_inittab(PlanBuilder& plan, const std::string& terminal, const std::string& reason) {
    const auto text = plan.read_text("/etc/inittab");
    if (!text)
        return;
    std::string out;
    bool present = false;
    bool busybox = false;
    for (const std::string_view line : lines_of(*text)) {
        const bool comment = line.starts_with("#");
        busybox = busybox || (!comment && (line.starts_with("::") || line.starts_with("tty1::")));
        if (line.find(terminal) != std::string_view::npos && line.find("respawn") != std::string_view::npos &&
            !present) {
            out += std::string(comment ? trimmed(line.substr(1)) : line) + "\n";
            present = true;
            continue;
        }
        out += std::string(line) + "\n";
    }
    if (!present)
        out += busybox ? fmt::format("{0}::respawn:/sbin/getty -L {0} {1} vt100\n", terminal, kSpeed)
                       : fmt::format("S0:2345:respawn:/sbin/getty -L {} {} vt100\n", terminal, kSpeed);
    plan.write("/etc/inittab", out, reason);
}

} // namespace

void plan_console_fix(PlanBuilder& plan, const FixContext& context) {
    const std::string terminal = serial_terminal(plan);
    const std::string reason = "a console on the first serial port, " + terminal;
    const auto lines = kernel_command_lines(plan);
    if (std::any_of(lines.begin(), lines.end(), [&](const auto& words) { return !names_console(words, terminal); }))
        context.problems.push_back("the kernel has no console on the serial port: `virtctl console` stays blank");
    change_kernel_command_lines(
        plan, [&](std::vector<std::string> words) { return with_console(std::move(words), terminal); }, reason);

    if (init_system(plan) == InitSystem::systemd) {
        // systemd starts a getty on every console of the kernel, unless it is forbidden to.
        const std::string masked = "/etc/systemd/system/serial-getty@" + terminal + ".service";
        for (const std::string& unit : {masked, std::string("/etc/systemd/system/serial-getty@.service")})
            if (plan.read_link(unit) == "/dev/null") {
                context.problems.push_back("the login on the serial port is masked");
                plan.remove(unit, "a login on the serial port");
            }
    } else {
        mend_inittab(plan, terminal, "a login on the serial port");
    }
    if (const auto terminals = plan.read_text("/etc/securetty")) {
        const auto all = lines_of(*terminals);
        if (std::none_of(all.begin(), all.end(), [&](std::string_view line) { return trimmed(line) == terminal; }))
            plan.write("/etc/securetty", *terminals + (terminals->ends_with('\n') ? "" : "\n") + terminal + "\n",
                       "root may log in on the serial port");
    }
}

} // namespace vm2oci
