// One attempt to boot with one accelerator: the event loop.
#pragma once

#include "runner/agent/agent_session.hpp"
#include "runner/agent/own_session.hpp"
#include "runner/boot.hpp"
#include "runner/port_watch.hpp"
#include "runner/qemu/machine.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace vm2oci {

class BootRun final {
  public:
    // `report` is filled as the boot goes on; what does not change with the attempt is there already.
    BootRun(const VmSpec& spec, const BootOptions& options, JudgePolicy policy, BootReport& report,
            BootObserver& observer, const OperationContext& operation);

    // Until there is a verdict and everything that was asked for has been answered.
    void run();

    // QEMU ended before the guest printed anything: with KVM that says more about the host than about the image.
    bool died_at_once() const { return exit_status_ && !judge_.has_console_output(); }
    // QEMU crashed before there was a verdict.
    bool crashed() const;

  private:
    using Clock = std::chrono::steady_clock;

    BootInstant now();
    void wait_for_something();
    void read_guest();  // what it printed and what QEMU tells of it, in their order
    bool read_serial(); // whether there was something
    void read_monitor();
    void handle(const MonitorMessage& message);
    void handle_event(const MonitorMessage& message);
    void serve_agent();
    void greet_agent();
    void serve_own_agent();
    void take_own_ready();
    void read_notices();
    void ask_system_state();
    void take_system_state(const ExecResult& result);
    void ask_cloud_init();
    void read_errors();
    void check_process();
    void forward_input();
    void run_commands();
    // False: there is no agent that runs commands.
    bool execute(const std::string& command, std::function<void(ExecResult)> done);
    void gather_facts();
    void take_screenshot();
    void update_report();
    void update_checks();

    const BootOptions& options_;
    BootReport& report_;
    BootObserver& observer_;
    const OperationContext& operation_;
    Judge judge_;
    QemuMachine machine_;
    AgentSession agent_;
    OwnAgentSession own_agent_;
    PortWatch ports_;
    std::optional<Clock::time_point> power_on_;
    std::uint64_t continue_id_ = 0;
    std::uint64_t screenshot_id_ = 0;
    bool screenshot_answered_ = false;
    bool agent_greeted_ = false;
    bool own_agent_greeted_ = false;
    bool own_ready_taken_ = false;
    std::optional<Clock::time_point> sampled_at_;
    BootInstant sample_;
    Milliseconds waited_{0};         // in all, when it was last looked at
    Milliseconds starved_until_{0};  // by the wall clock
    bool printing_ = false;          // the guest, when it was last looked at
    std::optional<int> exit_status_; // of a QEMU that ended before the verdict, as waitpid() gives it
    std::string typed_;              // keys that the serial port has not taken yet
};

} // namespace vm2oci
