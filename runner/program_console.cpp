#include "runner/program_console.hpp"

#include "formats/container/program.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace vm2oci {
namespace {

constexpr std::size_t kBeforeLimit = 64ull * 1024; // of a boot's messages is kept: its end says why
constexpr std::size_t kNumberLimit = 8;            // digits of an exit code, and the line's end

// The line's end before it belongs to init, in the form that the terminal gives it.
bool may_become_end(std::string_view rest) {
    const std::string_view marker = kProgramEnded;
    if (rest.starts_with('\r'))
        rest.remove_prefix(1);
    if (rest.empty())
        return true;
    if (rest.front() != '\n')
        return false;
    rest.remove_prefix(1);
    const std::size_t common = std::min(rest.size(), marker.size());
    return rest.substr(0, common) == marker.substr(0, common);
}

} // namespace

std::string ProgramConsole::feed(std::string_view bytes) {
    if (state_ == State::ended)
        return {};
    pending_ += bytes;
    if (state_ == State::starting)
        take_start();
    return state_ == State::running ? take_running() : std::string();
}

void ProgramConsole::take_start() {
    std::size_t end = 0;
    while ((end = pending_.find('\n')) != std::string::npos) {
        const std::string line = pending_.substr(0, end + 1);
        pending_.erase(0, end + 1);
        // A firmware's escapes, which end no line, may stand before it.
        if (line.find(kProgramStarts) != std::string::npos) {
            state_ = State::running;
            return;
        }
        before_ += line;
    }
    if (pending_.size() > kBeforeLimit)
        before_ += std::exchange(pending_, {});
    if (before_.size() > kBeforeLimit)
        before_.erase(0, before_.size() - kBeforeLimit);
}

std::string ProgramConsole::take_running() {
    for (std::size_t at = pending_.find_first_of("\r\n"); at != std::string::npos;
         at = pending_.find_first_of("\r\n", at + 1)) {
        const std::string_view rest = std::string_view(pending_).substr(at);
        if (!may_become_end(rest))
            continue;
        const std::size_t number = pending_.find(kProgramEnded, at);
        const std::size_t digits =
            number == std::string::npos ? number : number + std::string_view(kProgramEnded).size();
        const std::size_t line_end = digits == std::string::npos ? digits : pending_.find('\n', digits);
        if (line_end == std::string::npos) {
            if (digits != std::string::npos && pending_.size() - digits > kNumberLimit)
                continue; // no number follows
            std::string certain = pending_.substr(0, at);
            pending_.erase(0, at);
            return certain;
        }
        int code = 0;
        const auto [end, error] = std::from_chars(pending_.data() + digits, pending_.data() + line_end, code);
        if (error != std::errc() || (*end != '\r' && *end != '\n'))
            continue;
        exit_code_ = code;
        state_ = State::ended;
        std::string last = pending_.substr(0, at);
        pending_.clear();
        return last;
    }
    return std::exchange(pending_, {});
}

std::string ProgramConsole::finish() {
    if (state_ == State::starting)
        before_ += std::exchange(pending_, {});
    return std::exchange(pending_, {});
}

} // namespace vm2oci
