#include "tools/vm2oci/progress_display.hpp"

#include "formats/base/size.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>

namespace vm2oci::cli {
namespace {

using namespace std::chrono_literals;

// A bar moves ten times a second; a log gets a line every few seconds, so that a job without output is not killed.
constexpr auto kBarInterval = 100ms;
constexpr auto kPlainInterval = 5s;
constexpr auto kJsonInterval = 500ms;
constexpr std::size_t kBarCells = 24;
constexpr double kMeasurable = 0.1; // seconds; what takes less has no rate that would mean something

std::string format_seconds(double seconds) {
    const auto whole = static_cast<long long>(std::ceil(seconds));
    if (whole < 60)
        return fmt::format("{} s", whole);
    if (whole < 3600)
        return fmt::format("{}:{:02} min", whole / 60, whole % 60);
    return fmt::format("{}:{:02} h", whole / 3600, whole % 3600 / 60);
}

} // namespace

ProgressMode resolve_mode(ProgressMode mode, Verbosity verbosity, const std::ostream& err) {
    if (verbosity == Verbosity::quiet)
        return ProgressMode::none;
    if (mode != ProgressMode::automatic)
        return mode;
    return &err == &std::cerr && ::isatty(STDERR_FILENO) == 1 ? ProgressMode::bar : ProgressMode::plain;
}

std::size_t terminal_columns() {
    struct winsize size {};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::size_t terminal_rows() {
    struct winsize size {};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

ProgressDisplay::ProgressDisplay(std::ostream& err, ProgressMode mode, Verbosity verbosity)
    : err_(err), mode_(resolve_mode(mode, verbosity, err)) {}

ProgressDisplay::~ProgressDisplay() {
    clear_bar();
}

std::string ProgressDisplay::describe(Clock::time_point now) const {
    const double seconds = std::chrono::duration<double>(now - started_).count();
    const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
    std::string text = phase_ + " " + format_size(done_);
    if (total_ > 0)
        text += fmt::format(" of {} ({} %)", format_size(total_), std::min<std::uint64_t>(100, done_ * 100 / total_));
    if (rate > 0)
        text += ", " + format_size(static_cast<std::uint64_t>(rate)) + "/s";
    if (rate > 0 && total_ > done_)
        text += ", " + format_seconds(static_cast<double>(total_ - done_) / rate) + " left";
    return text;
}

void ProgressDisplay::clear_bar() {
    if (bar_width_ == 0)
        return;
    err_ << "\r\x1b[K" << std::flush;
    bar_width_ = 0;
}

void ProgressDisplay::draw(Clock::time_point now) {
    if (mode_ == ProgressMode::bar) {
        std::string line = describe(now);
        if (total_ > 0) {
            const auto full = static_cast<std::size_t>(std::min<std::uint64_t>(kBarCells, done_ * kBarCells / total_));
            line = "[" + std::string(full, '#') + std::string(kBarCells - full, '.') + "] " + line;
        }
        line.resize(std::min(line.size(), terminal_columns() - 1));
        err_ << "\r" << line << "\x1b[K" << std::flush;
        bar_width_ = line.size();
    } else if (mode_ == ProgressMode::plain) {
        err_ << describe(now) << std::endl;
    } else if (mode_ == ProgressMode::json) {
        nlohmann::ordered_json event = {{"phase", phase_}, {"bytes", done_}};
        if (total_ > 0)
            event["total_bytes"] = total_;
        err_ << event.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << std::endl;
    }
}

void ProgressDisplay::begin(std::string_view phase, std::uint64_t total_bytes) noexcept {
    const std::lock_guard lock(mutex_);
    phase_ = phase;
    total_ = total_bytes;
    done_ = 0;
    started_ = Clock::now();
    next_draw_ = started_ + (mode_ == ProgressMode::plain ? Clock::duration(kPlainInterval) : kBarInterval);
}

void ProgressDisplay::advance(std::uint64_t bytes) noexcept {
    if (mode_ == ProgressMode::none)
        return;
    const std::lock_guard lock(mutex_);
    done_ += bytes;
    const Clock::time_point now = Clock::now();
    if (now < next_draw_)
        return;
    next_draw_ = now + (mode_ == ProgressMode::bar     ? Clock::duration(kBarInterval)
                        : mode_ == ProgressMode::plain ? Clock::duration(kPlainInterval)
                                                       : Clock::duration(kJsonInterval));
    draw(now);
}

void ProgressDisplay::end() noexcept {
    if (mode_ == ProgressMode::none)
        return;
    const std::lock_guard lock(mutex_);
    clear_bar();
    if (mode_ == ProgressMode::json) {
        draw(Clock::now());
        return;
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - started_).count();
    // Not every phase counts bytes.
    std::string line = done_ == 0 && total_ == 0
                           ? fmt::format("{} in {:.1f} s", phase_, seconds)
                           : fmt::format("{} {} in {:.1f} s", phase_, format_size(done_), seconds);
    if (done_ > 0 && seconds >= kMeasurable)
        line += fmt::format(" ({}/s)", format_size(static_cast<std::uint64_t>(static_cast<double>(done_) / seconds)));
    err_ << line << std::endl;
}

void ProgressDisplay::note(std::string_view line) noexcept {
    if (mode_ == ProgressMode::none)
        return;
    const std::lock_guard lock(mutex_);
    clear_bar();
    if (mode_ == ProgressMode::json)
        err_ << nlohmann::json{{"note", line}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
             << std::endl;
    else
        err_ << line << std::endl;
}

} // namespace vm2oci::cli
