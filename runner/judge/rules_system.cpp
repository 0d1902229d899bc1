// User space: systemd, System V init, OpenRC, cloud-init, the network.
#include "runner/judge/rules.hpp"

#include <array>

namespace vm2oci {
namespace {

using P = std::string_view;

constexpr P kDeviceTimeout[] = {"[ TIME ] Timed out waiting for device", "Timed out waiting for device ",
                                "Job dev-*.device/start timed out", "Job *.device/start timed out"};
constexpr P kMountFailed[] = {"[FAILED] Failed to mount ",
                              "^mount: can't find UUID=",
                              "^mount: special device * does not exist",
                              "Failed to mount API filesystems",
                              "[FAILED] Failed to start *Remount Root",
                              "^mountall: Disconnected from Plymouth",
                              "The disk drive for * is not ready yet or not present",
                              "[FAILED] Failed to start *File System Check"};
constexpr P kEmergency[] = {"You are in emergency mode",
                            "Welcome to emergency mode",
                            "Reached target Emergency Mode",
                            "Reached target emergency.target",
                            "Cannot open access to console, the root account is locked",
                            "sulogin: root account is locked",
                            "^Give root password for ",
                            "Give root password for maintenance",
                            "^Press Enter for maintenance",
                            "^Press enter for maintenance",
                            "(or type Control-D to continue):",
                            "(or press Control-D to continue):",
                            "Enter full pathname of shell or RETURN for /bin/sh",
                            "^Press ENTER for maintenance"};
constexpr P kRescue[] = {"You are in rescue mode", "Welcome to rescue mode", "Reached target Rescue Mode",
                         "Reached target rescue.target"};
constexpr P kFrozen[] = {"systemd[1]: Freezing execution", "Failed to allocate manager object, freezing",
                         "Failed to allocate manager object: ", "Exiting PID 1..."};
constexpr P kRootAccess[] = {"systemd[1]: Failed to initialize SELinux", "systemd[1]: Failed to initialize SMACK"};
// Not by "Network" alone: the time, names and file systems that come by a network are other services' matter.
constexpr P kNetworkUnit[] = {
    "[FAILED] Failed to start *network interfaces", "[FAILED] Failed to start *network.service",
    "[FAILED] Failed to start *networking",         "[FAILED] Failed to start *NetworkManager",
    "[FAILED] Failed to start *Network Manager",    "[FAILED] Failed to start *systemd-networkd",
    "[FAILED] Failed to start *Network Service",    "[FAILED] Failed to start *Network Configuration",
    "[FAILED] Failed to start *Wait for Network",   "[FAILED] Failed to start *Bring up/down networking",
    "[FAILED] Failed to start *ifup for ",          "[FAILED] Failed to start *wicked "};
constexpr P kCloudInitUnit[] = {"[FAILED] Failed to start *loud-init",
                                "[FAILED] Failed to start *cloud-init",
                                "[FAILED] Failed to start *Cloud-init",
                                "[FAILED] Failed to start Cloud-init",
                                "[FAILED] Failed to start *Execute cloud user/final scripts",
                                "[FAILED] Failed to start *Apply the settings specified in cloud-config",
                                "[FAILED] Failed to start cloud-"};
constexpr P kUnit[] = {"[FAILED] Failed to start ",   "[FAILED] Failed to listen on ", "[FAILED] Failed to activate ",
                       "[FAILED] Failed unmounting ", "systemd[1]: Failed to start ",  "[FAILED] Failed to "};
constexpr P kDependency[] = {"[DEPEND] Dependency failed for "};
constexpr P kOrdering[] = {"Found ordering cycle on ", "deleted to break ordering cycle"};
constexpr P kGenerator[] = {"-generator failed with ", "-generator terminated by signal"};
constexpr P kSysvInit[] = {"^INIT: No inittab file found",
                           "^Enter runlevel:",
                           "^INIT: cannot execute",
                           "^init: can't open /etc/inittab",
                           "^INIT: no more processes left in this runlevel",
                           "^can't run '/etc/init.d/rcS'"};
constexpr P kRespawn[] = {"respawning too fast: disabled for 5 minutes"};
constexpr P kOpenRc[] = {"^* ERROR: * failed to start", "^* ERROR: cannot start ", "ERROR: * failed to start"};
constexpr P kMountRoot[] = {"^mountroot>", "^Mounting from * failed with error"};
constexpr P kCloudConfig[] = {"Failed loading yaml blob",  "Invalid cloud-config provided",
                              "invalid format at line",    "Invalid user-data",
                              "Failed to shellify",        "cloud-config failed schema validation",
                              "Cloud config schema errors"};
constexpr P kCloudError[] = {"cloud-init*[ERROR]", "cloud-init*[CRITICAL]", "failed running module",
                             "Running module * failed", "Running module * (<module"};
constexpr P kDatasource[] = {"Datasource DataSourceNone",
                             "Used fallback datasource",
                             "No instance datasource found",
                             "Calling 'http://169.254.169.254",
                             "failed [*] waiting for metadata",
                             "Giving up on OpenStack md",
                             "Giving up on md from"};
constexpr P kDhcp[] = {"^No DHCPOFFERS received",
                       "No working leases in persistent database",
                       "dhcpcd*: timed out",
                       "udhcpc: no lease, failing",
                       "udhcpc: no lease, forking to background",
                       "DHCP4 * timed out",
                       "IP-Config: Auto-configuration of network failed"};
constexpr P kInterface[] = {
    "Cannot find device \"",        "Device \"*\" does not exist", "Device * does not seem to be present",
    "SIOCGIFFLAGS: No such device", "ifup: unknown interface",     "ERROR while getting interface flags",
    "ip: can't find device"};
constexpr P kWaitsForKey[] = {"^-- Press any key to ",
                              "^Press any key to proceed",
                              "^Press any key to continue setup",
                              "^Press Enter to continue",
                              "^Press ENTER to continue",
                              "^Press <Enter> to continue",
                              "^Press enter to continue",
                              "^Hit ENTER to continue",
                              "^Please press a key",
                              "^Please make your choice from",
                              "^Please make a selection from the above",
                              "refresh]:$",
                              "^Drücken Sie eine ",
                              "^Appuyez sur une touche pour "};
// Of vm2oci's own init (formats/container/program.hpp).
constexpr P kProgramWell[] = {"^vm2oci-init: the program ended with exit code 0$"};
constexpr P kProgramBad[] = {"^vm2oci-init: the program ended with exit code "};
constexpr P kUnhealthy[] = {"^vm2oci-init: unhealthy: "};
constexpr P kHostKeys[] = {"^sshd: no hostkeys available", "no hostkeys available -- exiting"};

constexpr std::array kSystemRules = {
    Rule{"program-ended", Severity::warning, RuleRole::cause, "the container's program has ended", "", "",
         kProgramWell},
    Rule{"program-failed", Severity::fatal, RuleRole::cause, "the container's program has failed",
         "what it printed stands above; 127 is a program that is not there, 126 one that cannot be run, and more than "
         "128 a signal",
         "", kProgramBad},
    Rule{"unhealthy", Severity::failure, RuleRole::cause, "the container's health check does not pass", "", "",
         kUnhealthy},
    Rule{"device-timeout", Severity::failure, RuleRole::cause, "a device that /etc/fstab names does not appear",
         "it names a device of the old machine: name it by UUID, or add nofail", "devices", kDeviceTimeout},
    Rule{"mount-failed", Severity::failure, RuleRole::cause, "a file system could not be mounted",
         "/etc/fstab names something that is not there or is damaged", "devices", kMountFailed},
    Rule{"emergency-shell", Severity::fatal, RuleRole::symptom, "the system is in emergency mode",
         "the lines above say what failed: often a file system in /etc/fstab", "devices", kEmergency},
    Rule{"rescue-shell", Severity::fatal, RuleRole::symptom, "the system is in rescue mode",
         "its default target or the kernel's command line asks for it", "", kRescue},
    Rule{"init-frozen", Severity::fatal, RuleRole::symptom, "systemd gave up and froze", "the lines above say why", "",
         kFrozen},
    Rule{"security-module", Severity::failure, RuleRole::cause, "a security module could not be set up",
         "its policy is missing or mislabelled", "selinux", kRootAccess},
    // Before the network's: its first job is "pre-networking".
    Rule{"cloud-init-unit-failed", Severity::failure, RuleRole::cause, "cloud-init failed",
         "its data source or its configuration does not fit this machine", "", kCloudInitUnit},
    Rule{"network-unit-failed", Severity::failure, RuleRole::cause, "the network could not be set up",
         "its configuration names interfaces or hardware addresses of the old machine", "network", kNetworkUnit},
    Rule{"unit-failed", Severity::failure, RuleRole::cause, "a service failed to start",
         "look at its log in the guest; where it does not matter, this rule can be ignored", "", kUnit},
    Rule{"dependency-failed", Severity::failure, RuleRole::symptom, "a unit did not start because another one failed",
         "the lines above say which", "", kDependency},
    Rule{"ordering-cycle", Severity::warning, RuleRole::cause, "systemd found units that wait for one another",
         "it left one of them out", "", kOrdering},
    Rule{"generator-failed", Severity::warning, RuleRole::cause, "a systemd generator failed", "", "", kGenerator},
    Rule{"init-misconfigured", Severity::fatal_if_last, RuleRole::cause, "init has nothing to start",
         "/etc/inittab is missing or names a program that is not there", "", kSysvInit},
    Rule{"respawning", Severity::failure, RuleRole::cause, "init restarts a program again and again",
         "often a getty on a console that this machine does not have", "console", kRespawn},
    Rule{"openrc-service-failed", Severity::failure, RuleRole::cause, "an OpenRC service failed to start", "", "",
         kOpenRc},
    Rule{"mountroot-prompt", Severity::fatal_if_last, RuleRole::cause, "the kernel asks for its root file system",
         "/etc/fstab names the old machine's disk", "devices", kMountRoot},
    Rule{"cloud-config-invalid", Severity::failure, RuleRole::cause, "cloud-init does not accept its user-data",
         "check the YAML of the user-data", "", kCloudConfig},
    Rule{"cloud-init-error", Severity::failure, RuleRole::cause, "cloud-init reports an error",
         "look at /var/log/cloud-init.log in the guest", "", kCloudError},
    Rule{"no-datasource", Severity::warning, RuleRole::cause, "cloud-init found no data source for this machine",
         "the image is pinned to another cloud's data source, or no seed is attached", "", kDatasource},
    Rule{"no-dhcp-lease", Severity::warning, RuleRole::cause, "no address by DHCP",
         "without a network of its own it has none; else the interface's configuration is wrong", "network", kDhcp},
    Rule{"interface-missing", Severity::warning, RuleRole::cause, "a configured network interface does not exist",
         "the configuration names the old machine's interface", "network", kInterface},
    Rule{"waits-for-key", Severity::fatal_if_last, RuleRole::symptom, "the machine waits for a key on its console",
         "a first boot that asks questions needs its answers in the image, or the questions switched off", "",
         kWaitsForKey},
    Rule{"no-ssh-host-keys", Severity::warning, RuleRole::cause, "sshd has no host keys",
         "nothing makes new ones at first boot in this image", "", kHostKeys},
};

} // namespace

std::span<const Rule> system_rules() {
    return kSystemRules;
}

} // namespace vm2oci
