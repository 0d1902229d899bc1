#include "tools/vm2oci/convert_options.hpp"

#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/copy/earlier_image.hpp"
#include "libconvert/package/architecture.hpp"
#include "libconvert/package/timestamp.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/image_words.hpp"
#include "tools/vm2oci/option_values.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <map>

namespace vm2oci::cli {
namespace {

const std::map<std::string, ConvertKind> kConvertKinds = {{"containerdisk", ConvertKind::container_disk},
                                                          {"bundle", ConvertKind::bundle},
                                                          {"rootfs", ConvertKind::rootfs},
                                                          {"kata", ConvertKind::kata}};

const std::map<std::string, RootfsLayers> kRootfsLayers = {{"one", RootfsLayers::one}, {"split", RootfsLayers::split}};

const std::map<std::string, DiskOutputFormat> kDiskFormats = {
    {"qcow2", DiskOutputFormat::qcow2}, {"raw", DiskOutputFormat::raw}, {"keep", DiskOutputFormat::keep}};

const std::map<std::string, ClusterCompression> kClusterCompressions = {
    {"none", ClusterCompression::none}, {"zlib", ClusterCompression::zlib}, {"zstd", ClusterCompression::zstd}};

template <class Value>
CLI::Validator one_of(const std::map<std::string, Value>& values) {
    std::vector<std::string> names;
    for (const auto& [name, value] : values)
        names.push_back(name);
    return CLI::IsMember(names);
}

std::map<std::string, std::string> parse_pairs(const std::vector<std::string>& texts, std::string_view option) {
    std::map<std::string, std::string> pairs;
    for (const std::string& text : texts) {
        const std::size_t equals = text.find('=');
        if (equals == 0 || equals == std::string::npos)
            fail(ErrorKind::usage, fmt::format("{} takes KEY=VALUE, not '{}'", option, text));
        pairs[text.substr(0, equals)] = text.substr(equals + 1);
    }
    return pairs;
}

} // namespace

ConvertKind kind_of_image(const ConvertArguments& arguments) {
    return kConvertKinds.at(arguments.kind);
}

DiskOutput disk_output(const ConvertArguments& arguments) {
    DiskOutput output;
    output.format = kDiskFormats.at(arguments.disk_format);
    output.cluster_compression = kClusterCompressions.at(arguments.cluster_compression);
    if (!arguments.size.empty())
        output.virtual_size = parse_size(arguments.size);
    if (output.cluster_compression != ClusterCompression::none && output.format != DiskOutputFormat::qcow2)
        fail(ErrorKind::usage, "--cluster-compression is for --disk-format qcow2");
    return output;
}

std::string wanted_architecture(const ConvertArguments& arguments) {
    return arguments.architecture.empty() ? "" : parse_architecture(arguments.architecture);
}

std::int64_t creation_time(const ConvertArguments& arguments) {
    return arguments.created.empty() ? default_timestamp() : parse_timestamp(arguments.created);
}

LayerOptions layer_options(const ConvertArguments& arguments, Invocation& call) {
    LayerOptions options = parse_compression(arguments.compression);
    if (arguments.chunked)
        options.form = LayerForm::chunked;
    if ((arguments.chunked || !arguments.reuse.empty()) && options.compression.algorithm != Compression::zstd)
        fail(ErrorKind::usage, "--chunked and --reuse are for layers compressed with zstd");
    if (!arguments.reuse.empty())
        options.earlier = with_context("--reuse", [&] {
            const auto source = open_image_source(parse_image_only(arguments.reuse, "--reuse"), call.operation,
                                                  arguments.source_options->registry->options());
            return open_earlier_frames(*source, wanted_architecture(arguments), FrameNotebook(user_frame_notes()),
                                       call.operation);
        });
    else if (options.compression.algorithm == Compression::zstd && arguments.destination != "null:")
        options.earlier = std::make_shared<EarlierFrames>(); // none yet, but the next version has notes on this one
    return options;
}

ContainerDiskOptions container_disk_options(const ConvertArguments& arguments, const LayerOptions& layer) {
    ContainerDiskOptions options;
    options.file_name = arguments.name;
    options.layer = layer;
    options.instancetype = arguments.instancetype;
    options.preference = arguments.preference;
    options.image.created = creation_time(arguments);
    options.image.labels = parse_pairs(arguments.labels, "--label");
    options.image.annotations = parse_pairs(arguments.annotations, "--annotation");
    parse_pairs(arguments.environment, "--env");
    options.image.environment = arguments.environment;
    return options;
}

RootfsOptions rootfs_options(const ConvertArguments& arguments, const LayerOptions& layer, const ImageOptions& image) {
    RootfsOptions options;
    options.layer = layer;
    options.image = image;
    if (arguments.architecture.empty())
        options.image.architecture.clear(); // the guest's own
    options.kernel_files = arguments.keep_kernel ? KernelFiles::keep : KernelFiles::leave_out;
    options.layers = kRootfsLayers.at(arguments.layers);
    return options;
}

void add_convert_options(CLI::App& command, ConvertArguments& arguments) {
    const auto text = [&](const char* name, std::string& value, const char* value_name, const char* description) {
        return command.add_option(name, value, description)->option_text(value_name);
    };
    const auto list = [&](const char* name, std::vector<std::string>& values, const char* value_name,
                          const char* description) {
        command.add_option(name, values, description)
            ->option_text(value_name)
            ->allow_extra_args(false)
            ->group(group::image);
    };
    command.add_option("SOURCE", arguments.source, "A disk, or an image with a disk in it")->required();
    command.add_option("DEST", arguments.destination, "An image, or qcow2:PATH or raw:PATH for a plain disk")
        ->required();
    arguments.source_options = add_source_options(command);
    arguments.guest_options = add_guest_options(command);
    arguments.edits = add_edit_options(command);
    arguments.boot_test = add_boot_test(command);
    add_mount_option(command, *arguments.source_options->registry);

    text("--disk-format", arguments.disk_format, "FORMAT",
         "qcow2 (default: a canonical one), raw, or keep (the source's own file, untouched)")
        ->check(one_of(kDiskFormats))
        ->group(group::output);
    text("--cluster-compression", arguments.cluster_compression, "ALGORITHM",
         "Compress inside the qcow2: none (default), zlib or zstd")
        ->check(one_of(kClusterCompressions))
        ->group(group::output);
    text("--size", arguments.size, "SIZE", "Grow the disk to this virtual size")
        ->check(size_value())
        ->group(group::output);

    text("--sbom", arguments.sbom, "FILE",
         "Write what is installed in the guest: SPDX 2.3, or CycloneDX 1.5 to *.cdx.json")
        ->group(group::output);
    command
        .add_flag("--sparsify", arguments.sparsify,
                  "Leave out what the guest's file systems do not use, and the contents of swap")
        ->group(group::output);

    text("--as", arguments.kind, "KIND",
         "What the image is: containerdisk (default), bundle (kernel and root file system), rootfs (the guest's "
         "files as a container image), or kata (files for Kata Containers)")
        ->check(one_of(kConvertKinds))
        ->group(group::image);
    command
        .add_flag("--keep-kernel", arguments.keep_kernel,
                  "rootfs: keep /boot, kernel modules and firmware, which a container does not need")
        ->group(group::image);
    text("--layers", arguments.layers, "LAYERS",
         "rootfs: one (default), or split: files of packages in a layer of their own, which like machines share")
        ->check(one_of(kRootfsLayers))
        ->group(group::image);
    add_bundle_options(command, arguments.bundle);
    text("--compression", arguments.compression, "ALGORITHM[:LEVEL]", "Of the layer: zstd (default), gzip or none")
        ->group(group::image);
    command
        .add_flag("--chunked", arguments.chunked,
                  "zstd:chunked: podman, CRI-O and pull --reuse fetch only what changed since another version")
        ->group(group::image);
    text("--reuse", arguments.reuse, "IMAGE",
         "An earlier version: frames of it that did not change are taken, not compressed again")
        ->group(group::image);
    text("--name", arguments.name, "FILE", "The disk's name in /disk (default: disk.qcow2 or disk.img)")
        ->group(group::image);
    text("--arch", arguments.architecture, "ARCH",
         "The image's architecture (default: the source image's, else the guest's, else this machine's); chooses in an "
         "index")
        ->group(group::image);
    list("--label", arguments.labels, "KEY=VALUE", "Add a label to the image's configuration; repeatable");
    list("--annotation", arguments.annotations, "KEY=VALUE", "Add an annotation to the manifest; repeatable");
    list("--env", arguments.environment, "NAME=VALUE", "Add an environment variable; repeatable");
    text("--instancetype", arguments.instancetype, "NAME", "KubeVirt's default instance type for this image")
        ->group(group::image);
    text("--preference", arguments.preference, "NAME", "KubeVirt's default preference for this image")
        ->group(group::image);
    text("--created", arguments.created, "TIME",
         "Time of creation, RFC 3339 or seconds since 1970 (default: $SOURCE_DATE_EPOCH, else 1970-01-01)")
        ->group(group::image);
}

} // namespace vm2oci::cli
