// A serial console's bytes as lines of plain text.
//
// Escape sequences go, a move of the cursor ends a line, a carriage return overwrites it (as systemd's "A start job is
// running" does), backspace takes back. Bytes outside ASCII pass as they are. Memory is bounded whatever comes in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace vm2oci {

// Longer lines are cut: no message that a rule knows is longer, and a guest may print without ever ending a line.
inline constexpr std::size_t kConsoleLineLimit = 1024;

struct ConsoleLine {
    std::uint64_t number = 1; // of the text's lines, from 1; a line that was overwritten counts
    std::string text;
};

class ConsoleLines {
  public:
    using Sink = std::function<void(const ConsoleLine&)>;

    // Hands each line that ended to `sink`; empty ones are counted, not handed on.
    void feed(std::string_view bytes, const Sink& sink);

    // The line that has not ended yet: where a prompt stands.
    const ConsoleLine& current() const { return current_; }

  private:
    enum class State { text, escape, sequence, string, string_escape, charset };

    void take(char c, const Sink& sink);
    void take_text(char c, const Sink& sink);
    void take_sequence(char c, const Sink& sink);
    void end_line(const Sink& sink);

    State state_ = State::text;
    ConsoleLine current_;
    std::size_t sequence_length_ = 0;
    bool carriage_return_ = false; // seen, and not yet known whether a line feed follows
};

// "[   12.345678] text" and "[   12.345678][    T1] text" without the kernel's prefix.
std::string_view without_kernel_prefix(std::string_view line);
bool has_kernel_prefix(std::string_view line);

} // namespace vm2oci
