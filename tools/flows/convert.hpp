// Disks and images become images, disks and folders.
#pragma once

#include "formats/oci/store.hpp"
#include "libconvert/bundle/bundle.hpp"
#include "libconvert/bundle/kata.hpp"
#include "libconvert/bundle/unpack.hpp"
#include "libconvert/convert.hpp"
#include "libconvert/edit/edit_disk.hpp"
#include "libconvert/package/podman_machine.hpp"
#include "libconvert/package/rootfs.hpp"
#include "tools/flows/boot.hpp"
#include "tools/flows/container_source.hpp"
#include "tools/flows/manifest.hpp"
#include "tools/flows/open_source.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace vm2oci {

struct ContainerDiskRequest {
    std::string file_name; // in /disk; empty: as the disk's format has it
    std::string instancetype;
    std::string preference;
    ContainerDiskForm form = ContainerDiskForm::kubevirt;
};

// An index with one entry: a disk in the format that podman's machines of a kind take, qcow2 or raw.
struct PodmanMachineRequest {};

struct BundleRequest {
    std::optional<KernelOrigin> kernel; // none: a machine's own, and for a container image vm2oci's
    std::filesystem::path kernel_file;  // KernelOrigin::file
    InitramfsChoice initramfs = InitramfsChoice::automatic;
    std::filesystem::path initramfs_file; // InitramfsChoice::file
    std::optional<std::string> command_line;
    BundleRootKind root = BundleRootKind::disk;
    KrunSupport krun = KrunSupport::no;
    RootProof proof = RootProof::none;
    std::string instancetype;
    std::string preference;
};

// The kernel and the initrd that runV starts an image with, which it finds in the image.
struct RunvRequest {
    KernelOrigin kernel = KernelOrigin::minimal; // never the guest's, which knows nothing of runV's initrd
    std::filesystem::path kernel_file;           // KernelOrigin::file
    std::filesystem::path initramfs_file;        // hyperstart's
};

struct RootfsRequest {
    KernelFiles kernel_files = KernelFiles::leave_out;
    RootfsLayers layers = RootfsLayers::one;
    std::optional<RunvRequest> runv{};
};

// KubeVirt's machine artifact: the machine that is described, and all its disks.
struct VmRequest {
    MachineWishes machine;
};

// The destination is a folder.
struct KataRequest {
    std::filesystem::path agent;
    BundleRootKind root = BundleRootKind::disk;
    RootProof proof = RootProof::none;
};

// The destination is a folder, for a qcow2 and what Virtlet is told of it.
struct VirtletRequest {
    ManifestWishes wishes;
};

// The destination is a disk, or, where the source turns out to be a bundle and the destination has no format, a folder
// for its files.
struct PlainDiskRequest {
    // Why the request makes no sense for the one or the other; empty: it does. Told as Error{usage}.
    std::string not_for_disks;
    std::string not_for_bundles;
};

using ShapeRequest = std::variant<ContainerDiskRequest, BundleRequest, RootfsRequest, VmRequest, PodmanMachineRequest,
                                  KataRequest, VirtletRequest, PlainDiskRequest>;
// Of the others, files come that bear no architecture.
bool makes_image(const ShapeRequest& shape);

// What becomes of the guest on a disk that is made larger: see grow_guest().
enum class GuestGrowth { leave, fill };

struct ConvertRequest {
    std::string source_name;      // as the user wrote it, for messages
    std::string destination_name; // the same
    Reference source;
    Reference destination; // an image for the first five shapes, else a disk's
    SourceRequest from;
    std::string architecture; // GOARCH; chooses in an index; "": the source image's, else the guest's, else the host's
    GuestAccess access;
    EditRequest edits;
    EditMode mode = EditMode::apply; // plan_only writes nothing
    ShapeRequest shape;
    DiskOutput disk;
    GuestGrowth growth = GuestGrowth::fill;
    UnusedBlocks unused_blocks = UnusedBlocks::keep;
    std::filesystem::path sbom;              // empty: none
    std::filesystem::path manifest;          // what runs the image; empty: none
    std::filesystem::path digest_file;       // gets the image's digest before it is published; empty: none
    ManifestWishes manifest_wishes{};        // with `manifest`
    ImageOptions image;                      // `architecture` is found, `created` is what edits bear, too
    LayerOptions layer;                      // `earlier` is found
    std::optional<ImageReference> reuse;     // an earlier version, whose frames are taken where they did not change
    std::optional<ImageReference> against{}; // what it has is left out: the result is a delta
    std::filesystem::path frame_cache;       // what is known of frames, for the next version; empty: nothing is kept
    std::optional<BootRequest> boot_test;    // what does not come up does not appear
};

// What the conversion stands on; tests put others in their places.
struct ConvertEngine {
    std::function<SourceMachine(const Reference&, const SourceRequest&, const std::string& architecture,
                                const OperationContext&)>
        open_machine = open_source_machine;
    std::function<std::optional<ContainerSource>(const Reference&, const SourceRequest&,
                                                 const std::string& architecture, const OperationContext&)>
        open_container = open_container_source;
    std::function<std::unique_ptr<ImageDestination>(const ImageReference&, const OperationContext&,
                                                    const registry::RegistryOptions&)>
        open_destination = open_image_destination;
    BootMachine boot_machine; // not called without a boot test
};

struct BundleResult {
    PreparedBundle bundle;
    BundleImage image;
};

struct VmResult {
    Descriptor manifest;
    std::vector<StoredLayer> disks; // the boot disk first
    std::string machine;            // its name
};

struct PodmanMachineResult {
    PodmanMachineDisk image;
};

struct VirtletResult {
    std::vector<UnpackedFile> files;
};

// A disk beside the first one, in a file of its own: "web01-disk2.qcow2" beside "web01.qcow2".
struct FurtherDiskFile {
    std::string disk; // its name in the source; escaped
    std::filesystem::path path;
    DiskReport report;
};

struct PlainDiskResult {
    DiskReport disk;
    std::vector<FurtherDiskFile> further_disks; // of the machine's other disks, in their order
    std::filesystem::path seed_disk;            // empty: none
};

// A disk beside the first one, which became an image of its own.
struct FurtherImage {
    std::string disk; // its name in the source; escaped
    std::string tag;  // beside the one of the destination; empty for destinations without tags
    ImageReport report;
};

struct ConvertResult {
    EditMode mode = EditMode::apply;
    EditReport edits;
    std::vector<std::string> remarks;
    std::optional<BootReport> boot;             // of the boot test
    std::vector<FurtherImage> further_images{}; // of the machine's other disks, in their order
    // What was made; nothing with EditMode::plan_only. Not there for anybody else if the boot test failed.
    std::variant<std::monostate, ImageReport, RootfsImage, BundleResult, VmResult, PodmanMachineResult, KataReport,
                 VirtletResult, PlainDiskResult, UnpackedBundle>
        made;

    bool is_published() const { return mode == EditMode::apply && (!boot || boot->passed()); }
};

// All or nothing: until everything is written and, where it was asked for, has booted, readers see what they saw
// before; after an Error, too. The reports of a boot test appear whatever its verdict is.
ConvertResult convert(const ConvertRequest& request, const ConvertEngine& engine, const OperationContext& operation);

} // namespace vm2oci
