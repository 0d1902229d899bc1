#include "libconvert/check/consumers.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/oci/bundle.hpp"
#include "libconvert/bundle/kernel.hpp"
#include "libconvert/check/rules.hpp"
#include "libconvert/package/disk_layer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vm2oci {

std::vector<Child> children(const ImageFacts& facts, std::string_view folder) {
    const std::string prefix = folder.empty() ? "" : std::string(folder) + "/";
    std::vector<Child> found;
    for (auto at = facts.files.lower_bound(prefix); at != facts.files.end() && at->first.starts_with(prefix); ++at)
        if (at->first.size() > prefix.size() && at->first.find('/', prefix.size()) == std::string::npos)
            found.push_back({at->first, &at->second});
    return found;
}

// What unpacks the image refuses it as a whole, wherever the disk lies.
void check_layers(const ImageFacts& facts, Problems& problems) {
    if (!facts.content_problem.empty())
        problems.error("content", facts.content_problem, "");
    for (std::size_t i = 0; i < facts.layers.size(); ++i)
        if (const std::string& member = facts.layers[i].cut_member; !member.empty())
            problems.error("whole-layers", fmt::format("layer {} ends in the middle of {}: \"unexpected EOF\"", i + 1,
                                                       quote_untrusted(member)));
}

void check_platform(const ImageFacts& facts, Problems& problems) {
    check_layers(facts, problems);
    if (!facts.content.config)
        problems.error("image-config",
                       "the image has no image configuration: it is an artifact, which only image volumes "
                       "of CRI-O can mount");
    else if (facts.content.config->platform.architecture.empty())
        problems.error("architecture", "the image's configuration names no architecture");
    else if (facts.content.config->platform.os != "linux")
        problems.error("architecture", "the image is for " + quote_untrusted(facts.content.config->platform.os) +
                                           ", and nodes pull images for linux");
}

// containerd/containerd, core pkg/archive/tar.go, moby/go-archive, containers/storage, umoci: by the type of the
// header, though Go's reader knows the form.
void check_unpacking(const ImageFacts& facts, Problems& problems) {
    if (facts.obstacle && facts.obstacle->everywhere)
        problems.error("unpacking", facts.obstacle->text + ": no container runtime unpacks the image");
    else if (facts.obstacle)
        problems.warning("unpacking", facts.obstacle->text + ": some container runtimes do not unpack the image");
    if (!facts.foreign_member)
        return;
    const auto [path, type] = *facts.foreign_member;
    const bool is_sparse = type == 'S';
    const std::string form = is_sparse     ? "stored in GNU tar's sparse form"
                             : type == '7' ? "a contiguous file (tar's type 7)"
                                           : "a member of tar's type " + quote_untrusted(std::string(1, type));
    problems.error(is_sparse ? "sparse-member" : "member-type",
                   fmt::format("{} is {}, which no container runtime unpacks: \"unhandled tar header type\"",
                               quote_untrusted(path), form),
                   "convert the image once more with vm2oci convert, or pack it with tar --format=posix");
}

namespace {

constexpr std::uint64_t kLargeSector = 4096;
std::vector<Child> without_folders(std::vector<Child> all) {
    std::erase_if(all, [](const Child& child) { return child.file->type == TarType::directory; });
    return all;
}

bool has_folder(const ImageFacts& facts, const std::string& path) {
    const auto found = facts.files.find(path);
    const bool implied = !children(facts, path).empty();
    return implied || (found != facts.files.end() && found->second.type == TarType::directory);
}

std::string label(const ImageFacts& facts, const std::string& name) {
    if (!facts.content.config)
        return "";
    const auto found = facts.content.config->labels.find(name);
    return found == facts.content.config->labels.end() ? "" : found->second;
}

// Permission bits that apply to uid 107, gid 107: owner, group or others, as open(2) chooses.
std::uint32_t bits_for_qemu(const ImageFile& file) {
    if (file.uid == kQemuId)
        return file.permissions >> 6 & 7U;
    if (file.gid == kQemuId)
        return file.permissions >> 3 & 7U;
    return file.permissions & 7U;
}

void check_readable(const ImageFacts& facts, const std::string& path, Problems& problems) {
    const ImageFile& file = facts.files.at(path);
    if ((bits_for_qemu(file) & 4U) == 0)
        problems.error("readable-by-qemu",
                       fmt::format("{} has mode {:04o} and owner {}:{}, so that uid 107 (qemu) cannot read it: "
                                   "\"Permission denied (as uid:107, gid:107)\"",
                                   quote_untrusted(path), file.permissions, file.uid, file.gid));
    const auto folder = facts.files.find(path.substr(0, path.rfind('/')));
    if (folder != facts.files.end() && (bits_for_qemu(folder->second) & 1U) == 0)
        problems.error(
            "readable-by-qemu",
            fmt::format("the folder {} has mode {:04o} and owner {}:{}, so that uid 107 (qemu) cannot enter it",
                        quote_untrusted(folder->first), folder->second.permissions, folder->second.uid,
                        folder->second.gid));
}

void check_qcow2(const Qcow2Info& qcow2, Problems& problems) {
    if (qcow2.backing_file_name)
        problems.error("no-backing-file", "the disk has a backing file: \"expected no backing file\"");
    if (qcow2.data_file_name)
        problems.error("no-data-file", "the disk's data lies in an external file that the image does not hold");
    const auto has = [&](std::string_view feature) {
        return std::find(qcow2.features.begin(), qcow2.features.end(), feature) != qcow2.features.end();
    };
    if (qcow2.compression == "zstd" || has("extended L2"))
        problems.warning("qcow2-features",
                         "the disk uses qcow2 features (zstd clusters or extended L2 tables) that older "
                         "QEMU builds cannot read");
    if (!qcow2.snapshots.empty())
        problems.warning("no-snapshots", "the disk carries internal snapshots, which nobody will use");
}

// What the disk is, if it is neither qcow2 nor raw.
std::optional<std::string> foreign_format(const DiskFindings& disk) {
    if (disk.format_known && !is_written(disk.info.format))
        return std::string(display_name(disk.info.format));
    return disk.foreign_format;
}

void check_own_format(const DiskFindings& disk, Problems& problems) {
    if (const auto* qcow2 = disk.info.get<Qcow2Info>())
        check_qcow2(*qcow2, problems);
    if (disk.refusal) {
        problems.error("disk-readable", "the disk cannot be read: " + *disk.refusal);
        return;
    }
    if (disk.info.virtual_size == 0)
        problems.error("empty-disk", "the disk is empty: it has no bytes");
    else if (disk.info.format == DiskFormat::raw && disk.info.virtual_size % kLargeSector != 0)
        problems.warning("sector-size",
                         fmt::format("the raw disk has {} bytes, no multiple of {}: QEMU rounds it up where sectors "
                                     "have 512 bytes, and refuses to write it on storage whose sectors have 4096",
                                     disk.info.virtual_size, kLargeSector),
                         "convert it once more, to a size that is rounded up");
}

void check_disk_contents(const ImageFacts& facts, Problems& problems) {
    if (!facts.disk)
        return;
    if (const std::optional<std::string> foreign = foreign_format(*facts.disk))
        problems.error("disk-format", "the disk is " + *foreign +
                                          ", and only qcow2 and raw are accepted: \"unsupported image format\"");
    else
        check_own_format(*facts.disk, problems);
}

// containers/image, pkg/compression (DetectCompressionFormat), and CDI's pkg/image/filefmt.go know zstd by the first
// bytes of a frame with content; containerd's core/archive/compression knows both.
bool has_skippable_head(const ImageFacts& facts) {
    return std::ranges::any_of(facts.layers,
                               [](const LayerHead& layer) { return layer.compression == kSkippableZstd; });
}

void check_pullers(const ImageFacts& facts, Problems& problems) {
    const auto has = [&](std::string_view compression) {
        return std::ranges::any_of(facts.layers,
                                   [&](const LayerHead& layer) { return layer.compression == compression; });
    };
    if (facts.content.config && has("xz"))
        problems.error("xz-layers", "a layer is compressed with xz, which containerd and Docker do not unpack");
    if (has_skippable_head(facts))
        problems.warning("zstd-first-frame",
                         "a layer begins with a skippable frame of zstd: containerd and Docker unpack it, and CRI-O "
                         "and Podman take it for a tar",
                         "convert the image once more");
    if (has("zstd"))
        problems.warning("zstd-layers", "its layers are zstd, which needs containerd 1.5, Docker 23 or any CRI-O",
                         "compress them with gzip for older nodes");
}

// kubevirt/api: core/v1/schema.go, BlockSize. By default guests see sectors of 512 bytes.
void check_sector_size(const ImageFacts& facts, Problems& problems) {
    if (facts.sector_size != 512)
        problems.warning(
            "disk-block-size",
            fmt::format("the disk's partition table counts sectors of {} bytes, and guests are shown 512: they find no "
                        "partitions",
                        facts.sector_size),
            fmt::format("give the VM's disk blockSize: {{custom: {{logical: {0}, physical: {0}}}}}",
                        facts.sector_size));
}

// kubevirt/kubevirt: pkg/container-disk, pkg/virt-handler/container-disk, pkg/os/disk.
std::vector<Problem> check_kubevirt(const ImageFacts& facts) {
    Problems problems;
    check_unpacking(facts, problems);
    check_platform(facts, problems);
    const std::vector<Child> entries = children(facts, "disk");
    if (entries.empty())
        problems.error("one-file-in-disk", "/disk holds nothing: \"no file found in folder /disk, no disk present\"");
    else if (entries.size() > 1)
        problems.error(
            "one-file-in-disk",
            fmt::format("/disk holds {} entries: \"more than one file found in folder /disk, only one disk is "
                        "allowed\"",
                        entries.size()));
    else if (entries[0].file->type != TarType::regular)
        problems.error("one-file-in-disk", quote_untrusted(entries[0].path) + " is no regular file");
    else
        check_readable(facts, entries[0].path, problems);
    check_disk_contents(facts, problems);
    check_sector_size(facts, problems);
    check_pullers(facts, problems);
    return problems.take();
}

// kubevirt/kubevirt: pkg/virt-launcher/virtwrap/manager.go, findDiskFileInImageVolume.
std::vector<Problem> check_image_volume(const ImageFacts& facts) {
    Problems problems;
    check_unpacking(facts, problems);
    check_layers(facts, problems);
    const std::vector<Child> root = children(facts, "");
    const bool only_file_in_root = root.size() == 1 && root[0].file->type != TarType::directory;
    if (only_file_in_root) {
        check_disk_contents(facts, problems);
        return problems.take();
    }
    const std::vector<Child> files = without_folders(children(facts, "disk"));
    if (files.size() != 1)
        problems.error("one-file-in-disk",
                       fmt::format("/disk holds {} files, and the image's root more than one entry; an "
                                   "image volume needs exactly one disk",
                                   files.size()));
    else
        check_readable(facts, files[0].path, problems);
    check_disk_contents(facts, problems);
    check_pullers(facts, problems);
    return problems.take();
}

// What qemu-img convert reads, and what the importer decompresses before (pkg/importer/format-readers.go).
constexpr std::array<std::string_view, 7> kImportedFormats = {
    "VMDK", "VDI", "VHD", "VHDX", "gzip-compressed data", "xz-compressed data", "zstd-compressed data"};

void check_import(const ImageFacts& facts, Problems& problems) {
    if (!facts.imported) {
        problems.error("first-file", "no layer holds a file under /disk, where the importer looks");
        return;
    }
    const ImportedDisk& disk = *facts.imported;
    const std::string said = fmt::format("the importer takes the first file whose name begins with \"disk\", lowest "
                                         "layer first, which is {} in layer {}",
                                         quote_untrusted(disk.name), disk.layer + 1);
    const bool in_folder = disk.path.starts_with("disk/") && disk.path.find('/', 5) == std::string::npos;
    if (!in_folder)
        problems.error("first-file", said + ", and it then looks in disk/");
    else if (disk.type != TarType::regular)
        problems.error("first-file", said + ": no regular file, of which it makes an empty one");
    else if (disk.size == 0)
        problems.error("first-file", said + ": it is empty");
    else if (!disk.is_seen)
        problems.error("first-file", said + ", and containers see another one or none: it would import an old disk");
    else if (const auto files = without_folders(children(facts, "disk")); files.size() > 1)
        problems.warning(
            "first-file",
            fmt::format("{}, and passes over {} more in /disk, whichever is the disk", said, files.size() - 1),
            "leave one file in /disk");
    if (!disk.findings)
        return;
    const std::optional<std::string> foreign = foreign_format(*disk.findings);
    if (!foreign)
        check_own_format(*disk.findings, problems);
    else if (std::find(kImportedFormats.begin(), kImportedFormats.end(), *foreign) == kImportedFormats.end())
        problems.error("disk-format", "the disk is " + *foreign + ", which the importer does not convert");
}

// kubevirt/containerized-data-importer: pkg/importer/transport.go, format-readers.go.
std::vector<Problem> check_cdi(const ImageFacts& facts) {
    Problems problems;
    check_platform(facts, problems);
    if (has_skippable_head(facts))
        problems.error("zstd-first-frame",
                       "a layer begins with a skippable frame of zstd, which the importer takes for "
                       "a tar",
                       "convert the image once more");
    check_import(facts, problems);
    for (const char* name : {"containers.bootc", "ostree.bootable"})
        if (const std::string value = label(facts, name); value == "1" || value == "true")
            problems.error("no-bootc", fmt::format("the label {} makes the importer refuse the image", name),
                           "leave the label away");
    for (const char* folder : {"sysroot", "ostree"})
        if (has_folder(facts, folder))
            problems.error("no-bootc", fmt::format("the folder /{} makes the importer refuse the image", folder));
    constexpr std::uint64_t probe = 512;
    if (!facts.layers.empty() && facts.layers[0].first_zstd_block.value_or(probe) < probe)
        problems.warning(
            "zstd-head",
            fmt::format("the layer's first zstd block has {} bytes; importers from before September 2026 read "
                        "such layers wrongly (\"window size exceeded\")",
                        *facts.layers[0].first_zstd_block));
    return problems.take();
}

// containers/crun-vm: src/commands/create, src/util.rs.
std::vector<Problem> check_crun_vm(const ImageFacts& facts) {
    Problems problems;
    check_unpacking(facts, problems);
    check_layers(facts, problems);
    std::vector<Child> candidates = children(facts, "");
    for (Child& child : children(facts, "disk"))
        candidates.push_back(std::move(child));
    std::erase_if(candidates, [](const Child& child) {
        return child.file->type != TarType::regular || child.path == ".dockerenv" || child.path == ".dockerinit";
    });
    if (candidates.empty())
        problems.error("one-file", "neither / nor /disk holds a file: \"no files found\"");
    else if (candidates.size() > 1)
        problems.error("one-file", fmt::format("/ and /disk hold {} files together: \"more than one file found\"",
                                               candidates.size()));
    if (facts.content.config) {
        const std::vector<std::string>& entrypoint = facts.content.config->entrypoint;
        const bool none = entrypoint.empty() || entrypoint[0].empty() || entrypoint[0] == "no-entrypoint";
        if (!none)
            problems.error("no-entrypoint", "the entrypoint is " + quote_untrusted(entrypoint[0]) +
                                                ", and only none or \"no-entrypoint\" is accepted");
    }
    if (has_folder(facts, "usr/lib/bootc/install"))
        problems.error("no-bootc", "/usr/lib/bootc/install makes it a bootable container, not a disk");
    check_disk_contents(facts, problems);
    return problems.take();
}

// Artifacts of machines are for whoever imports machines, and those of podman for podman.
bool concerns_disk_images(const ImageFacts& facts) {
    return !facts.machine && !is_podman_machine(facts) && !is_rancher_vm(facts) && !has_runv_files(facts) &&
           !is_guest_root(facts);
}

bool concerns_bundles(const ImageFacts& facts) {
    return facts.content.parsed_manifest.annotations.count(bundle_annotation::version) != 0;
}

void check_boot_file(const ImageFacts& facts, const std::string& path, const char* what, Problems& problems) {
    const auto file = facts.files.find(path);
    if (file == facts.files.end() || file->second.type != TarType::regular)
        problems.error("boot-files",
                       fmt::format("the {} is said to be {}, and there is no such file", what, quote_untrusted(path)));
    else
        check_readable(facts, path, problems);
}

// kubevirt/kubevirt: pkg/container-disk (GenerateKernelBootContainer), pkg/virt-handler/container-disk/mount.go
// (mountKernelArtifacts).
std::vector<Problem> check_kernel_boot(const ImageFacts& facts) {
    Problems problems;
    check_unpacking(facts, problems);
    check_platform(facts, problems);
    std::optional<BundleDescription> bundle;
    try {
        bundle = parse_bundle(facts.content.parsed_manifest.annotations);
    } catch (const Error& error) {
        problems.error("bundle-annotations", error.what());
        return problems.take();
    }
    if (!bundle) {
        problems.error("bundle-annotations", "no annotation says where its kernel is and what it is to be told",
                       "convert the disk to a bundle");
        return problems.take();
    }
    check_boot_file(facts, bundle->kernel, "kernel", problems);
    if (const std::string architecture =
            facts.content.config ? facts.content.config->platform.architecture : std::string();
        !runs_programs_of(facts.kernel_architecture, architecture))
        problems.error("kernel-architecture", fmt::format("its kernel is for {}, and the image for {}",
                                                          facts.kernel_architecture, escape_untrusted(architecture)));
    if (bundle->initramfs)
        check_boot_file(facts, *bundle->initramfs, "initramfs", problems);
    check_boot_file(facts, bundle->root, "root disk", problems);
    if (bundle->command_line.find("root=") == std::string::npos)
        problems.error("boot-arguments", "the kernel is not told where its root is");
    check_pullers(facts, problems);
    return problems.take();
}

constexpr std::array<Consumer, 14> kConsumers = {{
    {"kubevirt", "KubeVirt containerDisk", check_kubevirt, concerns_disk_images},
    {"image-volume", "KubeVirt disk on a Kubernetes image volume", check_image_volume, concerns_disk_images},
    {"kernel-boot", "KubeVirt kernelBoot container", check_kernel_boot, concerns_bundles},
    {"cdi", "Containerized Data Importer, registry source", check_cdi, concerns_disk_images},
    {"crun-vm", "crun-vm under Podman or Docker", check_crun_vm, concerns_disk_images},
    {"kubevirt-vm", "KubeVirt's importer of machine artifacts", check_machine_artifact, is_machine_artifact},
    {"podman-machine", "podman machine", check_podman_machine, is_podman_machine},
    {"rancher-vm", "RancherVM", check_rancher_vm, is_rancher_vm},
    {"krun", "krun under Podman", check_krun, has_krun_settings},
    {"firecracker", "Firecracker, unpacked", check_micro_vmm, concerns_bundles},
    {"cloud-hypervisor", "Cloud Hypervisor, unpacked", check_micro_vmm, concerns_bundles},
    {"kata", "Kata Containers, as a pod's image", check_kata, is_guest_root},
    {"runv", "runV, as a pod's image", check_runv, has_runv_files},
    {"virtlet", "Virtlet", check_virtlet, is_named_alone},
}};

} // namespace

std::span<const Consumer> consumers() {
    return kConsumers;
}

const Consumer& find_consumer(std::string_view name) {
    std::string names;
    for (const Consumer& consumer : kConsumers) {
        if (consumer.name == name)
            return consumer;
        names += (names.empty() ? "" : ", ") + std::string(consumer.name);
    }
    fail(ErrorKind::usage, fmt::format("'{}' is no consumer that is known; known are {}", name, names));
}

} // namespace vm2oci
