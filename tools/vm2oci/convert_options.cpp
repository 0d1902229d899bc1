#include "tools/vm2oci/convert_options.hpp"

#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/option_values.hpp"

#include <CLI/CLI.hpp>

namespace vm2oci::cli {

namespace {

CLI::Option* add_text(CLI::App& command, const char* name, std::string& value, const char* value_name,
                      const char* description) {
    return command.add_option(name, value, description)->option_text(value_name);
}

void add_list(CLI::App& command, const char* name, std::vector<std::string>& values, const char* value_name,
              const char* description) {
    command.add_option(name, values, description)
        ->option_text(value_name)
        ->allow_extra_args(false)
        ->group(group::image);
}

void add_disk_options(CLI::App& command, ConvertArguments& arguments) {
    add_text(command, "--disk-format", arguments.disk_format, "FORMAT",
             "qcow2 (default: a canonical one), raw, or keep (the source's own file, untouched)")
        ->check(CLI::IsMember({"keep", "qcow2", "raw"}))
        ->group(group::output);
    add_text(command, "--cluster-compression", arguments.cluster_compression, "ALGORITHM",
             "Compress inside the qcow2: none (default), zlib or zstd")
        ->check(CLI::IsMember({"none", "zlib", "zstd"}))
        ->group(group::output);
    add_text(
        command, "--size", arguments.size, "SIZE",
        "Grow the disk to this virtual size, and the guest's last partition (but for swap) and file system with it")
        ->check(size_value())
        ->group(group::output);
    command.add_flag("--no-grow", arguments.no_grow, "With --size: leave the guest's partitions and file systems")
        ->group(group::output);

    add_text(command, "--digest-file", arguments.digest_file, "FILE",
             "Write the image's digest into FILE, with the image or not at all")
        ->group(group::output);
    add_text(command, "--sbom", arguments.sbom, "FILE",
             "Write what is installed in the guest: SPDX 2.3, or CycloneDX 1.5 to *.cdx.json")
        ->group(group::output);
    command
        .add_flag("--sparsify", arguments.sparsify,
                  "Leave out what the guest's file systems do not use, and the contents of swap")
        ->group(group::output);
}

void add_kind_options(CLI::App& command, ConvertArguments& arguments) {
    add_text(command, "--as", arguments.kind, "KIND",
             "What the image is: containerdisk (default), bundle (kernel and root file system), rootfs (the guest's "
             "files as a container image), vm (KubeVirt's machine artifact, with all disks), "
             "podman-machine (a disk for podman machine), rancher (for RancherVM), kata (files for Kata Containers), "
             "runv (rootfs, with the kernel and initrd that runV starts it by), or virtlet (files for Virtlet)")
        ->check(CLI::IsMember(
            {"bundle", "containerdisk", "kata", "podman-machine", "rancher", "rootfs", "runv", "virtlet", "vm"}))
        ->group(group::image);
    command
        .add_flag("--keep-kernel", arguments.keep_kernel,
                  "rootfs: keep /boot, kernel modules and firmware, which a container does not need")
        ->group(group::image);
    add_text(command, "--layers", arguments.layers, "LAYERS",
             "rootfs: one (default), or split: files of packages in a layer of their own, which like machines share")
        ->check(CLI::IsMember({"one", "split"}))
        ->group(group::image);
    add_bundle_options(command, arguments.bundle);
}

void add_layer_options(CLI::App& command, ConvertArguments& arguments) {
    add_text(command, "--compression", arguments.compression, "ALGORITHM[:LEVEL]",
             "Of the layer: zstd (default), gzip or none")
        ->group(group::image);
    command
        .add_flag("--chunked", arguments.chunked,
                  "zstd:chunked: podman, CRI-O and pull --reuse fetch only what changed since another version")
        ->group(group::image);
    add_text(command, "--against", arguments.against, "IMAGE",
             "Write a delta: only what this image lacks, from which 'pull --reuse' makes the whole where that image is")
        ->group(group::image);
    add_text(command, "--reuse", arguments.reuse, "IMAGE",
             "An earlier version: frames of it that did not change are taken, not compressed again")
        ->group(group::image);
    add_text(command, "--name", arguments.name, "FILE", "The disk's name in /disk (default: disk.qcow2 or disk.img)")
        ->group(group::image);
    add_text(
        command, "--arch", arguments.architecture, "ARCH",
        "The image's architecture (default: the source image's, else the guest's, else this machine's); chooses in an "
        "index")
        ->group(group::image);
}

void add_description_options(CLI::App& command, ConvertArguments& arguments) {
    add_list(command, "--label", arguments.labels, "KEY=VALUE", "Add a label to the image's configuration; repeatable");
    add_list(command, "--annotation", arguments.annotations, "KEY=VALUE",
             "Add an annotation to the manifest; repeatable");
    add_list(command, "--env", arguments.environment, "NAME=VALUE", "Add an environment variable; repeatable");
    add_text(command, "--instancetype", arguments.instancetype, "NAME",
             "KubeVirt's default instance type for this image")
        ->group(group::image);
    add_text(command, "--preference", arguments.preference, "NAME", "KubeVirt's default preference for this image")
        ->group(group::image);
    add_text(command, "--manifest", arguments.manifest, "FILE",
             "Write what runs the image, with it or not at all: see 'vm2oci manifest --help'")
        ->group(group::output);
    add_text(command, "--manifest-for", arguments.manifest_target, "NAME", "For whom (default: kubevirt)")
        ->group(group::output);
    add_text(command, "--created", arguments.created, "TIME",
             "Time of creation, RFC 3339 or seconds since 1970 (default: $SOURCE_DATE_EPOCH, else 1970-01-01)")
        ->group(group::image);
}

} // namespace

// --help tells them in this order.
void add_convert_options(CLI::App& command, ConvertArguments& arguments) {
    command.add_option("SOURCE", arguments.source, "A disk, or an image with a disk in it")->required();
    command.add_option("DEST", arguments.destination, "An image, or qcow2:PATH or raw:PATH for a plain disk")
        ->required();
    arguments.source_options = add_source_options(command);
    arguments.guest_options = add_guest_options(command);
    arguments.edits = add_edit_options(command);
    arguments.boot_test = add_boot_test(command);
    add_mount_option(command, *arguments.source_options->registry);
    add_disk_options(command, arguments);
    add_kind_options(command, arguments);
    add_layer_options(command, arguments);
    add_description_options(command, arguments);
}

} // namespace vm2oci::cli
