#include "runner/judge/judge.hpp"

#include "runner/judge/prompts.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

// Distinct findings that are kept of each severity; a guest may fail in more ways than anybody reads. Remarks without
// end leave room for what ends the boot.
constexpr std::size_t kMaxFindings = 200;
// An idle machine still gets timer interrupts.
constexpr int kIdleCpuPercent = 10;
// A kernel that resets stops its devices first, and what is still on its way to a disk then fails: until the reset,
// some hundred milliseconds of the machine's time, more where it is emulated.
constexpr Milliseconds kDevicesStopBeforeEnd{3000};
// GRUB goes on by itself ten seconds after "Press any key" (grub-core/normal/menu.c); a person may take longer.
constexpr Milliseconds kKeyIsAwaited{15000};
// A menu that counts down prints every second; one that is hidden is no menu.
constexpr Milliseconds kMenuStays{20000};
// By the wall clock nothing is waited for longer than so many times its limit, however busy the host is; the limit of
// an emulated machine is generous already.
constexpr int kStarvedCeiling = 5;
constexpr int kEmulatedStarvedCeiling = 2;

Milliseconds stays_last(const Rule& rule) {
    return rule.id == "grub-waits" || rule.id == "waits-for-key" || rule.id == "boot-prompt" ? kKeyIsAwaited
                                                                                             : kLastLineStays;
}

const Rule& own_rule(std::string_view id) {
    return *find_rule(id);
}

} // namespace

Judge::Judge(JudgePolicy policy)
    : policy_(std::move(policy)), pattern_seen_(policy_.ready.size(), false),
      expected_seen_(policy_.expected.size(), false) {}

void Judge::console(std::string_view bytes, BootInstant at) {
    if (verdict_ || bytes.empty())
        return;
    advance(at);
    own_at_console_ = own_;
    console_bytes_ += bytes.size();
    last_output_ = at;
    lines_.feed(bytes, [&](const ConsoleLine& line) {
        // Milestones only by whole lines: "Welcome to Rocky Linux" may go on with "(Initramfs)!".
        if (const auto milestone = milestone_of_line(line.text))
            reach(*milestone, at);
        take_line(line, at);
    });
    const ConsoleLine& prompt = lines_.current();
    if (!prompt.text.empty()) {
        take_line(prompt, at);
        // A shell before there is an init belongs to an initramfs in trouble.
        if (is_login_prompt(prompt.text) || (has_reached(Milestone::init) && is_shell_prompt(prompt.text)))
            reach(Milestone::login, at);
    }
    tick(at);
}

void Judge::take_line(const ConsoleLine& line, BootInstant at) {
    last_line_ = line.text;
    starting_.take_line(line.text, at);
    if (!has_reached(Milestone::kernel))
        menu_shown_ = (menu_shown_ || is_boot_menu(line.text)) && !leaves_boot_menu(line.text);
    // Something on a later line: the prompt was not the end.
    if (pending_ && line.number > pending_->line_number && findings_[pending_->finding].line != line.text)
        pending_.reset();
    for (std::size_t i = 0; i < policy_.ready.size(); ++i)
        if (policy_.ready[i].pattern && policy_.ready[i].pattern->matches(line.text))
            pattern_seen_[i] = true;
    for (std::size_t i = 0; i < policy_.expected.size(); ++i)
        if (policy_.expected[i].matches(line.text))
            expected_seen_[i] = true;
    if (fatal_ && findings_[*fatal_].line_number == line.number)
        findings_[*fatal_].line = line.text; // more of it has come
    for (const ConsolePattern& pattern : policy_.fail)
        if (!fatal_ && pattern.matches(line.text)) {
            fatal_ = record(own_rule("user-fail"), line.text, line.number, at);
            fatal_at_ = at.own();
        }
    const Rule* rule = match_rule(line.text);
    if (rule == nullptr)
        return;
    const std::size_t finding = record(*rule, line.text, line.number, at);
    program_ended_ = program_ended_ || rule->id == "program-ended" || rule->id == "program-failed";
    switch (severity_of(*rule)) {
    case Severity::fatal:
        if (!fatal_) {
            fatal_ = finding;
            fatal_at_ = at.own();
        }
        break;
    case Severity::fatal_if_last:
        if (!pending_ || pending_->line_number != line.number)
            pending_ = Pending{finding, at.own(), line.number};
        break;
    case Severity::failure:
        excuse_starved(finding, at);
        break;
    case Severity::warning:
        break;
    }
}

void Judge::disk_activity(BootInstant at) {
    last_output_ = at;
    disk_used_ = true;
    advance(at);
}

void Judge::advance(BootInstant at) {
    const Milliseconds passed = at.wall - last_seen_.wall;
    const Milliseconds starved = at.starved - last_seen_.starved;
    const Milliseconds used = at.cpu - last_seen_.cpu;
    Milliseconds own = std::max(passed - starved, Milliseconds{0});
    // While its disk works the machine may wait for that; a second between two looks is much.
    if (disk_used_)
        own -= std::min(own, Milliseconds{1000});
    // An emulated machine that works is as old as the work that it got done.
    else if (policy_.cpu_limit && used * 100 >= passed * kIdleCpuPercent)
        own = std::min(own, used);
    own_ += own;
    disk_used_ = false;
    last_seen_ = at;
}

void Judge::excuse_starved(std::size_t index, BootInstant at) {
    Finding& finding = findings_[index];
    if (!may_lack_time(*finding.rule))
        return;
    const BootInstant began = starting_.began(finding.line, kernel_at_.value_or(last_reset_));
    // What depends on something that was given up goes with it.
    const bool follows = was_starved_ && finding.rule->role == RuleRole::symptom;
    if (!follows && !is_starved(began, at))
        return;
    was_starved_ = true;
    finding.rule = &own_rule("host-too-busy");
}

void Judge::reach(Milestone milestone, BootInstant at) {
    if (milestone == Milestone::kernel) {
        kernel_at_ = kernel_at_.value_or(at);
        menu_shown_ = false;
    }
    if (!has_reached(milestone))
        milestones_.push_back({milestone, at});
}

bool Judge::has_reached(Milestone milestone) const {
    return std::any_of(milestones_.begin(), milestones_.end(),
                       [&](const MilestoneTime& time) { return time.milestone == milestone; });
}

std::optional<Milestone> Judge::furthest() const {
    std::optional<Milestone> result;
    for (const MilestoneTime& time : milestones_)
        result = result ? std::max(*result, time.milestone) : time.milestone;
    return result;
}

Severity Judge::severity_of(const Rule& rule) const {
    const bool ignored = std::find(policy_.ignored.begin(), policy_.ignored.end(), rule.id) != policy_.ignored.end();
    return ignored ? Severity::warning : rule.severity;
}

std::size_t Judge::record(const Rule& rule, std::string_view line, std::uint64_t line_number, BootInstant at) {
    // A line is judged again when more of it has come: that stays one finding, now of the better rule. What the user
    // forbade is the reason unless the line ends any boot.
    const Severity severity = severity_of(rule);
    if (!findings_.empty() && line_number != 0 && findings_.back().line_number == line_number) {
        if (findings_.back().rule != &own_rule("user-fail") || severity == Severity::fatal)
            findings_.back().rule = &rule;
        findings_.back().line = line;
        return findings_.size() - 1;
    }
    for (std::size_t i = 0; i < findings_.size(); ++i) {
        if (findings_[i].rule == &rule && findings_[i].line == line) {
            ++findings_[i].count;
            return i;
        }
    }
    std::size_t alike = 0;
    std::size_t last = 0;
    for (std::size_t i = 0; i < findings_.size(); ++i)
        if (severity_of(*findings_[i].rule) == severity) {
            ++alike;
            last = i;
        }
    if (alike == kMaxFindings) {
        ++findings_[last].count;
        return last;
    }
    findings_.push_back({&rule, std::string(line), line_number, at, 1});
    return findings_.size() - 1;
}

void Judge::shut_down(BootInstant at) {
    excuse_cut_io(at);
    if (fatal_) {
        end_by_finding(*fatal_, at);
    } else if (program_ended_ && is_ready(at)) {
        ready_at_ = ready_at_.value_or(at);
        finish_ready(at);
    } else if (program_ended_) {
        end_with(own_rule("program-ended"), fmt::format("without {}", fmt::join(missing(), ", ")), std::nullopt, at);
    } else {
        end_with(own_rule("powered-off"), "", std::nullopt, at);
    }
}

void Judge::event(GuestEvent what, BootInstant at) {
    if (verdict_)
        return;
    last_output_ = at;
    switch (what) {
    case GuestEvent::reset:
        excuse_cut_io(at);
        if (fatal_) { // a kernel that panics may restart at once, and take several resets to do it
            end_by_finding(*fatal_, at);
            break;
        }
        last_reset_ = at;
        kernel_at_.reset();
        menu_shown_ = false;
        pending_.reset();
        if (++resets_ >= policy_.max_resets)
            end_with(own_rule("reboot-loop"), fmt::format("{} resets", resets_), std::nullopt, at);
        break;
    case GuestEvent::shutdown:
        shut_down(at);
        break;
    case GuestEvent::panicked:
        if (!fatal_) {
            fatal_ = record(own_rule("guest-panicked"), "", 0, at);
            fatal_at_ = at.own();
        }
        break;
    case GuestEvent::agent_port_opened:
        reach(Milestone::agent_port, at);
        break;
    case GuestEvent::agent_answered:
        reach(Milestone::agent, at);
        agent_at_ = agent_at_.value_or(at);
        break;
    case GuestEvent::system_running:
        reach(Milestone::system, at);
        system_running_ = true;
        break;
    case GuestEvent::cloud_init_done:
        reach(Milestone::cloud_init, at);
        break;
    case GuestEvent::ports_open:
        ports_open_ = true;
        break;
    case GuestEvent::stopped_by_user:
        verdict_ = Verdict{Outcome::stopped, nullptr, std::nullopt, "stopped by the user", at};
        break;
    }
    tick(at);
}

void Judge::excuse_cut_io(BootInstant at) {
    for (Finding& finding : findings_)
        if (is_trouble_of_a_disk(*finding.rule) && finding.at.wall >= last_reset_.wall &&
            at.own() - finding.at.own() <= kDevicesStopBeforeEnd)
            finding.rule = &own_rule("io-cut-off");
}

void Judge::failure(std::string_view rule_id, const std::string& detail, BootInstant at) {
    const Rule* rule = find_rule(rule_id);
    if (verdict_ || rule == nullptr)
        return;
    const std::size_t index = record(*rule, detail, 0, at);
    if (severity_of(*rule) == Severity::fatal)
        end_by_finding(index, at);
    else
        excuse_starved(index, at);
}

bool Judge::is_met(std::size_t condition) const {
    switch (policy_.ready[condition].signal) {
    case ReadySignal::login:
        return has_reached(Milestone::login);
    case ReadySignal::agent:
        return has_reached(Milestone::agent);
    case ReadySignal::cloud_init:
        return has_reached(Milestone::cloud_init);
    case ReadySignal::system:
        return has_reached(Milestone::system);
    case ReadySignal::port:
        return ports_open_;
    case ReadySignal::pattern:
        return pattern_seen_[condition];
    }
    return false;
}

bool Judge::is_ready(BootInstant at) const {
    if (std::find(expected_seen_.begin(), expected_seen_.end(), false) != expected_seen_.end())
        return false;
    if (!policy_.ready.empty()) {
        for (std::size_t i = 0; i < policy_.ready.size(); ++i)
            if (!is_met(i))
                return false;
        return true;
    }
    return is_up(at);
}

bool Judge::is_up(BootInstant at) const {
    const bool up = has_reached(Milestone::login) || system_running_ ||
                    (agent_at_ && at.own() - agent_at_->own() >= policy_.agent_patience);
    switch (policy_.by_default) {
    case DefaultReady::login:
        return up;
    case DefaultReady::agent:
        return up && agent_at_;
    case DefaultReady::program:
        return has_reached(Milestone::init);
    case DefaultReady::healthy:
        return has_reached(Milestone::system);
    }
    return up;
}

void Judge::tick(BootInstant at) {
    if (verdict_)
        return;
    advance(at);
    if (fatal_) {
        if (at.own() - fatal_at_ >= policy_.linger)
            end_by_finding(*fatal_, at);
        return;
    }
    if (pending_ && at.own() - pending_->since >= stays_last(*findings_[pending_->finding].rule)) {
        end_by_finding(pending_->finding, at);
        return;
    }
    check_ready(at);
    if (!verdict_ && !ready_at_)
        check_silence(at);
    if (!verdict_)
        check_deadline(at);
}

void Judge::check_ready(BootInstant at) {
    if (!ready_at_ && is_ready(at))
        ready_at_ = at;
    if (ready_at_ && at.own() - ready_at_->own() >= policy_.settle)
        finish_ready(at);
}

void Judge::finish_ready(BootInstant at) {
    const Finding* worst = nullptr;
    for (const Finding& finding : findings_) {
        const Severity severity = severity_of(*finding.rule);
        if (severity == Severity::warning || severity == Severity::fatal_if_last)
            continue;
        // The first cause: what failed after it may have failed because of it.
        if (worst == nullptr || (worst->rule->role == RuleRole::symptom && finding.rule->role == RuleRole::cause))
            worst = &finding;
    }
    if (worst != nullptr)
        end_with(*worst->rule, "the machine is up, but not sound", *worst, at);
    else
        verdict_ = Verdict{Outcome::ready, nullptr, std::nullopt, "", ready_at_.value_or(at)};
}

bool Judge::depends_on_mute_console() const {
    if (has_reached(Milestone::kernel) || has_reached(Milestone::agent_port) || has_reached(Milestone::agent) ||
        system_running_)
        return false;
    if (policy_.ready.empty())
        return policy_.by_default == DefaultReady::login;
    for (std::size_t i = 0; i < policy_.ready.size(); ++i)
        if (const ReadySignal signal = policy_.ready[i].signal;
            !is_met(i) && (signal == ReadySignal::login || signal == ReadySignal::pattern))
            return true;
    return false;
}

void Judge::end_silent(std::string_view rule_id, Milliseconds quiet, BootInstant at) {
    std::optional<Finding> evidence;
    if (rule_id == "waits-for-input" || rule_id == "boot-menu-waits")
        evidence = Finding{&own_rule(rule_id), last_line_, lines_.current().number, at, 1};
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(quiet).count();
    end_with(own_rule(rule_id),
             fmt::format("nothing for {} s, while waiting for {}", seconds, fmt::join(missing(), ", ")),
             std::move(evidence), at);
}

void Judge::check_silence(BootInstant at) {
    const Milliseconds mute = own_ - own_at_console_;
    if (menu_shown_ && mute >= kMenuStays)
        return end_silent("boot-menu-waits", mute, at);
    const Milliseconds quiet = at.wall - last_output_.wall;
    const Milliseconds starved = at.starved - last_output_.starved;
    if (quiet - starved >= policy_.idle_limit) {
        const Milliseconds busy = at.cpu - last_output_.cpu;
        // A boot loader that works reads the disk; one that counts down a menu nobody sees is done within the limit.
        if (busy >= policy_.idle_limit && !has_reached(Milestone::boot_loader) && !has_reached(Milestone::kernel))
            return end_with(own_rule("boot-sector-hangs"), "", std::nullopt, at);
        if ((busy + starved) * 100 < quiet * kIdleCpuPercent)
            return end_silent(asks_for_input(lines_.current().text) ? "waits-for-input"
                              : has_reached(Milestone::kernel)      ? "stalled"
                                                                    : "silent-console",
                              quiet, at);
    }
    // What works and prints nothing here, not even its kernel, writes to its screen.
    if (mute >= policy_.idle_limit && depends_on_mute_console())
        end_silent("silent-console", mute, at);
}

void Judge::check_deadline(BootInstant at) {
    std::string limit;
    std::string_view rule_id = "timeout";
    const Milliseconds ceiling = policy_.wall_limit * (policy_.cpu_limit ? kEmulatedStarvedCeiling : kStarvedCeiling);
    const auto seconds = [](Milliseconds time) {
        return std::chrono::duration_cast<std::chrono::seconds>(time).count();
    };
    if (policy_.cpu_limit && at.cpu >= *policy_.cpu_limit) {
        limit = fmt::format("{} s of processor time", seconds(*policy_.cpu_limit));
    } else if (at.own() >= policy_.wall_limit) {
        limit = fmt::format("{} s", seconds(policy_.wall_limit));
    } else if (at.wall >= ceiling) {
        rule_id = "host-starved";
        limit = fmt::format("{} s, in most of which the host had no processor for the machine,", seconds(ceiling));
    } else {
        return;
    }
    if (ready_at_) {
        finish_ready(at);
        return;
    }
    const auto reached = furthest();
    end_with(own_rule(rule_id),
             fmt::format("within {} there was not {}; the boot got as far as: {}", limit, fmt::join(missing(), ", "),
                         reached ? display_name(*reached) : "power-on"),
             std::nullopt, at, Outcome::timed_out);
}

const Finding* Judge::blame(const Rule& ending) const {
    if (ending.role == RuleRole::cause)
        return nullptr;
    const Finding* firmware_cause = nullptr;
    const Finding* cause = nullptr;
    const bool any_boot = ending.id == "reboot-loop";
    for (const Finding& finding : findings_) {
        const bool this_boot = any_boot || resets_ == 0 || finding.at.wall >= last_reset_.wall;
        if (!this_boot || finding.rule->role != RuleRole::cause || finding.rule == &ending)
            continue;
        if (severity_of(*finding.rule) != Severity::warning)
            cause = &finding;
        else if (firmware_cause == nullptr && finding.rule->severity == Severity::warning)
            firmware_cause = &finding;
    }
    if (cause != nullptr)
        return cause;
    // Before the kernel even remarks explain; later there are too many that do not matter.
    const bool early = !has_reached(Milestone::kernel);
    return early ? firmware_cause : nullptr;
}

void Judge::end_by_finding(std::size_t index, BootInstant at) {
    const Finding ending = findings_[index];
    end_with(*ending.rule, "", ending, at);
}

void Judge::end_with(const Rule& rule, std::string detail, std::optional<Finding> evidence, BootInstant at,
                     Outcome outcome) {
    Verdict verdict{outcome, &rule, std::move(evidence), std::move(detail), at};
    // Of a machine that got no time it cannot be told whether it is well.
    if (rule.role == RuleRole::symptom && may_lack_time(rule) && was_starved_ && blame(rule) == nullptr) {
        verdict.detail = std::string(rule.title) + (verdict.detail.empty() ? "" : ": " + verdict.detail);
        verdict.rule = &own_rule("host-starved");
        verdict_ = std::move(verdict);
        return;
    }
    if (const Finding* cause = blame(rule)) {
        const std::string ended = std::string(rule.title);
        verdict.detail = verdict.detail.empty() ? ended : ended + ": " + verdict.detail;
        verdict.rule = cause->rule;
        verdict.evidence = *cause;
    }
    verdict_ = std::move(verdict);
}

} // namespace vm2oci
