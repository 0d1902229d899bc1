// From what inspection learned of a guest to the machine that it boots on: the one that KubeVirt gives where the guest
// can use it, older hardware where it cannot. A pure function.
#pragma once

#include "libconvert/inspect/guest_info.hpp"
#include "runner/judge/judge.hpp"
#include "runner/machine/spec.hpp"

#include <string>
#include <vector>

namespace vm2oci {

enum class AdviceTopic { machine, disk, network, processor };

struct AdviceReason {
    AdviceTopic topic = AdviceTopic::machine;
    std::string text; // for people; strings of the guest are escaped
};

struct MachineAdvice {
    MachineProfile profile;
    bool secure_boot = false; // the programs that firmware starts are signed
    DefaultReady ready = DefaultReady::login;
    // cloud-init is there and says on the serial console when it is done.
    bool tells_cloud_init = false;
    bool has_seed = false; // inside the guest
    NotifyMode notify = NotifyMode::none;
    std::vector<AdviceReason> reasons; // for what is not the default
};

MachineAdvice advise_machine(const GuestInfo& info);

// What a distribution's programs need, as its release says: x86-64-v2 from Red Hat 9 on, x86-64-v3 from 10 on.
CpuLevel cpu_level_of(const OsInfo& os);

} // namespace vm2oci
