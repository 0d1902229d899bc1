#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/copy/frame_index_cache.hpp"
#include "libconvert/package/architecture.hpp"
#include "libconvert/package/timestamp.hpp"
#include "tools/vm2oci/convert_kinds.hpp"
#include "tools/vm2oci/convert_options.hpp"
#include "tools/vm2oci/image_words.hpp"
#include "tools/vm2oci/option_values.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <map>
#include <utility>

namespace vm2oci::cli {
namespace {

const std::map<std::string, ConvertKind> kConvertKinds = {{"containerdisk", ConvertKind::container_disk},
                                                          {"bundle", ConvertKind::bundle},
                                                          {"rootfs", ConvertKind::rootfs},
                                                          {"vm", ConvertKind::vm},
                                                          {"podman-machine", ConvertKind::podman_machine},
                                                          {"rancher", ConvertKind::container_disk},
                                                          {"kata", ConvertKind::kata},
                                                          {"runv", ConvertKind::runv},
                                                          {"virtlet", ConvertKind::virtlet}};

const std::map<std::string, RootfsLayers> kRootfsLayers = {{"one", RootfsLayers::one}, {"split", RootfsLayers::split}};

const std::map<std::string, DiskOutputFormat> kDiskFormats = {
    {"qcow2", DiskOutputFormat::qcow2}, {"raw", DiskOutputFormat::raw}, {"keep", DiskOutputFormat::keep}};

const std::map<std::string, ClusterCompression> kClusterCompressions = {
    {"none", ClusterCompression::none}, {"zlib", ClusterCompression::zlib}, {"zstd", ClusterCompression::zstd}};

ConvertKind kind_of_image(const ConvertArguments& arguments) {
    return kConvertKinds.at(arguments.kind);
}

DiskOutput disk_output(const ConvertArguments& arguments, const std::optional<DiskFormat>& destination) {
    DiskOutput output;
    output.format = !destination                      ? kDiskFormats.at(arguments.disk_format)
                    : *destination == DiskFormat::raw ? DiskOutputFormat::raw
                                                      : DiskOutputFormat::qcow2;
    output.cluster_compression = kClusterCompressions.at(arguments.cluster_compression);
    if (!arguments.size.empty())
        output.virtual_size = parse_size(arguments.size);
    if (output.cluster_compression != ClusterCompression::none && output.format != DiskOutputFormat::qcow2)
        fail(ErrorKind::usage, "--cluster-compression is for --disk-format qcow2");
    return output;
}

LayerOptions layer_options(const ConvertArguments& arguments) {
    LayerOptions options = parse_compression(arguments.compression);
    if (arguments.chunked)
        options.form = LayerForm::chunked;
    if ((arguments.chunked || !arguments.reuse.empty()) && options.compression.algorithm != Compression::zstd)
        fail(ErrorKind::usage, "--chunked and --reuse are for layers compressed with zstd");
    return options;
}

ImageOptions image_options(const ConvertArguments& arguments) {
    ImageOptions options;
    options.created = arguments.created.empty() ? default_timestamp() : parse_timestamp(arguments.created);
    options.labels = parse_pairs(arguments.labels, "--label");
    options.annotations = parse_pairs(arguments.annotations, "--annotation");
    parse_pairs(arguments.environment, "--env");
    options.environment = arguments.environment;
    return options;
}

// A store with an index of its own, which says of a machine artifact when it was made.
bool has_index(const Reference& destination) {
    const auto* image = std::get_if<ImageReference>(&destination);
    return image != nullptr &&
           (std::holds_alternative<LayoutReference>(*image) || std::holds_alternative<ArchiveReference>(*image));
}

// What has no configuration bears the time in the guest's changed files alone.
void refuse_time_without_bearer(const ConvertArguments& arguments, const ConvertRequest& request) {
    const bool bears = (std::holds_alternative<VmRequest>(request.shape) && has_index(request.destination)) ||
                       std::holds_alternative<ContainerDiskRequest>(request.shape) ||
                       std::holds_alternative<BundleRequest>(request.shape) ||
                       std::holds_alternative<RootfsRequest>(request.shape) ||
                       std::holds_alternative<KataRequest>(request.shape);
    if (!arguments.created.empty() && !bears && request.edits.empty())
        fail(ErrorKind::usage, "--created stands in an image's configuration and in changes of the guest, and this has "
                               "neither; leave it away");
}

// A disk has no index, and its architecture is what the guest is.
void refuse_architecture_of_disk(const ConvertRequest& request) {
    if (!request.architecture.empty() && !makes_image(request.shape) &&
        std::holds_alternative<DiskReference>(request.source))
        fail(ErrorKind::usage, "--arch is for images, as a source or as a result, and this has neither; leave it away");
}

void refuse_edits_of_kept_disk(const ConvertRequest& request) {
    if (request.disk.format != DiskOutputFormat::keep)
        return;
    if (!request.edits.empty() || request.mode == EditMode::plan_only)
        fail(ErrorKind::usage, "--disk-format keep leaves the disk as it is; it cannot go with edits");
    if (request.unused_blocks == UnusedBlocks::leave_out)
        fail(ErrorKind::usage, "--sparsify writes the disk anew; leave --disk-format keep away");
}

// An EROFS is as large as its files, and has one format.
void refuse_disk_options_of_erofs(const ConvertArguments& arguments, const CLI::App& command) {
    if (arguments.bundle.root != "erofs")
        return;
    for (const char* option : {"--size", "--disk-format", "--cluster-compression", "--sparsify"})
        if (command.get_option(option)->count() != 0)
            fail(ErrorKind::usage,
                 fmt::format("{} is for roots that are disks; leave it away with --root erofs", option));
}

BundleRequest bundle_shape(const ConvertArguments& arguments, const CLI::App& command, DiskOutput& disk) {
    refuse_disk_options_of_erofs(arguments, command);
    BundleRequest bundle = bundle_request(arguments.bundle);
    bundle.instancetype = arguments.instancetype;
    bundle.preference = arguments.preference;
    if (bundle.krun == KrunSupport::yes && disk.format == DiskOutputFormat::qcow2) {
        if (disk.cluster_compression != ClusterCompression::none)
            fail(ErrorKind::usage, "--cluster-compression makes a qcow2 file, and --krun needs a raw one");
        disk.format = DiskOutputFormat::raw;
    }
    return bundle;
}

// The guest's kernel is not asked for by saying nothing: runV's initrd needs one with its drivers built in.
RunvRequest runv_request(const BundleArguments& arguments, const CLI::App& command) {
    const bool is_said = command.get_option("--kernel")->count() != 0;
    if (is_said && arguments.kernel == "guest")
        fail(ErrorKind::usage,
             "runV's initrd holds no modules of the guest's kernel; give --kernel minimal, or a file");
    if (arguments.initramfs.empty() || arguments.initramfs == "none")
        fail(ErrorKind::usage, "--as runv needs the initrd that goes with your runV: --initrd hyper-initrd.img");
    RunvRequest runv;
    runv.initramfs_file = arguments.initramfs;
    if (is_said && arguments.kernel != "minimal") {
        runv.kernel = KernelOrigin::file;
        runv.kernel_file = arguments.kernel;
    }
    return runv;
}

ShapeRequest image_shape(const ConvertArguments& arguments, const CLI::App& command, ConvertRequest& request) {
    const ConvertKind kind = kind_of_image(arguments);
    refuse_inapplicable_options(command, kind);
    if (arguments.boot_test->wanted &&
        std::holds_alternative<NullReference>(std::get<ImageReference>(request.destination)))
        fail(ErrorKind::usage, "--boot-test boots what was written, and null: keeps nothing");
    request.layer = layer_options(arguments);
    if (!arguments.against.empty())
        request.against = parse_image_only(arguments.against, "--against");
    if (!arguments.reuse.empty())
        request.reuse = parse_image_only(arguments.reuse, "--reuse");
    if (kind == ConvertKind::bundle)
        return bundle_shape(arguments, command, request.disk);
    if (kind == ConvertKind::rootfs || kind == ConvertKind::runv) {
        RootfsRequest rootfs{arguments.keep_kernel ? KernelFiles::keep : KernelFiles::leave_out,
                             kRootfsLayers.at(arguments.layers)};
        if (kind == ConvertKind::runv)
            rootfs.runv = runv_request(arguments.bundle, command);
        return rootfs;
    }
    if (kind == ConvertKind::vm) {
        MachineWishes machine;
        machine.instance_type = arguments.instancetype;
        machine.preference = arguments.preference;
        return VmRequest{machine};
    }
    if (kind == ConvertKind::podman_machine)
        return PodmanMachineRequest{};
    return ContainerDiskRequest{arguments.name, arguments.instancetype, arguments.preference,
                                arguments.kind == "rancher" ? ContainerDiskForm::rancher_vm
                                                            : ContainerDiskForm::kubevirt};
}

VirtletRequest virtlet_shape(const CLI::App& command, ConvertRequest& request) {
    refuse_inapplicable_options(command, ConvertKind::virtlet);
    const auto* folder = std::get_if<DiskReference>(&request.destination);
    if (folder == nullptr || folder->format)
        fail(ErrorKind::usage, "Virtlet downloads a disk from a web server: name a folder as DEST");
    request.disk.format = DiskOutputFormat::qcow2;
    VirtletRequest virtlet;
    virtlet.wishes.target = &find_manifest_target("virtlet");
    return virtlet;
}

KataRequest kata_shape(const ConvertArguments& arguments, const CLI::App& command, const std::string& agent,
                       const Reference& destination) {
    refuse_inapplicable_options(command, ConvertKind::kata);
    const auto* folder = std::get_if<DiskReference>(&destination);
    if (folder == nullptr || folder->format)
        fail(ErrorKind::usage, "Kata reads its guest images from the host's disk: name a folder as DEST");
    refuse_disk_options_of_erofs(arguments, command);
    const BundleRequest bundle = bundle_request(arguments.bundle);
    return {agent, bundle.root, bundle.proof};
}

PlainDiskRequest disk_shape(const ConvertArguments& arguments, const CLI::App& command,
                            const DiskReference& destination) {
    PlainDiskRequest shape{inapplicable_option(command, ConvertKind::plain_disk),
                           inapplicable_option(command, ConvertKind::unpacked_bundle)};
    if (shape.not_for_disks.empty() && arguments.kind != "containerdisk")
        shape.not_for_disks = fmt::format("--as {} makes an image, and the destination is a disk", arguments.kind);
    if (shape.not_for_disks.empty() && destination.format && command.get_option("--disk-format")->count() != 0)
        shape.not_for_disks = "the destination says its format already; leave --disk-format away";
    return shape;
}

ManifestWishes manifest_wishes(const ConvertArguments& arguments, const CLI::App& command) {
    if (arguments.manifest.empty() && command.get_option("--manifest-for")->count() != 0)
        fail(ErrorKind::usage, "--manifest-for needs --manifest FILE");
    ManifestWishes wishes;
    wishes.target = &find_manifest_target(arguments.manifest_target);
    wishes.machine.instance_type = arguments.instancetype;
    wishes.machine.preference = arguments.preference;
    return wishes;
}

} // namespace

ConvertRequest convert_request(const ConvertArguments& arguments, const CLI::App& command) {
    ConvertRequest request;
    request.boot_test = arguments.boot_test->request(command);
    request.source_name = arguments.source;
    request.destination_name = arguments.destination;
    request.source = parse_reference(arguments.source);
    request.destination = parse_reference(arguments.destination);
    request.from = arguments.source_options->request();
    if (!arguments.architecture.empty())
        request.architecture = parse_architecture(arguments.architecture);
    request.access = arguments.guest_options->access();
    if (request.boot_test)
        request.boot_test->root = request.access.root;
    const auto* disk = std::get_if<DiskReference>(&request.destination);
    if (disk != nullptr)
        require_written(*disk);
    request.disk = disk_output(arguments, disk == nullptr ? std::nullopt : disk->format);
    if (arguments.sparsify)
        request.unused_blocks = UnusedBlocks::leave_out;
    if (arguments.no_grow && arguments.size.empty())
        fail(ErrorKind::usage, "--no-grow is for disks that --size makes larger");
    if (arguments.no_grow)
        request.growth = GuestGrowth::leave;
    request.image = image_options(arguments);
    request.digest_file = arguments.digest_file;
    request.sbom = arguments.sbom;
    request.manifest = arguments.manifest;
    request.manifest_wishes = manifest_wishes(arguments, command);
    request.frame_cache = user_frame_cache();
    EditOptions edits = *arguments.edits;
    if (kind_of_image(arguments) == ConvertKind::kata) {
        const std::string agent = take_kata_agent(edits.agents);
        request.shape = kata_shape(arguments, command, agent, request.destination);
    } else if (kind_of_image(arguments) == ConvertKind::virtlet) {
        request.shape = virtlet_shape(command, request);
    } else if (disk == nullptr) {
        request.shape = image_shape(arguments, command, request);
    } else {
        request.shape = disk_shape(arguments, command, *disk);
    }
    request.edits = edits.request();
    request.mode = edits.mode();
    refuse_edits_of_kept_disk(request);
    refuse_time_without_bearer(arguments, request);
    refuse_architecture_of_disk(request);
    refuse_mount_elsewhere(arguments.source_options->registry->mount_from, request.destination);
    return request;
}

} // namespace vm2oci::cli
