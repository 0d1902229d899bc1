// One attempt to boot with one accelerator: the event loop.
#pragma once

#include "runner/agent/agent_session.hpp"
#include "runner/agent/own_session.hpp"
#include "runner/boot.hpp"
#include "runner/machine/machine.hpp"
#include "runner/port_watch.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

class BootRun final {
  public:
    // `report` is filled as the boot goes on; what does not change with the attempt is there already. All that are
    // given by reference outlive the run.
    BootRun(Machine& machine, const std::vector<PortForward>& forwards, const BootOptions& options, JudgePolicy policy,
            BootReport& report, BootObserver& observer, const OperationContext& operation);

    // Until there is a verdict and everything that was asked for has been answered.
    void run();

    // The machine ended before the guest printed anything: with KVM that says more about the host than about the image.
    bool died_at_once() const { return exit_ && !judge_.has_console_output(); }
    // What ran the machine crashed before there was a verdict.
    bool crashed() const { return exit_ && exit_->crashed; }

  private:
    BootInstant now();
    void wait_for_something();
    void read_guest();  // what it printed and what the machine tells of it, in their order
    bool read_serial(); // whether there was something
    void handle(const MachineEvent& event);
    void serve_agent();
    void greet_agent();
    void serve_own_agent();
    void take_own_ready();
    void ask_system_state();
    void take_system_state(const ExecResult& result);
    void ask_cloud_init();
    void read_messages();
    void check_exit();
    void watch_ports();
    void forward_input();
    void run_commands();
    // False: there is no agent that runs commands.
    bool execute(const std::string& command, std::function<void(ExecResult)> done);
    void gather_facts();
    void update_report();
    void update_checks();

    Machine& machine_;
    const BootOptions& options_;
    BootReport& report_;
    BootObserver& observer_;
    const OperationContext& operation_;
    Judge judge_;
    AgentSession agent_;
    OwnAgentSession own_agent_;
    PortWatch ports_;
    std::optional<Milliseconds> power_on_; // by the machine's clock, as all moments that are no BootInstant
    bool agent_greeted_ = false;
    bool own_agent_greeted_ = false;
    bool own_ready_taken_ = false;
    std::optional<Milliseconds> sampled_at_;
    BootInstant sample_;
    Milliseconds waited_{0};          // in all, when it was last looked at
    Milliseconds starved_until_{0};   // since power-on
    std::optional<MachineExit> exit_; // of a machine that ended before the verdict
    std::string typed_;               // keys that the serial port has not taken yet
};

} // namespace vm2oci
