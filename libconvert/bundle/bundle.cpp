#include "libconvert/bundle/bundle.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/oci/labels.hpp"
#include "libconvert/bundle/elf_kernel.hpp"
#include "libconvert/bundle/krun.hpp"
#include "libconvert/bundle/own_initramfs.hpp"
#include "libconvert/bundle/plan_root.hpp"
#include "libconvert/guest/fstab.hpp"
#include "libconvert/inspect/guest_info.hpp"
#include "libconvert/package/disk_layer.hpp"
#include "libconvert/package/sparsify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace vm2oci {
namespace {

void append(EditReport& into, EditReport&& from) {
    for (Edit& edit : from.plan.edits)
        into.plan.edits.push_back(std::move(edit));
    for (EditFinding& finding : from.plan.findings)
        into.plan.findings.push_back(std::move(finding));
    for (BootProblem& problem : from.problems)
        into.problems.push_back(std::move(problem));
    if (into.backend.empty() || into.backend == "none")
        into.backend = std::move(from.backend);
}

// Makes the root stand alone, then does what the user wants. Returns the guest on it as it is afterwards.
OpenedGuest settle_root(const DiskLayout& old_layout, const BundleOptions& options, PreparedBundle& bundle,
                        const OperationContext& operation) {
    const std::shared_ptr<OverlayDevice>& device = bundle.root_disk.device;
    GuestAccess access = options.access.to_lone_root();
    access.changes = device; // one appliance, if any, serves all of it
    OpenedGuest lone = open_guest(device, access, operation);
    if (!lone.guest)
        fail(ErrorKind::unsupported,
             "the guest's root file system cannot be read by itself: " + escape_untrusted(lone.reason),
             lone.reason_hint);
    EditReport own;
    own.plan = plan_lone_root(*lone.guest, old_layout, bundle.root_disk, options.root);
    if (options.kernel == KernelOrigin::minimal)
        for (Edit& edit : plan_kernel_modules(*lone.guest, options.kernel_modules).edits)
            own.plan.edits.push_back(std::move(edit));
    own.backend = apply_edits(own.plan, lone, device, {access, options.time}, operation);
    const bool changed = !own.plan.edits.empty();
    append(bundle.edits, std::move(own));
    if (!changed && options.edits.empty())
        return lone;
    access.appliance = lone.appliance;
    lone = open_guest(device, access, operation);
    if (options.edits.empty())
        return lone;
    const ApplyOptions apply{access, options.time};
    append(bundle.edits, edit_guest(lone, device, options.edits, apply, EditMode::apply, operation));
    access.appliance = lone.appliance;
    return open_guest(device, access, operation);
}

BundleKernel choose_kernel(const Guest& guest, const GuestInfo& info, const BundleOptions& options) {
    BundleKernel kernel = options.kernel == KernelOrigin::guest ? read_guest_kernel(guest, info)
                                                                : read_kernel_file(options.kernel, options.kernel_file);
    if (options.initramfs == InitramfsChoice::none || options.root == BundleRootKind::erofs ||
        options.krun == KrunSupport::yes)
        kernel.initramfs.reset();
    if (options.initramfs == InitramfsChoice::file)
        kernel.initramfs = read_initramfs_file(options.initramfs_file);
    return kernel;
}

bool fstab_has_root(const Guest& guest) {
    const std::vector<FstabEntry> entries = parse_fstab(try_read_text(guest, "/etc/fstab").value_or(""));
    return std::any_of(entries.begin(), entries.end(), [](const FstabEntry& entry) {
        return entry.mount_point.starts_with("/") && normalise_path(entry.mount_point) == "/";
    });
}

DiskImage make_root_image(PreparedBundle& bundle, const BundleOptions& options, const OperationContext& operation) {
    if (options.disk.format == DiskOutputFormat::keep)
        fail(ErrorKind::usage, "a bundle holds the root file system alone, so the source's own file cannot be kept",
             HintKind::disk_format);
    DiskOutput output = options.disk;
    if (bundle.root_disk.shape == RootShape::joined)
        output.virtual_size.reset(); // the file system has that size already
    DiskView disk(bundle.root_disk.device);
    if (options.unused_blocks == UnusedBlocks::leave_out) {
        GuestAccess access = options.access.to_lone_root();
        access.changes = bundle.root_disk.device;
        access.appliance = bundle.guest.appliance;
        SparsifiedDisk sparse = sparsify(disk.device(), access, operation);
        disk.change(std::move(sparse.device));
        bundle.remarks.insert(bundle.remarks.end(), sparse.remarks.begin(), sparse.remarks.end());
    }
    return make_disk_image(disk, output, operation);
}

DiskImage make_erofs_image(const Guest& guest, PreparedBundle& bundle, const BundleOptions& options,
                           const OperationContext& operation) {
    RootFiles root = make_erofs_root(guest, {}, options.time, operation);
    if (root.attributes_left_out != 0)
        bundle.remarks.push_back(
            fmt::format("{} extended attributes that EROFS does not store were left out", root.attributes_left_out));
    if (options.proof == RootProof::verity)
        root.device = take_proof(prove_root(root.device, bundle.root_disk.uuid, operation), bundle);
    return {root.device, DiskFormat::raw, root.device->size(), root.device->size(), nullptr};
}

std::string initramfs_for(const BundleOptions& options) {
    if (options.kernel == KernelOrigin::guest)
        fail(ErrorKind::unsupported,
             options.krun == KrunSupport::yes
                 ? "the guest's own kernel reaches the files that krun gives it only by modules"
                 : "the initrd of the guest's own kernel knows no read-only root with a layer over it",
             Hint(HintKind::minimal_kernel, options.krun == KrunSupport::yes ? "" : "initramfs"));
    return make_own_initramfs(options.own_init);
}

// Whether the kernel and the guest go together, before anything is written.
void tell_of_kernel(const Guest& guest, const CommandLineFacts& facts, const BundleOptions& options,
                    PreparedBundle& bundle) {
    require_kernel_for(bundle.kernel.image, bundle.architecture);
    if (options.kernel == KernelOrigin::minimal && options.root == BundleRootKind::disk)
        if (const auto obstacle = obstacle_for_own_kernel(bundle.root_disk.type, *bundle.root_disk.device))
            fail(ErrorKind::unsupported, fmt::format("the root cannot be mounted: {}", *obstacle),
                 HintKind::guest_kernel);
    if (const std::string init = missing_init(guest, bundle.description.command_line); !init.empty())
        bundle.remarks.push_back(
            fmt::format("the guest has no init ({} is not there): the kernel will panic", quote_untrusted(init)));
    if (!facts.guard.empty())
        bundle.remarks.push_back(fmt::format("the kernel is told {}, as the guest has SELinux", facts.guard));
    // What the guest's boot loader said for the old disk goes without a word; what the user asked for does not.
    if (options.command_line)
        for (const std::string& word : words_left_out(facts))
            bundle.remarks.push_back(
                fmt::format("{} of the command line is left out: the bundle names its root itself, and "
                            "other disks of the guest are not there",
                            quote_untrusted(word)));
}

} // namespace

void describe_root(BundleRootKind root, DiskOutputFormat format, BundleDescription& description) {
    if (root == BundleRootKind::erofs) {
        description.root = bundle_path::root_erofs;
        description.root_format = BundleRootFormat::erofs;
    } else if (format == DiskOutputFormat::raw) {
        description.root = bundle_path::root_raw;
        description.root_format = BundleRootFormat::raw;
    }
}

void refuse_unfit_proof(RootProof proof, BundleRootKind root, KrunSupport krun) {
    if (proof == RootProof::none)
        return;
    if (root != BundleRootKind::erofs)
        fail(ErrorKind::usage, "a root that is written to cannot prove itself", HintKind::read_only_root);
    if (krun == KrunSupport::yes)
        fail(ErrorKind::usage,
             "krun gives a guest files and no disk, which the kernel could not open as a proven root");
}

std::shared_ptr<const BlockDevice> take_proof(const ProvenRoot& proven, PreparedBundle& bundle) {
    bundle.verity = proven.verity;
    bundle.description.verity = {to_hex(proven.verity.hash), proven.superblock_at};
    return proven.device;
}

void add_krun_files(PreparedBundle& bundle) {
    // An ELF file as it is, or an arm64 Image, needs no second form.
    std::optional<std::string> elf = elf_kernel(bundle.kernel.image);
    const bool is_second_form = elf && *elf != bundle.kernel.image;
    bundle.krun_settings =
        krun_settings(bundle.description, is_second_form ? krun_path::kernel : bundle.description.kernel,
                      elf ? KrunKernel::elf : KrunKernel::raw);
    if (is_second_form)
        bundle.krun_kernel = std::move(elf);
}

PreparedBundle prepare_bundle(const OpenedDisk& disk, const BundleOptions& options, const OperationContext& operation) {
    PreparedBundle bundle;
    refuse_unfit_proof(options.proof, options.root, options.krun);
    const OpenedGuest opened = open_guest(disk.device, options.access, operation);
    bundle.root_disk = make_root_disk(opened, {options.disk.virtual_size, options.time}, operation);
    bundle.guest = settle_root(opened.layout, options, bundle, operation);
    const OpenedGuest& lone = bundle.guest;
    const GuestInfo info = inspect_guest(lone, operation);
    bundle.architecture = info.os.architecture;
    bundle.product = escape_untrusted(info.os.product);

    bundle.kernel = choose_kernel(*lone.guest, info, options);
    bundle.remarks = bundle.kernel.remarks;
    std::ranges::copy(bundle.root_disk.remarks, std::back_inserter(bundle.remarks));
    for (const std::string& place : bundle.root_disk.left_out)
        bundle.remarks.push_back(escape_untrusted(place) + " is left out: nothing starts from it any more");
    if (bundle.root_disk.attributes_left_out != 0)
        bundle.remarks.push_back(fmt::format("{} extended attributes that ext4 does not store were left out",
                                             bundle.root_disk.attributes_left_out));

    BundleDescription& description = bundle.description;
    description.kernel_origin = bundle.kernel.origin;
    description.kernel_release = bundle.kernel.release;
    describe_root(options.root, options.disk.format, description);
    const bool is_krun = options.krun == KrunSupport::yes;
    if ((options.root == BundleRootKind::erofs || is_krun) && !bundle.kernel.initramfs)
        bundle.kernel.initramfs = initramfs_for(options);
    if (bundle.kernel.initramfs)
        description.initramfs = bundle_path::initramfs;
    const std::string guest_words = info.boot.command_lines.empty() ? "" : info.boot.command_lines.front();
    const std::string words = options.command_line.value_or(guest_words);
    const bool own_kernel = options.kernel == KernelOrigin::minimal;
    CommandLineFacts facts{words,
                           bundle.architecture,
                           bundle.root_disk,
                           description.root_format,
                           bundle.kernel.initramfs.has_value(),
                           fstab_has_root(*lone.guest),
                           own_kernel ? guard_word(info.selinux, words) : std::string()};
    description.command_line = bundle_command_line(facts);
    tell_of_kernel(*lone.guest, facts, options, bundle);
    if (is_krun)
        add_krun_files(bundle);
    if (options.mode == EditMode::apply)
        bundle.root = options.root == BundleRootKind::erofs ? make_erofs_image(*lone.guest, bundle, options, operation)
                                                            : make_root_image(bundle, options, operation);
    if (bundle.verity) {
        facts.verity = bundle.verity;
        description.command_line = bundle_command_line(facts);
    }
    return bundle;
}

BundleImage write_bundle(const PreparedBundle& bundle, const BundleImageOptions& options, ImageDestination& destination,
                         const OperationContext& operation) {
    if (!bundle.root)
        fail(ErrorKind::usage, "only the plan of the bundle was asked for");
    const DiskImage& root = *bundle.root;
    const BundleDescription& description = bundle.description;
    ImageContents contents;
    contents.title = bundle.product.empty() ? "bundle" : bundle.product;
    contents.created_by = "vm2oci convert --as bundle";
    contents.entrypoint = {"no-entrypoint"}; // crun-vm under docker needs one, and none may be real
    contents.annotations = bundle_annotations(description);
    // For who sees containers and not manifests.
    for (const auto& [key, value] : contents.annotations)
        contents.labels.emplace(key, value);
    contents.labels[label::disk_format] = to_string(root.format);
    contents.labels[label::disk_virtual_size] = std::to_string(root.virtual_size);
    if (!options.instancetype.empty())
        contents.environment.push_back("INSTANCETYPE_KUBEVIRT_IO_DEFAULT_INSTANCETYPE=" + options.instancetype);
    if (!options.preference.empty())
        contents.environment.push_back("INSTANCETYPE_KUBEVIRT_IO_DEFAULT_PREFERENCE=" + options.preference);

    BundleImage image;
    // The disk goes first: the importer of CDI takes the first layer's file.
    const std::string disk_name = description.root.substr(description.root.rfind('/') + 1);
    image.disk_layer = write_disk_layer(root, disk_name, options.layer, destination, operation);
    std::vector<LayerFile> files = {{description.kernel, bundle.kernel.image}};
    if (bundle.kernel.initramfs && description.initramfs)
        files.push_back({*description.initramfs, *bundle.kernel.initramfs});
    if (bundle.krun_kernel)
        files.push_back({krun_path::kernel, *bundle.krun_kernel});
    if (bundle.krun_settings)
        files.push_back({krun_path::settings, *bundle.krun_settings});
    image.boot_layer = write_files_layer(files, options.layer, destination, operation);
    contents.layers = {image.disk_layer, image.boot_layer};

    ImageOptions users = options.image;
    if (users.architecture.empty())
        users.architecture = bundle.architecture;
    if (users.architecture.empty())
        fail(ErrorKind::unsupported, "the guest's architecture is not known", HintKind::architecture);
    image.manifest = assemble_image(users, contents, destination);
    operation.check_cancelled();
    return image;
}

} // namespace vm2oci
