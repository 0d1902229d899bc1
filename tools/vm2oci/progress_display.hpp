// Progress on standard error: a bar on a terminal, plain lines in a log, JSON lines for programs.
#pragma once

#include "formats/base/progress.hpp"
#include "tools/vm2oci/command_table.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <mutex>
#include <string>

namespace vm2oci::cli {

// Of the terminal at standard error; 80 where that is none.
std::size_t terminal_columns();
std::size_t terminal_rows();

// What `automatic` means: a bar when `err` is the process's standard error and that is a terminal, else plain lines.
// Nothing where only errors are wanted.
ProgressMode resolve_mode(ProgressMode mode, Verbosity verbosity, const std::ostream& err);

class ProgressDisplay final : public ProgressSink {
  public:
    // `mode` as resolve_mode() has it.
    ProgressDisplay(std::ostream& err, ProgressMode mode, Verbosity verbosity);
    ~ProgressDisplay() override;

    void begin(std::string_view phase, std::uint64_t total_bytes) noexcept override;
    void advance(std::uint64_t bytes) noexcept override;
    void end() noexcept override;
    void note(std::string_view line) noexcept override;

  private:
    using Clock = std::chrono::steady_clock;

    std::string describe(Clock::time_point now) const; // "convert 312 MiB of 615 MiB (50 %), 410 MiB/s, 1 s left"
    void draw(Clock::time_point now);
    void clear_bar();

    std::ostream& err_;
    ProgressMode mode_; // never automatic
    std::mutex mutex_;
    std::string phase_;
    std::uint64_t total_ = 0;
    std::uint64_t done_ = 0;
    Clock::time_point started_{};
    Clock::time_point next_draw_{};
    std::size_t bar_width_ = 0; // columns that the last drawn bar takes
};

} // namespace vm2oci::cli
