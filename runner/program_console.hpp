// What a container's program printed, taken out of what its machine's console says: kernel, init and program share it.
//
// vm2oci's init says when the program starts and how it ended (formats/container/program.hpp), each on a line of its
// own; before the latter it ends the program's last line. A program that prints such lines itself fools its own caller
// only.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace vm2oci {

// Pure, in bounded memory.
class ProgramConsole {
  public:
    // Returns what of it is the program's, as far as that is certain.
    std::string feed(std::string_view bytes);
    // What is held back, when nothing more comes.
    std::string finish();

    bool has_started() const { return state_ != State::starting; }
    // As a shell has it; nullopt: not ended.
    const std::optional<int>& exit_code() const { return exit_code_; }
    // The end of what was said before the program started, for whom it did not.
    const std::string& before() const { return before_; }

  private:
    enum class State { starting, running, ended };

    void take_start();
    std::string take_running();

    State state_ = State::starting;
    std::string pending_;
    std::string before_;
    std::optional<int> exit_code_;
};

} // namespace vm2oci
