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

struct InittabEntry {
    std::string id;
    std::string levels;
    std::string action;
    std::string process;
};

std::optional<InittabEntry> parse_inittab_entry(std::string_view line) {
    InittabEntry entry;
    for (std::string* field : {&entry.id, &entry.levels, &entry.action}) {
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos)
            return std::nullopt;
        *field = std::string(line.substr(0, colon));
        line.remove_prefix(colon + 1);
    }
    entry.process = std::string(line);
    return entry;
}

// The program that asks for a name on a serial line; mingetty and fgetty only know virtual terminals.
std::string find_getty(const PlanBuilder& plan) {
    for (const char* path : {"/sbin/getty", "/sbin/agetty", "/usr/sbin/agetty", "/usr/bin/agetty", "/sbin/mgetty"})
        if (plan.status(path))
            return path;
    const std::string table = plan.read_text("/etc/inittab").value_or("");
    for (const std::string_view line : lines_of(table)) {
        const auto entry = line.starts_with("#") ? std::nullopt : parse_inittab_entry(line);
        const auto words = entry && entry->action == "respawn" ? words_of(entry->process) : std::vector<std::string>();
        if (!words.empty() && (words[0].ends_with("/getty") || words[0].ends_with("/agetty")))
            return words[0];
    }
    return {};
}

std::string getty_command(const std::string& getty, const std::string& terminal) {
    return getty.ends_with("mgetty") ? fmt::format("{} -r -s {} {}", getty, kSpeed, terminal)
                                     : fmt::format("{} -L {} {} vt100", getty, terminal, kSpeed);
}

// sysvinit and BusyBox: `S0:2345:respawn:/sbin/getty …` or `ttyS0::respawn:/sbin/getty …`. A line for the terminal that
// is there, commented or not, is used.
void mend_inittab(PlanBuilder& plan, const std::string& table, const std::string& terminal, const std::string& reason) {
    const std::string getty = find_getty(plan);
    std::string out;
    bool present = false;
    bool busybox = false;
    for (const std::string_view line : lines_of(table)) {
        const bool comment = line.starts_with("#");
        const auto entry = parse_inittab_entry(comment ? trimmed(line.substr(1)) : line);
        const std::vector<std::string> words = entry ? words_of(entry->process) : std::vector<std::string>();
        busybox = busybox ||
                  (!comment && entry && entry->levels.empty() && (entry->id.empty() || entry->id.starts_with("tty")));
        const bool for_terminal =
            entry && entry->action == "respawn" && !words.empty() &&
            (entry->id == terminal || std::find(words.begin(), words.end(), terminal) != words.end() ||
             std::find(words.begin(), words.end(), "/dev/" + terminal) != words.end());
        if (!for_terminal || present || (comment && !getty.empty() && !plan.status(words[0]))) {
            out += std::string(line) + "\n";
            continue;
        }
        out += std::string(comment ? trimmed(line.substr(1)) : line) + "\n";
        present = true;
    }
    if (!present && getty.empty())
        return plan.found(fmt::format("the guest has no getty that could ask for a login on {}", terminal));
    if (!present)
        out += busybox ? fmt::format("{}::respawn:{}\n", terminal, getty_command(getty, terminal))
                       : fmt::format("S0:2345:respawn:{}\n", getty_command(getty, terminal));
    plan.write("/etc/inittab", out, reason);
}

// Ubuntu before systemd, and Red Hat 6. The latter starts agetty on the kernel's console by itself.
void mend_upstart(PlanBuilder& plan, const std::string& terminal, const std::string& reason) {
    if (plan.exists("/etc/init/serial.conf"))
        return;
    const std::string getty = find_getty(plan);
    if (getty.empty())
        return plan.found(fmt::format("the guest has no getty that could ask for a login on {}", terminal));
    for (const std::string& job : plan.glob("/etc/init/*.conf"))
        if (plan.read_text(job).value_or("").find("getty") != std::string::npos &&
            plan.read_text(job).value_or("").find(terminal) != std::string::npos)
            return;
    plan.write("/etc/init/" + terminal + ".conf",
               fmt::format("# Written by vm2oci: a login on {0}.\nstart on stopped rc RUNLEVEL=[2345]\n"
                           "stop on runlevel [!2345]\nrespawn\nexec {1}\n",
                           terminal, getty_command(getty, terminal)),
               reason, {0644, 0, 0, {}});
}

void mend_runit(PlanBuilder& plan, const std::string& terminal, const std::string& reason) {
    const std::string service = "agetty-" + terminal;
    if (!plan.glob("/etc/runit/runsvdir/*/" + service).empty() || !plan.glob("/var/service/" + service).empty())
        return;
    if (!plan.exists("/etc/sv/" + service))
        return plan.found(fmt::format("the guest has no service {} for a login on the serial port", service));
    plan.make_symlink("/etc/runit/runsvdir/default/" + service, "/etc/sv/" + service, reason);
}

// OpenRC as init has a service for each terminal; on sysvinit or BusyBox, their inittab counts.
void mend_openrc(PlanBuilder& plan, const std::string& terminal, const std::string& reason) {
    const std::string service = "agetty." + terminal;
    if (!plan.exists("/etc/init.d/agetty"))
        return plan.found("the guest has neither an inittab nor OpenRC's agetty: there is no login on the serial port");
    plan.make_symlink("/etc/init.d/" + service, "agetty", reason);
    if (plan.glob("/etc/runlevels/*/" + service).empty())
        plan.make_symlink("/etc/runlevels/default/" + service, "/etc/init.d/" + service, reason);
}

void mend_login(PlanBuilder& plan, const std::string& terminal) {
    const std::string reason = "a login on the serial port";
    const auto table = plan.read_text("/etc/inittab");
    const std::string init = plan.resolve("/sbin/init", FinalLink::follow).value_or("");
    const bool has_entries =
        table && (table->find(":respawn:") != std::string::npos || table->find(":sysinit:") != std::string::npos ||
                  table->find(":initdefault:") != std::string::npos);
    if (has_upstart(plan))
        mend_upstart(plan, terminal, reason);
    else if (has_entries && !init.ends_with("openrc-init"))
        mend_inittab(plan, *table, terminal, reason);
    else if (has_runit(plan))
        mend_runit(plan, terminal, reason);
    else if (init_system(plan) == InitSystem::openrc)
        mend_openrc(plan, terminal, reason);
    else if (table)
        mend_inittab(plan, *table, terminal, reason);
    else
        plan.found(
            "the guest's init is none that is known here: whether there is a login on the serial port is its matter");
}

} // namespace

void plan_console_fix(PlanBuilder& plan, const FixContext& context) {
    const std::string terminal = serial_terminal(plan);
    const std::string reason = "a console on the first serial port, " + terminal;
    const auto lines = kernel_command_lines(plan);
    if (lines.empty())
        plan.found("no boot loader's configuration was found whose kernel command line could get a serial console");
    if (std::any_of(lines.begin(), lines.end(), [&](const auto& words) { return !names_console(words, terminal); }))
        context.problems.push_back("the kernel has no console on the serial port: `virtctl console` stays blank");
    change_kernel_command_lines(
        plan, [&](std::vector<std::string> words) { return with_console(std::move(words), terminal); }, reason);

    if (init_system(plan) == InitSystem::systemd) {
        // systemd starts a getty on every console of the kernel, unless it is forbidden to.
        const std::string masked = "/etc/systemd/system/serial-getty@" + terminal + ".service";
        for (const std::string& unit : {masked, std::string("/etc/systemd/system/serial-getty@.service")})
            if (plan.read_link(unit) == "/dev/null" || plan.read_text(unit) == std::string()) {
                context.problems.push_back("the login on the serial port is masked");
                plan.remove(unit, "a login on the serial port");
            }
        // Unless the program that asks for it is masked itself.
        const char* generator = "/etc/systemd/system-generators/systemd-getty-generator";
        const std::string wanted = "/etc/systemd/system/getty.target.wants/serial-getty@" + terminal + ".service";
        if (plan.status(generator, FinalLink::keep) && is_mask(plan, generator) &&
            !plan.status(wanted, FinalLink::keep)) {
            context.problems.push_back(
                "nothing starts a login on the serial port: systemd's getty generator is masked");
            plan.make_symlink(wanted, "/usr/lib/systemd/system/serial-getty@.service", "a login on the serial port");
        }
    } else {
        mend_login(plan, terminal);
    }
    if (const auto terminals = plan.read_text("/etc/securetty")) {
        const auto all = lines_of(*terminals);
        if (std::none_of(all.begin(), all.end(), [&](std::string_view line) { return trimmed(line) == terminal; }))
            plan.write("/etc/securetty", *terminals + (terminals->ends_with('\n') ? "" : "\n") + terminal + "\n",
                       "root may log in on the serial port");
    }
}

} // namespace vm2oci
