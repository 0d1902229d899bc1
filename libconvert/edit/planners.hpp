// The planners: each adds edits to a builder, and none writes anything.
#pragma once

#include "libconvert/edit/plan_builder.hpp"
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/edit/request.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// --- what a guest is made of -------------------------------------------------------------------------------------
// upstart and runit count as sysv, whose scripts they run or resemble.
InitSystem init_system(const PlanBuilder& plan);
// Jobs of /etc/init are run by the guest's init.
bool has_upstart(const PlanBuilder& plan);
// Services of /etc/sv are run by the guest's init.
bool has_runit(const PlanBuilder& plan);
enum class ServiceState { absent, disabled, enabled, unknown };
// Whether a service ("NetworkManager") starts at boot, by the links of the guest's init. Masked is disabled; unknown is
// a unit that nobody can enable, and which others may ask for.
ServiceState service_state(const PlanBuilder& plan, const std::string& name);
// An administrator's way to say "none": a link to /dev/null, or a file in which nothing stands but comments.
bool is_mask(const PlanBuilder& plan, const std::string& path);
bool has_cloud_init(const PlanBuilder& plan);
// e_machine of the guest's programs (elf.h); nullopt: no ELF program was found.
std::optional<std::uint16_t> guest_machine(const PlanBuilder& plan);

struct Account {
    std::string name;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::string home;
};
std::optional<Account> find_account(const PlanBuilder& plan, std::string_view name);

// Links a unit into /etc/systemd/system/<target>.wants as `systemctl enable` would by its [Install] section.
void enable_systemd_unit(PlanBuilder& plan, const std::string& unit_path, const std::string& reason);
// An upstart job (init(5)) whose "start on" is a comment; nullopt: it has none.
std::optional<std::string> without_start(std::string_view job);
// Links /etc/systemd/system/<unit> to /dev/null, and takes the service from what OpenRC, SysV, upstart and runit start.
void disable_service(PlanBuilder& plan, const std::string& name, const std::string& reason);

// --- cloud-init, identity -----------------------------------------------------------------------------------------
// The NoCloud files, complete and checked. `hostname` and `keys` may be empty.
struct Seed {
    std::string user_data;
    std::string meta_data;
    std::optional<std::string> network_config;
    std::optional<std::string> vendor_data;
};
// Throws Error{usage} for what cloud-init would not understand. The instance-id, when none is given, is a digest of
// everything else, so that equal input is the same instance and other input is a new one.
Seed make_seed(const CloudInitRequest& request, const std::string& hostname, const std::string& public_keys);

// The seed that plan_edits() makes of the whole request.
Seed make_cloud_init_seed(const EditRequest& request);

// /etc/cloud/cloud.cfg, and those of its folder in the order in which they are merged: the last one counts.
std::vector<std::string> cloud_settings_files(const PlanBuilder& plan);
// Takes a top-level member out of such a file; a file with nothing else in it goes.
void cut_cloud_setting(PlanBuilder& plan, const std::string& path, std::string_view key, const std::string& reason);
// Why cloud-init does not run in this guest; empty: nothing is known that would keep it from running.
std::string cloud_init_obstacle(const PlanBuilder& plan);
// It is enabled, and runs even where no data source answers.
bool cloud_init_certainly_runs(const PlanBuilder& plan);

void plan_cloud_init(PlanBuilder& plan, const CloudInitRequest& request, const std::string& hostname,
                     const std::string& public_keys);
// Error{usage} unless `hostname` is one by RFC 1123.
void check_hostname(std::string_view hostname);
void plan_hostname(PlanBuilder& plan, const std::string& hostname);
// Into the authorized_keys of accounts that the guest has; `keys` are checked to be OpenSSH public keys.
void plan_ssh_key(PlanBuilder& plan, const SshKeyRequest& request);
void check_public_keys(std::string_view keys);
enum class KeyPlace {
    authorized_keys, // in the user's home
    cloud_init,      // wherever sshd looks: cloud-init asks its configuration
};
// Tells what in the guest's sshd, or of the account, keeps a key from letting its user in. The user need not be there.
void find_ssh_obstacles(PlanBuilder& plan, const std::string& user, KeyPlace place);
void plan_copy(PlanBuilder& plan, const CopyRequest& request);
// All of them at once, since one may bring what another needs. Each is an operation of its own.
void plan_agents(PlanBuilder& plan, const std::vector<AgentRequest>& agents);

// --- sysprep ------------------------------------------------------------------------------------------------------
enum class SysprepDefault { on, off };
struct SysprepOperation {
    std::string name;
    SysprepDefault by_default;
    std::string summary;
};
const std::vector<SysprepOperation>& sysprep_operations();
// "", "all", "none", "NAME,…" (only these), or "+NAME,-NAME,…" (the default set, changed). Error{usage} for a name that
// is none.
std::vector<std::string> select_sysprep(std::string_view list);
void plan_sysprep(PlanBuilder& plan, const std::vector<std::string>& names);
// Removes host keys where something makes new ones at the next boot, or can be made to; else they stay, and are found.
void plan_ssh_host_keys(PlanBuilder& plan);

// --- fixes --------------------------------------------------------------------------------------------------------
struct Fix {
    std::string name;
    std::string summary;
};
const std::vector<Fix>& fixes();
// "", "all", "none", "NAME,…" or "-NAME,…"; "network" takes a mode behind a colon ("network:pin").
FixRequest select_fixes(std::string_view list);

// What a fix may use besides the guest.
struct FixContext {
    const std::vector<DiskVolume>& volumes;
    NetworkFix network;
    std::vector<std::string>& problems; // filled with what is wrong, mended or not
};
void plan_virtio_fix(PlanBuilder& plan, const FixContext& context);
void plan_network_fix(PlanBuilder& plan, const FixContext& context);
void plan_devices_fix(PlanBuilder& plan, const FixContext& context);
void plan_console_fix(PlanBuilder& plan, const FixContext& context);
void plan_uefi_fix(PlanBuilder& plan, const FixContext& context);
void plan_tools_fix(PlanBuilder& plan, const FixContext& context);
void plan_selinux_fix(PlanBuilder& plan, const FixContext& context);

} // namespace vm2oci
