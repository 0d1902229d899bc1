// What a bundle says of itself: an OCI image that holds a kernel, an initramfs where one is needed, and the root file
// system as a disk. A runner needs nothing but these annotations of the manifest and the files that they name.
#pragma once

#include "formats/oci/descriptor.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vm2oci {

namespace bundle_annotation {
inline constexpr const char* version = "org.vm2oci.bundle.version"; // "1"; its presence makes an image a bundle
inline constexpr const char* kernel = "org.vm2oci.bundle.kernel";   // path in the image
inline constexpr const char* kernel_origin = "org.vm2oci.bundle.kernel.origin";   // guest, minimal or file
inline constexpr const char* kernel_release = "org.vm2oci.bundle.kernel.release"; // as `uname -r` says; may be absent
inline constexpr const char* initramfs = "org.vm2oci.bundle.initramfs";           // path in the image; may be absent
inline constexpr const char* command_line = "org.vm2oci.bundle.command-line";     // all that the kernel is to be told
inline constexpr const char* root = "org.vm2oci.bundle.root";                     // path in the image
inline constexpr const char* root_format = "org.vm2oci.bundle.root.format";       // qcow2, raw or erofs
// Of a root that proves itself by dm-verity: 64 hexadecimal digits, and where in the root's file the superblock lies.
inline constexpr const char* verity_hash = "org.vm2oci.bundle.root.verity.hash";
inline constexpr const char* verity_offset = "org.vm2oci.bundle.root.verity.offset";
inline constexpr const char* init = "org.vm2oci.bundle.init"; // container; absent: the root has an init of its own
} // namespace bundle_annotation

// Where the files of a bundle are unless its maker has reasons. KubeVirt mounts kernel and initramfs into one folder by
// their last names, so those differ; /disk holds nothing but the root.
namespace bundle_path {
inline constexpr const char* kernel = "boot/vmlinuz";
inline constexpr const char* initramfs = "boot/initramfs";
inline constexpr const char* root_qcow2 = "disk/rootfs.qcow2";
inline constexpr const char* root_raw = "disk/rootfs.img";
inline constexpr const char* root_erofs = "disk/rootfs.erofs";
} // namespace bundle_path

enum class KernelOrigin {
    guest,   // the kernel that the guest had installed
    minimal, // vm2oci's own, made for micro-VMs
    file,    // one that the user named
};
std::string_view to_string(KernelOrigin origin);

enum class BundleRootFormat {
    qcow2, // written to
    raw,   // written to
    erofs, // raw and read-only: the initramfs lays a writable file system over it
};
std::string_view to_string(BundleRootFormat format);

// What runs in the machine.
enum class BundleInit {
    guest,     // an operating system, by its own init
    container, // the program of a container image, by vm2oci's init in the initramfs
};

// x86's COMMAND_LINE_SIZE; arm64 takes the same (the kernel's arch/*/include/asm/setup.h).
inline constexpr std::size_t kKernelCommandLineLimit = 2047;

// `veritysetup verify ROOT ROOT hash --hash-offset=superblock_at`.
struct BundleVerity {
    std::string hash; // 64 hexadecimal digits
    std::uint64_t superblock_at = 0;
    bool operator==(const BundleVerity&) const = default;
};

// Paths are those in the image, without a leading slash: "boot/vmlinuz".
struct BundleDescription {
    std::string kernel = bundle_path::kernel;
    KernelOrigin kernel_origin = KernelOrigin::guest;
    std::string kernel_release{}; // "": not known
    std::optional<std::string> initramfs{};
    std::string command_line{}; // names the root; the disk is the first virtio block device
    std::string root = bundle_path::root_qcow2;
    BundleRootFormat root_format = BundleRootFormat::qcow2;
    std::optional<BundleVerity> verity{};
    BundleInit init = BundleInit::guest;
    bool operator==(const BundleDescription&) const = default;
};

// Error{usage} for what parse_bundle() would refuse.
Annotations bundle_annotations(const BundleDescription& bundle);

// nullopt: the image is no bundle. Error{unsupported} for a version that is not ours; Error{corrupt} if something is
// missing, unknown or unfit: a path that leaves the image, a command line with control characters or too long.
std::optional<BundleDescription> parse_bundle(const Annotations& annotations);

} // namespace vm2oci
