// A guest as a bundle: kernel, initramfs where one is needed, and its root file system as a disk, in one image.
//
// The image's form serves several runners at once: KubeVirt twice over (containerDisk and kernelBoot: one file in
// /disk, kernel and initramfs in /boot under different last names, all owned by 107:107), CDI, crun-vm, and whatever
// starts kernels directly. formats/oci/bundle.md describes it.
#pragma once

#include "formats/block/open_disk.hpp"
#include "formats/oci/bundle.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/bundle/kernel.hpp"
#include "libconvert/bundle/root_disk.hpp"
#include "libconvert/edit/edit_disk.hpp"
#include "libconvert/package/disk_image.hpp"
#include "libconvert/package/image_assembly.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

enum class InitramfsChoice {
    automatic, // the guest's own with the guest's kernel; else none, unless the root needs one
    none,
    file,
};

// Whether the image starts under krun too: see krun.hpp. A kernel that reads virtiofs without modules, as ours does.
enum class KrunSupport { no, yes };

enum class UnusedBlocks { keep, leave_out }; // of the root file system that is sliced: see sparsify()

struct BundleOptions {
    KernelOrigin kernel = KernelOrigin::guest;
    std::filesystem::path kernel_file;    // minimal, file
    std::filesystem::path kernel_modules; // minimal: the folder whose content /lib/modules gets
    InitramfsChoice initramfs = InitramfsChoice::automatic;
    std::filesystem::path initramfs_file;    // InitramfsChoice::file
    std::optional<std::string> command_line; // instead of what the guest's boot loader tells its kernel
    BundleRootKind root = BundleRootKind::disk;
    std::filesystem::path own_init; // with erofs and with krun: vm2oci's own /init for an initramfs
    KrunSupport krun = KrunSupport::no;
    RootProof proof = RootProof::none; // with erofs
    DiskOutput disk;
    UnusedBlocks unused_blocks = UnusedBlocks::keep;
    EditRequest edits;
    EditMode mode = EditMode::apply;
    GuestAccess access;
    std::int64_t time = 0; // what changed files bear; 0: the time of the last write
};

// Everything that goes into the image, before a byte of it is written.
struct PreparedBundle {
    BundleDescription description;
    BundleKernel kernel;
    std::optional<DiskImage> root;          // none: only the plan was asked for
    std::optional<std::string> krun_kernel; // as an ELF file, where the kernel itself is none
    std::optional<std::string> krun_settings;
    RootDisk root_disk;
    std::optional<VerityRoot> verity; // of a root that proves itself
    OpenedGuest guest;                // on the root disk, as it is now
    EditReport edits;                 // the bundle's own and the user's
    std::string architecture;
    std::string product; // of the guest's operating system, escaped
    std::vector<std::string> remarks;
};

// Where the root lies in the image, and in which format.
void describe_root(BundleRootKind root, DiskOutputFormat format, BundleDescription& description);
// Error{usage} for a root that cannot prove itself: one that is written to, or that is no disk.
void refuse_unfit_proof(RootProof proof, BundleRootKind root, KrunSupport krun);
// What the bundle says of a proven root, which becomes its root.
std::shared_ptr<const BlockDevice> take_proof(const ProvenRoot& proven, PreparedBundle& bundle);

// `disk` is not changed. Errors as make_root_disk(), read_guest_kernel() and edit_disk() have them; Error{unsupported}
// for a kernel and a root that do not go together.
PreparedBundle prepare_bundle(const OpenedDisk& disk, const BundleOptions& options, const OperationContext& operation);

// What krun starts the bundle by; bundle.kernel and bundle.description are complete.
void add_krun_files(PreparedBundle& bundle);

struct BundleImageOptions {
    LayerOptions layer;
    ImageOptions image;       // `architecture` empty: the guest's
    std::string instancetype; // KubeVirt's defaults for a VM of this image; empty: none
    std::string preference;
};

struct BundleImage {
    Descriptor manifest;
    StoredLayer disk_layer;
    StoredLayer boot_layer;
};

// Writes layers, config and manifest, and publishes nothing: the caller gives `manifest` to destination.publish(), or
// drops it all.
BundleImage write_bundle(const PreparedBundle& bundle, const BundleImageOptions& options, ImageDestination& destination,
                         const OperationContext& operation);

} // namespace vm2oci
