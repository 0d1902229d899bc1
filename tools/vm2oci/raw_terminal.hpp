// The terminal at standard input, byte by byte and without echo, as long as an object lives.
#pragma once

#include <termios.h>
#include <unistd.h>

namespace vm2oci::cli {

// What becomes of the line ends of what this program itself writes.
enum class LineEnds { as_they_are, as_before };

// Where standard input is no terminal, nothing is changed.
class RawTerminal {
  public:
    explicit RawTerminal(LineEnds line_ends) : changed_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
        if (!changed_)
            return;
        termios raw = before_;
        ::cfmakeraw(&raw);
        if (line_ends == LineEnds::as_before)
            raw.c_oflag = before_.c_oflag;
        ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    ~RawTerminal() {
        if (changed_)
            ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

  private:
    termios before_{};
    bool changed_;
};

} // namespace vm2oci::cli
