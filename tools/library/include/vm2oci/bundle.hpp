// A kernel, its initramfs and the guest's root file system in one image, for what starts kernels directly.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace vm2oci::v0 {

enum class BundleKernel {
    automatic, // `guest` for machines, `minimal` for container images
    guest,     // the newest one of the guest's own
    minimal,   // vm2oci's, where it is installed
    file,
};
enum class BundleInitramfs {
    automatic, // the guest's own with the guest's kernel; else none, unless the root needs one
    none,
    file,
};
enum class RootFormat {
    disk,  // the file system that the guest has, or a joined one, on a disk that is written to
    erofs, // read-only; what the guest writes is kept in memory
};

struct Bundle {
    BundleKernel kernel = BundleKernel::automatic;
    std::filesystem::path kernel_file;
    BundleInitramfs initramfs = BundleInitramfs::automatic;
    std::filesystem::path initramfs_file;
    std::optional<std::string> command_line; // none: what the guest's boot loader says
    RootFormat root = RootFormat::disk;
    bool verity = false; // with erofs: the root proves itself by dm-verity
    bool krun = false;   // starts under krun, too; its root is raw or an EROFS then
    std::string instancetype;
    std::string preference;
};

} // namespace vm2oci::v0
