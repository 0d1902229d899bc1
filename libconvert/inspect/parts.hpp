// Inside of the room: the parts of an inspection. Each takes the guest and fills its piece.
#pragma once

#include "libconvert/inspect/guest_info.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci::inspect {

OsInfo read_os(const Guest& guest, LargeFiles large_files);
std::vector<KernelInfo> read_kernels(const Guest& guest, LargeFiles large_files, const OperationContext& operation);
// `volumes` for the first sector and the EFI system partition.
BootInfo read_boot(const OpenedGuest& opened, LargeFiles large_files);
std::vector<NetworkInterface> read_network(const Guest& guest);
CloudInitInfo read_cloud_init(const Guest& guest);
std::string read_init(const Guest& guest);
std::string read_systemd_version(const Guest& guest);
std::vector<std::string> read_enabled_services(const Guest& guest);
std::vector<InstalledAgent> read_agents(const Guest& guest, const std::vector<std::string>& services);
PackageInfo read_packages(const Guest& guest);
// Tools and paravirtual drivers of a Windows guest.
std::vector<InstalledAgent> read_windows_agents(const Guest& guest);
std::string read_machine_id(const Guest& guest);
std::vector<std::string> read_host_keys(const Guest& guest);
std::vector<LoginUser> read_users(const Guest& guest);
std::string read_selinux(const Guest& guest);

// --- helpers of all parts

// nullopt or empty: not there. Never throws for what the guest holds.
std::vector<std::string> list_folder(const Guest& guest, std::string_view path);
std::vector<std::string> read_lines(const Guest& guest, std::string_view path);
std::string first_line(const Guest& guest, std::string_view path);

std::string trim(std::string_view text);
// A value of the shell or of YAML without the comment that follows it: behind a blank, and not within quotes.
std::string without_comment(std::string_view value);
bool starts_with(std::string_view text, std::string_view prefix);
bool ends_with(std::string_view text, std::string_view suffix);
std::vector<std::string> split_words(std::string_view text);

// KEY=value lines as the shell reads them: quotes off, comments out. In order.
std::vector<std::pair<std::string, std::string>> parse_assignments(const std::vector<std::string>& lines);
std::string find_assignment(const std::vector<std::pair<std::string, std::string>>& assignments, std::string_view key);

// GOARCH of an ELF file or an EFI program, from its first bytes; empty: not known.
std::string elf_architecture(std::string_view head);
std::string pe_architecture(std::string_view head);

} // namespace vm2oci::inspect
