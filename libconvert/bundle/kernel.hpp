// The kernel of a bundle, and what it is told.
#pragma once

#include "formats/oci/bundle.hpp"
#include "libconvert/bundle/proven_root.hpp"
#include "libconvert/bundle/root_disk.hpp"
#include "libconvert/guest/guest.hpp"
#include "libconvert/inspect/guest_info.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kKernelLimit = 256ull * 1024 * 1024;     // an image with everything built in has 60 MB
inline constexpr std::size_t kInitramfsLimit = 1024ull * 1024 * 1024; // a generic one with firmware has 150 MB

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
    // "security=selinux" for a kernel that takes another guard by itself; empty: none is needed.
    std::string guard = {};
    std::optional<VerityRoot> verity = {}; // of an EROFS that proves itself
};

// The guest's own words, without those that were for the old disk, behind what names the root. Without an initramfs the
// kernel itself looks for the root, and knows no UUIDs of file systems.
// What comes for init, behind a "--", stays behind all that is for the kernel.
std::string bundle_command_line(const CommandLineFacts& facts);

// A command line with more words for the kernel: before the "--" behind which everything is for init.
std::string add_kernel_words(std::string_view command_line, std::string_view words);

// Of facts.guest_words what bundle_command_line() leaves out: words for another root or disk, and such as a line of
// ours cannot carry.
std::vector<std::string> words_left_out(const CommandLineFacts& facts);

// GOARCH of a kernel's image; empty: not known.
std::string kernel_architecture(std::string_view image);
// Whether a kernel for one architecture (GOARCH) runs programs for another. What is not known, empty, passes.
bool runs_programs_of(std::string_view kernel, std::string_view programs);
// Error{unsupported} if programs for `guest_architecture` do not run on that kernel. What is not known passes.
void require_kernel_for(std::string_view image, std::string_view guest_architecture);

// Why vm2oci's own kernel cannot mount a root of that type; nullopt: it can. Reads the superblock of an ext4.
std::optional<std::string> obstacle_for_own_kernel(const std::string& type, const BlockDevice& root);

// What the kernel starts is not there: none of its names for init, nor what init= says; empty: it is there.
std::string missing_init(const Guest& guest, const std::string& command_line);

// The word by which vm2oci's own kernel, whose guard is AppArmor, takes the guest's SELinux; empty: it has none, or the
// command line chooses itself.
std::string guard_word(const std::string& selinux, const std::string& command_line);

} // namespace vm2oci
