// Files that come with the program and are not part of it: what is installed under share/vm2oci.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

namespace vm2oci {

namespace shared_file {
// The static program for the inside of guests: readiness agent, and /init of an initramfs.
inline constexpr std::string_view agent = "vm2oci-agent";
// The folder with the guest kernel of an architecture as `uname -m` names it: vmlinuz (what boot loaders start),
// vmlinux (ELF with a PVH entry; x86_64 only), config, release (one line, as `uname -r` says), modules.builtin*.
inline constexpr std::string_view guest_kernel_x86_64 = "guest-kernel/x86_64";
inline constexpr std::string_view guest_kernel_arm64 = "guest-kernel/aarch64";
} // namespace shared_file

// Looks where the running program was installed, or in the tree that it was built in; nullopt: it is not there.
std::optional<std::filesystem::path> find_shared_file(std::string_view name);

// The same for a program at a given place.
std::optional<std::filesystem::path> find_shared_file(std::string_view name, const std::filesystem::path& program);

} // namespace vm2oci
