// A boot on the terminal: one line of status, or the machine's serial console itself.
#pragma once

#include "tools/flows/boot.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/raw_terminal.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace vm2oci::cli {

class BootDisplay final : public BootObserver {
  public:
    BootDisplay(Invocation& call, ConsoleMode mode);
    ~BootDisplay() override; // gives the terminal back

    void console(std::string_view bytes) override;
    void progress(const BootReport& report) override;
    std::string input() override;
    bool leave_wanted() override { return leave_; }
    int input_fd() const override;

    // The status line is gone, and the terminal given back.
    void finish();

  private:
    using Clock = std::chrono::steady_clock;

    void announce(const BootReport& report);
    void announce_restart(const BootReport& report);
    void show_status(const BootReport& report);
    void clear_status();

    Invocation& call_;
    ConsoleMode mode_;
    std::unique_ptr<RawTerminal> terminal_;
    std::optional<Accelerator> announced_;
    std::size_t reasons_said_ = 0; // of the report's reasons for its machine
    std::string last_stage_;
    Clock::time_point next_status_{};
    bool status_shown_ = false;
    bool restart_said_ = false;
    bool leave_ = false;
};

} // namespace vm2oci::cli
