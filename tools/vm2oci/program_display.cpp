#include "tools/vm2oci/program_display.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <ostream>
#include <utility>

namespace vm2oci::cli {
namespace {

// Whoever asks a third time does not want to wait for it.
constexpr int kPatience = 3;
constexpr std::array kTaken = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
constexpr std::size_t kPassed = kTaken.size() - 1; // the last is the terminal's, and says that its size has changed

// How often each has come and was not taken yet; a handler can do no more.
std::array<std::atomic<int>, kTaken.size()>& arrived() {
    static std::array<std::atomic<int>, kTaken.size()> counts{};
    return counts;
}

extern "C" void count_signal(int number) {
    for (std::size_t i = 0; i < kTaken.size(); ++i)
        if (kTaken[i] == number)
            ++arrived()[i];
}

} // namespace

std::optional<TerminalSize> terminal_size() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
        return std::nullopt;
    return TerminalSize{size.ws_row, size.ws_col};
}

class ProgramDisplay::Signals {
  public:
    Signals() {
        struct sigaction action {};
        action.sa_handler = count_signal;
        for (std::size_t i = 0; i < kTaken.size(); ++i) {
            arrived()[i] = 0;
            ::sigaction(kTaken[i], &action, &before_[i]);
        }
    }
    ~Signals() {
        for (std::size_t i = 0; i < kTaken.size(); ++i)
            ::sigaction(kTaken[i], &before_[i], nullptr);
    }
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

  private:
    std::array<struct sigaction, kTaken.size()> before_{};
};

ProgramDisplay::ProgramDisplay(Invocation& call, Use use) : call_(call) {
    if (use == Use::terminal)
        terminal_ = std::make_unique<RawTerminal>(LineEnds::as_before);
    signals_ = std::make_unique<Signals>();
}

ProgramDisplay::~ProgramDisplay() = default;

void ProgramDisplay::output(std::string_view bytes) {
    call_.out.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush();
    // Its reader has gone, as with `| head`: nobody waits for the program any more.
    if (!call_.out)
        leave_ = true;
}

void ProgramDisplay::chosen(Accelerator accelerator, std::string_view reason) {
    if (accelerator == Accelerator::tcg && reason != "asked for" && call_.global.verbosity != Verbosity::quiet)
        call_.operation.progress->note(fmt::format("emulating the processor (slow): {}", reason));
}

std::string ProgramDisplay::input() {
    if (!terminal_ || leave_)
        return {};
    TypedKeys typed = read_typed_keys();
    leave_ = leave_ || typed.leaves;
    return std::move(typed.keys);
}

int ProgramDisplay::input_fd() const {
    return terminal_ && !leave_ ? STDIN_FILENO : -1;
}

std::vector<int> ProgramDisplay::take_signals() {
    std::vector<int> signals;
    for (std::size_t i = 0; i < kPassed; ++i)
        for (int left = arrived()[i].exchange(0); left > 0; --left) {
            signals.push_back(kTaken[i]);
            if (kTaken[i] == SIGINT || kTaken[i] == SIGTERM)
                leave_ = ++urgent_ >= kPatience || leave_;
        }
    return signals;
}

std::optional<TerminalSize> ProgramDisplay::take_resize() {
    const bool has_changed = arrived().back().exchange(0) != 0;
    return terminal_ && has_changed ? terminal_size() : std::nullopt;
}

} // namespace vm2oci::cli
