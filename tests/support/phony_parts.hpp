// What the makers of phony guests share.
#pragma once

#include "tests/support/phony_guests.hpp"

#include <string>

namespace vm2oci::test {

inline constexpr const char* kPhonyRoot = "11111111-2222-4333-8444-555555555501";

// The head of an ELF program for x86-64.
std::string phony_program();
std::string phony_unit(const std::string& command, const std::string& more = "",
                       const std::string& install = "multi-user.target");
void enable_unit(MemoryGuest& guest, const std::string& name, const std::string& target = "multi-user.target");

// os-release(5); `like` may be empty.
MemoryGuest phony_base(const std::string& id, const std::string& version, const std::string& like);
void with_systemd(MemoryGuest& guest);
// GRUB_CMDLINE_LINUX* as grub-mkconfig(8) reads them, with the script that it writes.
void with_grub(MemoryGuest& guest, const std::string& folder, const std::string& defaults, const std::string& words);
// What the packages of cloud-init enable: units in cloud-init.target (its systemd/*.tmpl), started by its generator.
void with_cloud_init(MemoryGuest& guest, const std::string& datasources);
// open-vm-tools of most distributions, by their packages' units.
void with_vmware_tools(MemoryGuest& guest, const std::string& name);

// By family; each appends to `all`.
void add_red_hat_guests(std::vector<PhonyGuest>& all);
void add_red_hat_clouds(std::vector<PhonyGuest>& all);
void add_suse_guests(std::vector<PhonyGuest>& all);
void add_suse_clouds(std::vector<PhonyGuest>& all);
void add_debian_guests(std::vector<PhonyGuest>& all);
void add_debian_clouds(std::vector<PhonyGuest>& all);
void add_other_guests(std::vector<PhonyGuest>& all);
void add_other_clouds(std::vector<PhonyGuest>& all);

} // namespace vm2oci::test
