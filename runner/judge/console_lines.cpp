#include "runner/judge/console_lines.hpp"

namespace vm2oci {
namespace {

// A control sequence or string longer than this is garbage; what follows is text again.
constexpr std::size_t kSequenceLimit = 256;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Length of "[    1.234567]" at the front, or 0.
std::size_t timestamp_length(std::string_view line) {
    if (line.empty() || line[0] != '[')
        return 0;
    std::size_t at = 1;
    while (at < line.size() && line[at] == ' ')
        ++at;
    const std::size_t seconds = at;
    while (at < line.size() && is_digit(line[at]))
        ++at;
    if (at == seconds || at >= line.size() || line[at] != '.')
        return 0;
    const std::size_t fraction = ++at;
    while (at < line.size() && is_digit(line[at]))
        ++at;
    if (at - fraction != 6 || at >= line.size() || line[at] != ']')
        return 0;
    return at + 1;
}

} // namespace

void ConsoleLines::feed(std::string_view bytes, const Sink& sink) {
    for (const char c : bytes)
        take(c, sink);
}

void ConsoleLines::take(char c, const Sink& sink) {
    switch (state_) {
    case State::text:
        take_text(c, sink);
        break;
    case State::escape:
        sequence_length_ = 0;
        if (c == '[')
            state_ = State::sequence;
        else if (c == ']' || c == 'P' || c == '_' || c == '^')
            state_ = State::string;
        else if (c == '(' || c == ')' || c == '#' || c == '%')
            state_ = State::charset;
        else
            state_ = State::text;
        break;
    case State::sequence:
        take_sequence(c, sink);
        break;
    case State::string:
        if (c == '\a' || ++sequence_length_ > kSequenceLimit)
            state_ = State::text;
        else if (c == '\x1b')
            state_ = State::string_escape;
        break;
    case State::string_escape:
    case State::charset:
        state_ = State::text;
        break;
    }
}

void ConsoleLines::take_text(char c, const Sink& sink) {
    if (c == '\n') {
        carriage_return_ = false;
        end_line(sink);
        return;
    }
    if (c == '\r') {
        carriage_return_ = true;
        return;
    }
    if (c == '\x1b') {
        state_ = State::escape;
        return;
    }
    if (c == '\b') {
        if (!current_.text.empty())
            current_.text.pop_back();
        return;
    }
    const auto value = static_cast<unsigned char>(c);
    if (value == '\t')
        c = ' ';
    else if (value < 0x20 || value == 0x7f)
        return;
    if (carriage_return_) {
        carriage_return_ = false;
        end_line(sink);
    }
    if (current_.text.size() < kConsoleLineLimit)
        current_.text += c;
}

void ConsoleLines::take_sequence(char c, const Sink& sink) {
    const auto value = static_cast<unsigned char>(c);
    if (value >= 0x40 && value <= 0x7e) {
        state_ = State::text;
        // Cursor position, up, down, scrolling: what follows stands elsewhere on the screen.
        if ((c == 'H' || c == 'f' || c == 'A' || c == 'B' || c == 'E' || c == 'F') && !current_.text.empty())
            end_line(sink);
        return;
    }
    if (value < 0x20 || ++sequence_length_ > kSequenceLimit)
        state_ = State::text;
}

void ConsoleLines::end_line(const Sink& sink) {
    if (!current_.text.empty())
        sink(current_);
    current_.text.clear();
    ++current_.number;
}

bool has_kernel_prefix(std::string_view line) {
    return timestamp_length(line) != 0;
}

std::string_view without_kernel_prefix(std::string_view line) {
    const std::size_t length = timestamp_length(line);
    if (length == 0)
        return line;
    line.remove_prefix(length);
    // The caller's thread or processor, with CONFIG_PRINTK_CALLER.
    if (!line.empty() && line[0] == '[') {
        const std::size_t end = line.find(']');
        if (end < 16) // npos is more
            line.remove_prefix(end + 1);
    }
    if (!line.empty() && line[0] == ' ')
        line.remove_prefix(1);
    return line;
}

} // namespace vm2oci
