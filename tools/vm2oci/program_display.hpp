// A container's program at this terminal: its output, keys and signals.
#pragma once

#include "runner/program_run.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/raw_terminal.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::cli {

// Of the terminal at standard output; nullopt: there is none, or it does not know.
std::optional<TerminalSize> terminal_size();

// While it lives, signals are the program's; with a terminal its keys, too.
class ProgramDisplay final : public ProgramTerminal {
  public:
    enum class Use { terminal, streams }; // streams: there is no input

    ProgramDisplay(Invocation& call, Use use);
    ~ProgramDisplay() override;

    void output(std::string_view bytes) override;
    void chosen(Accelerator accelerator, std::string_view reason) override;
    std::string input() override;
    int input_fd() const override;
    std::vector<int> take_signals() override;
    std::optional<TerminalSize> take_resize() override;
    bool leave_wanted() override { return leave_; }

  private:
    class Signals;

    Invocation& call_;
    std::unique_ptr<RawTerminal> terminal_; // null: streams
    std::unique_ptr<Signals> signals_;
    int urgent_ = 0; // requests to end that have come
    bool leave_ = false;
};

} // namespace vm2oci::cli
