#include "libconvert/package/podman_machine.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/labels.hpp"
#include "libconvert/package/disk_layer.hpp"

namespace vm2oci {
namespace {

// Nothing is to be said of the disk in a config: image-spec's empty one, which then wants a type of the artifact.
constexpr const char* kEmptyConfigType = "application/vnd.oci.empty.v1+json";
constexpr const char* kArtifactType = "application/vnd.podman.machine.disk";

std::string spelled_by_podman(const std::string& architecture) {
    if (architecture == "amd64")
        return "x86_64";
    if (architecture == "arm64")
        return "aarch64";
    fail(ErrorKind::unsupported, "podman has machines of amd64 and arm64, and this one is for " + architecture);
}

Descriptor store_empty_config(ImageDestination& destination) {
    const std::string text = "{}";
    const auto writer = destination.begin_blob();
    writer->write(as_bytes(text));
    const BlobIdentity blob = writer->commit();
    return {.media_type = kEmptyConfigType, .digest = blob.digest, .size = blob.size};
}

} // namespace

std::string_view podman_disk_type(DiskFormat format) {
    return format == DiskFormat::raw ? "applehv" : "qemu";
}

PodmanMachineDisk write_podman_machine(const DiskImage& disk, const std::string& name, const LayerOptions& options,
                                       const ImageOptions& image, ImageDestination& destination,
                                       const OperationContext& operation) {
    const Compression compression = options.compression.algorithm;
    if (compression != Compression::zstd && compression != Compression::gzip)
        fail(ErrorKind::usage, "the disks of podman's machines are compressed, with zstd or gzip");
    const std::string architecture = spelled_by_podman(image.architecture);

    PodmanMachineDisk result;
    result.disk_type = podman_disk_type(disk.format);
    result.title = name + (disk.format == DiskFormat::raw ? ".raw" : ".qcow2") +
                   (compression == Compression::zstd ? ".zst" : ".gz");
    result.layer = write_bare_disk(disk, options, destination, operation);
    result.layer.descriptor.media_type = compression == Compression::zstd ? "application/zstd" : "application/gzip";
    result.layer.descriptor.annotations[label::oci_title] = result.title;

    ImageManifest manifest;
    manifest.artifact_type = kArtifactType;
    manifest.config = store_empty_config(destination);
    manifest.layers.push_back(result.layer.descriptor);
    manifest.annotations = image.annotations;
    ImageIndex index;
    Descriptor entry = destination.put_manifest(to_json(manifest), media_type::oci_manifest);
    entry.annotations["disktype"] = result.disk_type;
    entry.platform = Platform{.architecture = architecture, .os = "linux"};
    index.manifests.push_back(std::move(entry));
    result.index = destination.put_manifest(to_json(index), media_type::oci_index);
    return result;
}

} // namespace vm2oci
