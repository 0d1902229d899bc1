#include "tools/flows/convert.hpp"

#include "libconvert/copy/frame_index_cache.hpp"
#include "libconvert/package/architecture.hpp"
#include "tools/library/boot.hpp"
#include "tools/library/border.hpp"

#include <vm2oci/convert.hpp>

#include <optional>
#include <utility>
#include <variant>

namespace vm2oci::v0 {
namespace {

BundleRootKind to_internal(RootFormat root) {
    return root == RootFormat::erofs ? BundleRootKind::erofs : BundleRootKind::disk;
}

std::optional<KernelOrigin> to_internal(BundleKernel kernel) {
    switch (kernel) {
    case BundleKernel::guest:
        return KernelOrigin::guest;
    case BundleKernel::minimal:
        return KernelOrigin::minimal;
    case BundleKernel::file:
        return KernelOrigin::file;
    case BundleKernel::automatic:
        break;
    }
    return std::nullopt;
}

struct ShapeToInternal {
    ShapeRequest operator()(const ContainerDisk& shape) const {
        return ContainerDiskRequest{shape.file_name, shape.instancetype, shape.preference};
    }
    ShapeRequest operator()(const Bundle& shape) const {
        vm2oci::BundleRequest request;
        request.kernel = to_internal(shape.kernel);
        request.kernel_file = shape.kernel_file;
        request.initramfs = shape.initramfs == BundleInitramfs::none   ? InitramfsChoice::none
                            : shape.initramfs == BundleInitramfs::file ? InitramfsChoice::file
                                                                       : InitramfsChoice::automatic;
        request.initramfs_file = shape.initramfs_file;
        request.command_line = shape.command_line;
        request.root = to_internal(shape.root);
        request.proof = shape.verity ? RootProof::verity : RootProof::none;
        request.krun = shape.krun ? KrunSupport::yes : KrunSupport::no;
        request.instancetype = shape.instancetype;
        request.preference = shape.preference;
        return request;
    }
    ShapeRequest operator()(const Rootfs& shape) const {
        return RootfsRequest{shape.keep_kernel ? KernelFiles::keep : KernelFiles::leave_out,
                             shape.split_layers ? RootfsLayers::split : RootfsLayers::one};
    }
    ShapeRequest operator()(const Kata& shape) const {
        return KataRequest{shape.agent, to_internal(shape.root), shape.verity ? RootProof::verity : RootProof::none};
    }
    ShapeRequest operator()(const MachineArtifact& shape) const {
        VmRequest request;
        request.machine.instance_type = shape.instancetype;
        request.machine.preference = shape.preference;
        return request;
    }
    ShapeRequest operator()(const PodmanMachine& /*shape*/) const { return PodmanMachineRequest(); }
    ShapeRequest operator()(const PlainDisk& /*shape*/) const { return PlainDiskRequest(); }
};

// A shape and a destination that do not go together would otherwise be found when most of the work is done.
void require_fitting_destination(const ConvertRequest& request, const Reference& destination) {
    const bool is_image = std::holds_alternative<ImageReference>(destination);
    const bool wants_image =
        !std::holds_alternative<PlainDisk>(request.shape) && !std::holds_alternative<Kata>(request.shape);
    if (is_image != wants_image)
        fail(vm2oci::ErrorKind::usage, wants_image ? "this shape is an image, and the destination is none"
                                                   : "this shape is no image, and the destination is one");
    if (const auto* disk = std::get_if<DiskReference>(&destination))
        require_written(*disk);
}

vm2oci::DiskOutput disk_output(const ConvertRequest& request, const Reference& destination) {
    const auto* disk = std::get_if<DiskReference>(&destination);
    vm2oci::DiskOutput output;
    output.format =
        disk != nullptr && disk->format
            ? (*disk->format == DiskFormat::raw ? vm2oci::DiskOutputFormat::raw : vm2oci::DiskOutputFormat::qcow2)
        : request.disk.format == DiskOutputFormat::raw  ? vm2oci::DiskOutputFormat::raw
        : request.disk.format == DiskOutputFormat::keep ? vm2oci::DiskOutputFormat::keep
                                                        : vm2oci::DiskOutputFormat::qcow2;
    output.cluster_compression =
        request.disk.cluster_compression == ClusterCompression::zlib   ? vm2oci::ClusterCompression::zlib
        : request.disk.cluster_compression == ClusterCompression::zstd ? vm2oci::ClusterCompression::zstd
                                                                       : vm2oci::ClusterCompression::none;
    output.virtual_size = request.disk.virtual_size;
    const auto* bundle = std::get_if<Bundle>(&request.shape);
    if (bundle != nullptr && bundle->krun && output.format == vm2oci::DiskOutputFormat::qcow2)
        output.format = vm2oci::DiskOutputFormat::raw;
    if (output.cluster_compression != vm2oci::ClusterCompression::none &&
        output.format != vm2oci::DiskOutputFormat::qcow2)
        fail(vm2oci::ErrorKind::usage, "clusters are compressed in qcow2 files only");
    return output;
}

LayerOptions layer_options(const ImageOutput& image) {
    LayerOptions options = parse_compression(image.compression);
    if (image.chunked)
        options.form = LayerForm::chunked;
    if ((image.chunked || image.reuse) && options.compression.algorithm != Compression::zstd)
        fail(vm2oci::ErrorKind::usage, "chunked layers and the reuse of earlier ones need zstd");
    return options;
}

void refuse_changes_of_kept_disk(const vm2oci::ConvertRequest& request) {
    if (request.disk.format == vm2oci::DiskOutputFormat::keep &&
        (!request.edits.empty() || request.unused_blocks == UnusedBlocks::leave_out))
        fail(vm2oci::ErrorKind::usage, "a disk that is kept as it is cannot be changed");
}

vm2oci::ConvertRequest to_internal(const ConvertRequest& request) {
    vm2oci::ConvertRequest result;
    result.source_name = request.source;
    result.destination_name = request.destination;
    result.source = parse_reference(request.source);
    result.destination = parse_reference(request.destination);
    require_fitting_destination(request, result.destination);
    result.from = to_internal(request.source_options);
    if (!request.image.architecture.empty())
        result.architecture = parse_architecture(request.image.architecture);
    result.access = to_internal(request.access);
    result.edits = to_internal(request.edits);
    result.shape = std::visit(ShapeToInternal(), request.shape);
    result.disk = disk_output(request, result.destination);
    if (request.disk.leave_out_unused)
        result.unused_blocks = UnusedBlocks::leave_out;
    result.sbom = request.sbom;
    result.image.created = request.image.created;
    result.image.labels = request.image.labels;
    result.image.annotations = request.image.annotations;
    result.image.environment = request.image.environment;
    result.layer = layer_options(request.image);
    if (request.image.reuse)
        result.reuse = image_reference(*request.image.reuse);
    result.frame_cache = user_frame_cache();
    if (request.boot_test) {
        result.boot_test = to_internal(*request.boot_test);
        result.boot_test->root = result.access.root;
    }
    refuse_changes_of_kept_disk(result);
    return result;
}

WrittenLayer layer_of(const StoredLayer& layer) {
    return {layer.descriptor.digest.text(), layer.diff_id.text(), layer.descriptor.media_type, layer.descriptor.size,
            layer.content_size};
}

WrittenImage image_of(const Descriptor& manifest, const std::vector<StoredLayer>& layers) {
    WrittenImage image{manifest.digest.text(), manifest.media_type, manifest.size, {}};
    for (const StoredLayer& layer : layers)
        image.layers.push_back(layer_of(layer));
    return image;
}

struct MadeToPublic {
    ConvertResult& result;

    void operator()(const ImageReport& made) const {
        result.image = image_of(made.manifest, {made.layer});
        result.disk = WrittenDisk{made.disk_path, std::string(to_string(made.disk_format)), 0, made.virtual_size,
                                  made.allocated_size};
    }
    void operator()(const RootfsImage& made) const {
        result.image = image_of(made.manifest, made.layers);
        add_remarks(made.remarks);
    }
    void operator()(const BundleResult& made) const {
        result.image = image_of(made.image.manifest, {made.image.disk_layer, made.image.boot_layer});
        add_remarks(made.bundle.remarks);
    }
    void operator()(const VmResult& made) const { result.image = image_of(made.manifest, made.disks); }
    void operator()(const PodmanMachineResult& made) const {
        result.image = image_of(made.image.index, {made.image.layer});
    }
    void operator()(const KataReport& made) const { add_remarks(made.remarks); }
    void operator()(const VirtletResult& /*made*/) const {}
    void operator()(const PlainDiskResult& made) const {
        result.disk = WrittenDisk{"", std::string(to_string(made.disk.format)), made.disk.file_size,
                                  made.disk.virtual_size, made.disk.allocated_size};
    }
    void operator()(const UnpackedBundle& /*made*/) const {}
    void operator()(const std::monostate& /*nothing*/) const {}

    void add_remarks(const std::vector<std::string>& remarks) const {
        result.remarks.insert(result.remarks.end(), remarks.begin(), remarks.end());
    }
};

} // namespace

ConvertResult convert(const ConvertRequest& request, const Operation& operation) {
    OperationBridge bridge(operation);
    return at_border([&] {
        const OperationContext context = bridge.context();
        ConvertEngine engine;
        engine.boot_machine = silent_machine(context);
        const vm2oci::ConvertResult made = vm2oci::convert(to_internal(request), engine, context);
        ConvertResult result;
        result.published = made.is_published();
        result.remarks = made.remarks;
        if (made.boot)
            result.boot = to_public(*made.boot);
        std::visit(MadeToPublic{result}, made.made);
        return result;
    });
}

} // namespace vm2oci::v0
