#include "runner/judge/rules.hpp"

#include "runner/judge/console_lines.hpp"

#include <array>

namespace vm2oci {
namespace {

std::string_view without_trailing_blanks(std::string_view text) {
    while (!text.empty() && text.back() == ' ')
        text.remove_suffix(1);
    return text;
}

std::array<std::span<const Rule>, 4> console_rules() {
    return {boot_loader_rules(), kernel_rules(), initramfs_rules(), system_rules()};
}

constexpr std::array kJudgeRules = {
    Rule{"timeout",
         Severity::fatal,
         RuleRole::symptom,
         "the time was up before the machine was ready",
         "look at the last lines of the console; give it more time if it was still making progress",
         "",
         {}},
    Rule{"silent-console",
         Severity::fatal,
         RuleRole::symptom,
         "the machine fell silent: nothing on the serial console, and its processors idle",
         "look at the screenshot; the kernel may lack console=ttyS0, or no getty runs there",
         "console",
         {}},
    Rule{"boot-sector-hangs",
         Severity::fatal,
         RuleRole::symptom,
         "the firmware started the boot sector, and nothing came of it",
         "the boot loader may be missing or damaged: a disk made for UEFI boots with UEFI firmware",
         "",
         {}},
    Rule{"stalled",
         Severity::fatal,
         RuleRole::symptom,
         "the boot stopped: no output any more, and its processors idle",
         "look at the last lines of the console: what is the machine waiting for?",
         "",
         {}},
    Rule{"waits-for-input",
         Severity::fatal,
         RuleRole::symptom,
         "the machine waits for somebody to answer on its console",
         "a first boot that asks questions needs its answers in the image, or the questions switched off",
         "",
         {}},
    Rule{"boot-menu-waits",
         Severity::fatal,
         RuleRole::symptom,
         "the boot loader's menu waits for somebody to choose",
         "give it a time limit: GRUB_TIMEOUT in /etc/default/grub, set timeout in grub.cfg, TIMEOUT of extlinux; after "
         "a boot that failed GRUB stops at its menu (recordfail)",
         "",
         {}},
    Rule{"host-starved",
         Severity::fatal,
         RuleRole::cause,
         "the host had too little time for the machine to tell whether it is well",
         "this says nothing about the image: boot it again on a host with less to do, or where KVM works",
         "",
         {}},
    Rule{"host-too-busy",
         Severity::warning,
         RuleRole::symptom,
         "something in the guest took too long, while the host had no processor for the machine",
         "it may be well: boot it again on a host with less to do",
         "",
         {}},
    Rule{"reboot-loop",
         Severity::fatal,
         RuleRole::symptom,
         "the machine resets again and again",
         "look at the last lines before each reset",
         "",
         {}},
    Rule{"powered-off",
         Severity::fatal,
         RuleRole::symptom,
         "the machine switched itself off before it was ready",
         "look at the last lines of the console",
         "",
         {}},
    Rule{"guest-panicked",
         Severity::fatal,
         RuleRole::symptom,
         "the guest's kernel reported a panic to the machine",
         "look at the last lines of the console or at the screenshot",
         "",
         {}},
    Rule{"hypervisor-died",
         Severity::fatal,
         RuleRole::cause,
         "QEMU ended without being asked to",
         "its last words are in the report; this is a failure of the host, not of the image",
         "",
         {}},
    Rule{"disk-read-error",
         Severity::fatal,
         RuleRole::cause,
         "the disk image could not be read",
         "verify the image: what it stores is damaged",
         "",
         {}},
    Rule{"io-cut-off",
         Severity::warning,
         RuleRole::symptom,
         "the end of the machine cut off what was on its way to the disk",
         "",
         "",
         {}},
    Rule{"user-fail", Severity::fatal, RuleRole::cause, "the console shows what was forbidden", "", "", {}},
};

} // namespace

std::string_view to_string(Severity severity) {
    switch (severity) {
    case Severity::fatal:
        return "fatal";
    case Severity::fatal_if_last:
        return "fatal_if_last";
    case Severity::failure:
        return "failure";
    case Severity::warning:
        return "warning";
    }
    return "warning";
}

bool matches_pattern(std::string_view pattern, std::string_view line) {
    bool anchored = false;
    if (!pattern.empty() && pattern.front() == '^') {
        pattern.remove_prefix(1);
        anchored = true;
    }
    const bool at_end = !pattern.empty() && pattern.back() == '$';
    if (at_end) {
        pattern.remove_suffix(1);
        line = without_trailing_blanks(line);
    }
    std::size_t position = 0;
    // Each piece is taken where it comes first: that leaves most room for those behind it.
    for (;;) {
        const std::size_t star = pattern.find('*');
        const std::string_view piece = pattern.substr(0, star);
        const bool last = star == std::string_view::npos;
        if (last && at_end) {
            if (line.size() < position + piece.size() || !line.ends_with(piece))
                return false;
            return !anchored || line.size() == position + piece.size();
        }
        const std::size_t found = line.find(piece, position);
        if (found == std::string_view::npos || (anchored && found != position))
            return false;
        if (last)
            return true;
        position = found + piece.size();
        anchored = false;
        pattern.remove_prefix(star + 1);
    }
}

namespace {

// "cron[812]: …": what a service has to say. Of kernels and boot loaders it can only tell; its crash is the kernel's
// line, with the same front.
bool is_word_of_service(std::string_view text) {
    const std::size_t bracket = text.find('[');
    const std::size_t end = text.find("]: ");
    if (bracket == 0 || bracket == std::string_view::npos || end == std::string_view::npos || end < bracket)
        return false;
    const std::string_view name = text.substr(0, bracket);
    const std::string_view pid = text.substr(bracket + 1, end - bracket - 1);
    if (name.find(' ') != std::string_view::npos || pid.empty() || pid == "1" ||
        pid.find_first_not_of("0123456789") != std::string_view::npos)
        return false;
    for (const std::string_view own : {"dracut", "kernel", "mount", "fsck", "systemd", "ignition", "traps"})
        if (name.starts_with(own))
            return false;
    const std::string_view said = text.substr(end + 3);
    return !said.starts_with("segfault at ") && !said.starts_with("general protection");
}

} // namespace

const Rule* match_rule(std::string_view line) {
    const std::string_view text = without_kernel_prefix(line);
    const bool only_tells = is_word_of_service(text);
    for (const std::span<const Rule> rules : console_rules()) {
        if (only_tells && rules.data() != system_rules().data())
            continue;
        for (const Rule& rule : rules)
            for (const std::string_view pattern : rule.patterns)
                if (matches_pattern(pattern, text))
                    return &rule;
    }
    return nullptr;
}

bool is_trouble_of_a_disk(const Rule& rule) {
    return rule.id == "disk-io-error" || rule.id == "remounted-read-only" || rule.id == "file-system-damaged";
}

std::span<const Rule> judge_rules() {
    return kJudgeRules;
}

const Rule* find_rule(std::string_view id) {
    for (const Rule& rule : judge_rules())
        if (rule.id == id)
            return &rule;
    for (const std::span<const Rule> rules : console_rules())
        for (const Rule& rule : rules)
            if (rule.id == id)
                return &rule;
    return nullptr;
}

} // namespace vm2oci
