// How far a boot has come, as the console tells it.
#pragma once

#include <optional>
#include <string_view>

namespace vm2oci {

// In the order in which a boot usually passes them; a boot may skip any.
enum class Milestone {
    firmware,
    boot_loader,
    kernel,
    initramfs,
    init,       // the real root file system's init runs
    network,    // an address was got
    system,     // the default target or runlevel is reached
    cloud_init, // cloud-init says that it is finished
    agent_port, // qemu-guest-agent opened its channel
    agent,      // qemu-guest-agent answered
    login,      // a login prompt stands on the console
};
inline constexpr Milestone kLastMilestone = Milestone::login;

std::string_view to_string(Milestone milestone);    // "boot_loader"
std::string_view display_name(Milestone milestone); // "boot loader"

// What a line says about the boot's progress. `line` as it came from ConsoleLines.
std::optional<Milestone> milestone_of_line(std::string_view line);

} // namespace vm2oci
