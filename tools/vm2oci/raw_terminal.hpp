// The terminal at standard input, byte by byte and without echo, as long as an object lives.
#pragma once

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <string>

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

struct TypedKeys {
    std::string keys;
    bool leaves = false; // Ctrl-] was typed, behind `keys`, or the input has ended
};

// What was typed and not read yet; never waits.
inline TypedKeys read_typed_keys() {
    constexpr char kLeave = 0x1d; // Ctrl-]
    pollfd entry{STDIN_FILENO, POLLIN, 0};
    if (::poll(&entry, 1, 0) != 1 || (entry.revents & (POLLIN | POLLHUP)) == 0)
        return {};
    std::array<char, 256> buffer{};
    const ssize_t n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n <= 0)
        return {"", true};
    TypedKeys typed{std::string(buffer.data(), static_cast<std::size_t>(n)), false};
    if (const std::size_t leave = typed.keys.find(kLeave); leave != std::string::npos) {
        typed.keys.resize(leave);
        typed.leaves = true;
    }
    return typed;
}

} // namespace vm2oci::cli
