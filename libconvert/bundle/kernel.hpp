// The kernel of a bundle, and what it is told.
#pragma once

#include "formats/oci/bundle.hpp"
#include "libconvert/bundle/root_disk.hpp"
#include "libconvert/guest/guest.hpp"
#include "libconvert/inspect/guest_info.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kKernelLimit = 256 * 1024 * 1024;     // an image with everything built in has 60 MB
inline constexpr std::size_t kInitramfsLimit = 1024 * 1024 * 1024; // a generic one with firmware has 150 MB

struct BundleKernel {
    KernelOrigin origin = KernelOrigin::guest;
    std::string image;                    // bytes
    std::optional<std::string> initramfs; // bytes
    std::string release;                  // as `uname -r` says; empty: not known
    std::vector<std::string> remarks;     // what may keep it from booting, escaped
};

// The newest kernel of the guest with its initrd. Error{not_found} when the guest has none.
BundleKernel read_guest_kernel(const Guest& guest, const GuestInfo& info);
// A file of ours or the user's, without an initramfs. Error{unsupported} for what is no kernel.
BundleKernel read_kernel_file(KernelOrigin origin, const std::filesystem::path& path);
std::string read_initramfs_file(const std::filesystem::path& path);

// The release that stands in an x86 kernel image or an arm64 one's banner; empty: not found.
std::string kernel_release(const std::string& image);

struct CommandLineFacts {
    std::string guest_words; // what the guest's boot loader tells its kernel
    std::string architecture;
    const RootDisk& root;
    BundleRootFormat root_format = BundleRootFormat::qcow2;
    bool has_initramfs = false;
    bool fstab_has_root = false; // then the system makes the root writable itself
};

// The guest's own words, without those that were for the old disk, behind what names the root. Without an initramfs the
// kernel itself looks for the root, and knows no UUIDs of file systems.
std::string bundle_command_line(const CommandLineFacts& facts);

} // namespace vm2oci
