// A machine that does what a script says, by a clock of its own: for tests of what watches machines.
#pragma once

#include "runner/machine/machine.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

namespace vm2oci::test {

class ScriptedMachine final : public Machine {
  public:
    using Milliseconds = std::chrono::milliseconds;

    // `action` runs when that much time has passed since the clock's start. It calls the methods below.
    ScriptedMachine& at(Milliseconds when, std::function<void(ScriptedMachine&)> action) {
        script_.emplace(when, std::move(action));
        return *this;
    }
    ScriptedMachine& powers_on(Milliseconds when) {
        return at(when, [](ScriptedMachine& self) {
            self.used_ = 0; // counted since power-on
            self.waited_ = 0;
            self.tell({MachineEventKind::powered_on});
        });
    }
    ScriptedMachine& prints(Milliseconds when, const std::string& text) {
        return at(when, [text](ScriptedMachine& self) { self.serial_ += text; });
    }

    void tell(MachineEvent event) { events_.push_back(event); }
    void print(std::string_view text) { serial_ += text; }
    void say(GuestChannel channel, std::string_view bytes) { from_guest_[channel] += bytes; }
    void end(MachineExit how) { exit_ = std::move(how); }
    // From now on, of each second: how much the processors work, and how long threads wait for one of the host's.
    void works(double used, double waited) {
        used_rate_ = used;
        waited_rate_ = waited;
    }
    void accepts(std::uint16_t host_port) { connections_.push_back(host_port); }
    void breaks_disk(std::string how) { disk_error_ = std::move(how); }

    // What the guest was sent, in all.
    const std::string& typed() const { return typed_; }
    const std::string& heard(GuestChannel channel) { return to_guest_[channel]; }
    // Answers what is written to a channel; called once for each write.
    std::function<void(ScriptedMachine&, GuestChannel, const std::string& bytes)> on_write;
    // How much the serial port takes at a time.
    std::size_t serial_room = 1 << 20;

    void wait(Milliseconds limit, const Interest&) override {
        if (exit_)
            return;
        const Milliseconds end = clock_ + limit;
        if (script_.empty() || script_.begin()->first > end)
            return pass(end - clock_);
        pass(std::max(script_.begin()->first - clock_, Milliseconds{0}));
        const auto action = std::move(script_.begin()->second);
        script_.erase(script_.begin());
        action(*this);
    }
    Milliseconds clock() const override { return clock_; }
    ProcessorTimes processor_times() override { return {rounded(used_), rounded(waited_)}; }
    std::vector<MachineEvent> take_events() override { return std::exchange(events_, {}); }
    std::string read_serial() override { return std::exchange(serial_, {}); }
    void write_serial(std::string& bytes) override {
        const std::size_t taken = std::min(bytes.size(), serial_room);
        typed_ += bytes.substr(0, taken);
        bytes.erase(0, taken);
    }
    void write(GuestChannel channel, std::string& bytes) override {
        const std::string written = std::exchange(bytes, {});
        to_guest_[channel] += written;
        if (!written.empty() && on_write)
            on_write(*this, channel, written);
    }
    std::string read(GuestChannel channel) override { return std::exchange(from_guest_[channel], {}); }
    void ask_connections() override { asked_ = true; }
    std::optional<std::vector<std::uint16_t>> take_connections() override {
        return std::exchange(asked_, false) ? std::optional(connections_) : std::nullopt;
    }
    std::vector<std::byte> take_screenshot(Milliseconds) override { return {std::byte{0x89}}; }
    DiskUse disk_use() const override { return {}; }
    std::optional<std::string> disk_error() const override { return disk_error_; }
    std::optional<MachineExit> exit() override { return exit_; }
    std::string version() const override { return "scripted 1"; }
    std::vector<std::string> arguments() const override { return {"scripted"}; }
    std::string take_messages() override { return {}; }
    std::string notify_problem() const override { return {}; }

  private:
    static Milliseconds rounded(double milliseconds) { return Milliseconds(static_cast<std::int64_t>(milliseconds)); }
    void pass(Milliseconds time) {
        clock_ += time;
        used_ += used_rate_ * static_cast<double>(time.count());
        waited_ += waited_rate_ * static_cast<double>(time.count());
    }

    std::multimap<Milliseconds, std::function<void(ScriptedMachine&)>> script_;
    Milliseconds clock_{0};
    double used_ = 0;
    double waited_ = 0;
    double used_rate_ = 1;
    double waited_rate_ = 0;
    std::vector<MachineEvent> events_;
    std::string serial_;
    std::string typed_;
    std::map<GuestChannel, std::string> from_guest_;
    std::map<GuestChannel, std::string> to_guest_;
    std::vector<std::uint16_t> connections_;
    bool asked_ = false;
    std::optional<std::string> disk_error_;
    std::optional<MachineExit> exit_;
};

} // namespace vm2oci::test
