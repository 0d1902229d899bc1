#include "tools/vm2oci/boot_display.hpp"

#include "formats/base/escape.hpp"
#include "runner/report/summary.hpp"
#include "tools/vm2oci/progress_display.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <ostream>
#include <utility>

namespace vm2oci::cli {
namespace {

constexpr std::chrono::milliseconds kStatusInterval{200};

std::string stage_of(const BootReport& report) {
    std::string stage = "power on";
    std::optional<Milestone> furthest;
    for (const MilestoneTime& time : report.milestones)
        if (!furthest || time.milestone > *furthest)
            furthest = time.milestone;
    return furthest ? std::string(display_name(*furthest)) : stage;
}

} // namespace

BootDisplay::BootDisplay(Invocation& call, ConsoleMode mode) : call_(call), mode_(mode) {
    if (mode_ == ConsoleMode::interactive && ::isatty(STDIN_FILENO) == 1)
        terminal_ = std::make_unique<RawTerminal>(LineEnds::as_they_are);
}

BootDisplay::~BootDisplay() = default;

void BootDisplay::console(std::string_view bytes) {
    if (mode_ == ConsoleMode::interactive)
        call_.err.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush();
}

void BootDisplay::announce(const BootReport& report) {
    // What the machine cannot have is known only when it is made.
    if (announced_ == report.accelerator && reasons_said_ == report.profile_reasons.size())
        return;
    clear_status();
    const bool first = announced_ != report.accelerator;
    announced_ = report.accelerator;
    if (first)
        reasons_said_ = 0;
    if (first && report.accelerator == Accelerator::tcg && report.accelerator_reason != "asked for")
        call_.operation.progress->note("emulating the processor (slow): " + report.accelerator_reason);
    for (; reasons_said_ < report.profile_reasons.size(); ++reasons_said_)
        call_.operation.progress->note("machine: " + report.profile_reasons[reasons_said_]);
    if (first && mode_ == ConsoleMode::interactive)
        call_.operation.progress->note("serial console; Ctrl-] leaves");
}

void BootDisplay::announce_restart(const BootReport& report) {
    if (restart_said_ || report.restart_reason.empty())
        return;
    restart_said_ = true;
    clear_status();
    last_stage_.clear();
    call_.operation.progress->note("machine: " + report.restart_reason);
}

void BootDisplay::progress(const BootReport& report) {
    announce(report);
    announce_restart(report);
    const Clock::time_point now = Clock::now();
    if (mode_ == ConsoleMode::status && now >= next_status_) {
        next_status_ = now + kStatusInterval;
        show_status(report);
    }
}

void BootDisplay::show_status(const BootReport& report) {
    const std::string stage = stage_of(report);
    const bool quiet = call_.global.verbosity == Verbosity::quiet || call_.global.progress == ProgressMode::none;
    if (quiet)
        return;
    const bool bar = call_.global.progress == ProgressMode::bar ||
                     (call_.global.progress == ProgressMode::automatic && ::isatty(STDERR_FILENO) == 1);
    if (!bar) {
        // A log gets a line for each stage, not for each moment.
        if (stage != last_stage_)
            call_.operation.progress->note(fmt::format("boot: {} after {}", stage, seconds_text(report.elapsed.wall)));
        last_stage_ = stage;
        return;
    }
    // Wider than the terminal it would leave a line of itself behind each time.
    const std::size_t columns = terminal_columns() - 1;
    std::string line = fmt::format("{:>7}  {:<16} {}", seconds_text(report.elapsed.wall), stage,
                                   escape_untrusted(report.last_line, columns));
    line.resize(std::min(line.size(), columns));
    call_.err << '\r' << line << "\x1b[K" << std::flush;
    status_shown_ = true;
}

void BootDisplay::clear_status() {
    if (status_shown_)
        call_.err << "\r\x1b[K" << std::flush;
    status_shown_ = false;
}

std::string BootDisplay::input() {
    if (mode_ != ConsoleMode::interactive)
        return {};
    TypedKeys typed = read_typed_keys();
    leave_ = leave_ || typed.leaves;
    return std::move(typed.keys);
}

int BootDisplay::input_fd() const {
    return mode_ == ConsoleMode::interactive && !leave_ ? STDIN_FILENO : -1;
}

void BootDisplay::finish() {
    terminal_.reset();
    clear_status();
    if (mode_ == ConsoleMode::interactive)
        call_.err << std::endl;
}

} // namespace vm2oci::cli
