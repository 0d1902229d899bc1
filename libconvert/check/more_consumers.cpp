#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/oci/bundle.hpp"
#include "libconvert/bundle/krun.hpp"
#include "libconvert/check/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace vm2oci {
namespace {

bool is_dns_label(std::string_view name) {
    constexpr std::size_t longest = 63;
    const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    return !name.empty() && name.size() <= longest && name.front() != '-' && name.back() != '-' &&
           std::all_of(name.begin(), name.end(), is_plain);
}

const ImageFile* find_regular(const ImageFacts& facts, const std::string& path) {
    const auto found = facts.files.find(path);
    return found != facts.files.end() && found->second.type == TarType::regular ? &found->second : nullptr;
}

// A machine's disk, for KubeVirt and others or for RancherVM.
bool holds_disk(const ImageFacts& facts) {
    return !children(facts, "disk").empty() || !children(facts, "base_image").empty();
}

// containers/podman: pkg/machine/define/vmtype.go.
constexpr std::array<std::string_view, 4> kDiskTypes = {"qemu", "applehv", "hyperv", "wsl"};

// The format before the compression: of "x.qcow2.zst" "qcow2".
std::string format_in_title(std::string title) {
    for (const std::string_view ending : {".zst", ".gz", ".xz", ".zip"})
        if (title.ends_with(ending))
            title.resize(title.size() - ending.size());
    const std::size_t dot = title.rfind('.');
    return dot == std::string::npos ? "" : title.substr(dot + 1);
}

std::string_view wanted_format(std::string_view disk_type) {
    return disk_type == "qemu" ? "qcow2" : disk_type == "hyperv" ? "vhdx" : disk_type == "wsl" ? "tar" : "raw";
}

void check_machine_entry(const IndexEntryFacts& entry, Problems& problems) {
    const std::string type = quote_untrusted(entry.disk_type);
    if (std::find(kDiskTypes.begin(), kDiskTypes.end(), entry.disk_type) == kDiskTypes.end())
        problems.warning("disk-type", fmt::format("the disktype {} is none that podman asks for", type));
    if (entry.os != "linux" || (entry.architecture != "x86_64" && entry.architecture != "aarch64"))
        problems.error("platform", fmt::format("the entry for {} is for {}/{}, and podman asks for linux/x86_64 or "
                                               "linux/aarch64, in this spelling",
                                               type, escape_untrusted(entry.os), escape_untrusted(entry.architecture)));
    if (!entry.is_read)
        problems.error("manifest", fmt::format("the manifest of {} is not there or not one", type));
    else if (entry.titles.size() != 1)
        problems.error("one-layer", fmt::format("the manifest of {} has {} layers, and podman takes one", type,
                                                entry.titles.size()));
    else if (entry.titles.front().empty())
        problems.error("title", fmt::format("the disk of {} has no title, by whose ending podman names it", type));
    else if (format_in_title(entry.titles.front()) != wanted_format(entry.disk_type))
        problems.error("title", fmt::format("the disk of {} is titled {}, and that machine takes {}", type,
                                            quote_untrusted(entry.titles.front()), wanted_format(entry.disk_type)));
}

} // namespace

// kubevirt/kubevirt: hack/oci-import.sh, pkg/storage/oci/oci.go.
std::vector<Problem> check_machine_artifact(const ImageFacts& facts) {
    Problems problems;
    check_layers(facts, problems);
    const ImageManifest& manifest = facts.content.parsed_manifest;
    if (manifest.artifact_type != vm_artifact::artifact_type)
        problems.error("artifact-type",
                       (manifest.artifact_type.empty() ? "it is no artifact"
                                                       : "its type is " + quote_untrusted(manifest.artifact_type)) +
                           ": \"unexpected artifact type\"",
                       "make a machine artifact of the disk");
    else if (manifest.config.media_type != vm_artifact::config_type)
        problems.error("config-type", "its config is of type " + quote_untrusted(manifest.config.media_type) +
                                          ": \"unexpected config media type for VM artifact\"");
    if (!facts.machine)
        return problems.take();
    if (!facts.machine->problem.empty())
        problems.error("machine", facts.machine->problem);
    std::set<std::string> names;
    for (const MachineDiskLayer& disk : facts.machine->disks) {
        names.insert(disk.name);
        if (!is_dns_label(disk.name))
            problems.error("disk-name", fmt::format("a disk is called {}, of which no claim can be named",
                                                    quote_untrusted(disk.name)));
        else if (std::find(facts.machine->claims.begin(), facts.machine->claims.end(), disk.name) ==
                 facts.machine->claims.end())
            problems.error("disk-name", fmt::format("the machine mounts no claim called {}: the disk would be "
                                                    "imported, and the machine start without it",
                                                    quote_untrusted(disk.name)));
        if (!disk.size)
            problems.error("disk-size", fmt::format("nothing says how large disk {} is, which its claim is made by",
                                                    quote_untrusted(disk.name)));
        if (facts.layers.at(disk.layer).compression.rfind("zstd", 0) != 0)
            problems.error("disk-compression",
                           fmt::format("disk {} is not compressed with zstd", quote_untrusted(disk.name)));
    }
    for (const std::string& claim : facts.machine->claims)
        if (names.count(claim) == 0)
            problems.warning("claims", fmt::format("the machine mounts the claim {}, which the artifact does not hold",
                                                   quote_untrusted(claim)));
    return problems.take();
}

bool is_machine_artifact(const ImageFacts& facts) {
    return facts.machine.has_value();
}

// containers/podman: pkg/machine/ocipull/ociartifact.go.
std::vector<Problem> check_podman_machine(const ImageFacts& facts) {
    Problems problems;
    check_layers(facts, problems);
    if (!facts.index) {
        problems.error("index", "the reference names a single image: \"wrong manifest type for disk artifact\"",
                       "make an image for podman machine of the disk");
        return problems.take();
    }
    std::size_t found = 0;
    for (const IndexEntryFacts& entry : *facts.index) {
        if (entry.disk_type.empty())
            continue;
        ++found;
        check_machine_entry(entry, problems);
    }
    if (found == 0)
        problems.error("disk-type", "no entry of the index has the annotation disktype");
    else
        problems.warning("ignition", "podman sets machines up by Ignition: a guest without it starts, and does not "
                                     "become a machine");
    return problems.take();
}

bool is_podman_machine(const ImageFacts& facts) {
    return facts.index && std::any_of(facts.index->begin(), facts.index->end(),
                                      [](const IndexEntryFacts& entry) { return !entry.disk_type.empty(); });
}

// rancher/vm: docs/images.md.
std::vector<Problem> check_rancher_vm(const ImageFacts& facts) {
    Problems problems;
    check_unpacking(facts, problems);
    check_platform(facts, problems);
    const std::vector<Child> files = children(facts, "base_image");
    if (files.size() != 1)
        problems.error("one-base-image", fmt::format("/base_image holds {} files, and one is taken", files.size()),
                       "make an image for RancherVM of the disk");
    else if (files.front().file->type != TarType::regular)
        problems.error("one-base-image", quote_untrusted(files.front().path) + " is no regular file");
    return problems.take();
}

bool is_rancher_vm(const ImageFacts& facts) {
    return !children(facts, "base_image").empty();
}

// containers/crun: krun.1.md, src/libcrun/handlers/krun.c.
std::vector<Problem> check_krun(const ImageFacts& facts) {
    Problems problems;
    check_unpacking(facts, problems);
    check_platform(facts, problems);
    if (!has_krun_settings(facts)) {
        if (holds_disk(facts))
            problems.error("settings", "it holds a disk, and no /.krun_vm.json tells krun how to start it",
                           "make the bundle for krun");
        else
            problems.warning("settings",
                             "without /.krun_vm.json krun starts the image's entrypoint under a kernel of its "
                             "own");
        return problems.take();
    }
    if (find_regular(facts, krun_path::kernel) == nullptr && find_regular(facts, bundle_path::kernel) == nullptr)
        problems.error("kernel", "no kernel lies in /boot that /.krun_vm.json could name");
    if (find_regular(facts, bundle_path::root_qcow2) != nullptr)
        problems.error("root-format", "its root is a qcow2, and krun's guest reads files: it must be raw",
                       "make the bundle for krun");
    return problems.take();
}

bool has_krun_settings(const ImageFacts& facts) {
    return find_regular(facts, krun_path::settings) != nullptr;
}

// firecracker-microvm/firecracker: docs/rootfs-and-kernel-setup.md; cloud-hypervisor: docs/api.md. Of the unpacked
// files.
std::vector<Problem> check_micro_vmm(const ImageFacts& facts) {
    Problems problems;
    check_unpacking(facts, problems);
    check_layers(facts, problems);
    std::optional<BundleDescription> bundle;
    try {
        bundle = parse_bundle(facts.content.parsed_manifest.annotations);
    } catch (const Error& error) {
        problems.error("bundle-annotations", error.what());
        return problems.take();
    }
    if (!bundle) {
        problems.error("bundle-annotations", "it brings no kernel, and nothing else is started", "make a bundle of it");
        return problems.take();
    }
    for (const std::string& path : {bundle->kernel, bundle->root, bundle->initramfs.value_or(bundle->kernel)})
        if (find_regular(facts, path) == nullptr)
            problems.error("bundle-files", "there is no file " + quote_untrusted(path));
    if (bundle->command_line.find("console=ttyS0") == std::string::npos &&
        bundle->command_line.find("console=hvc0") == std::string::npos)
        problems.warning("console", "its kernel is not told of a serial console: what it says is not seen");
    return problems.take();
}

constexpr const char* kRunvKernel = "boot/vmlinuz";
constexpr const char* kRunvInitramfs = "boot/initrd.img";

// A container image for a runtime that brings a machine of its own.
void check_container_image(const ImageFacts& facts, std::string_view runtime, Problems& problems) {
    if (holds_disk(facts))
        problems.error("container-image",
                       fmt::format("it holds a disk, which {} does not boot: its guests are made of files", runtime),
                       "package the guest's root file system as a container image");
    else if (facts.content.config && facts.content.config->entrypoint.empty() && facts.content.config->command.empty())
        problems.warning("entrypoint", "it names no program: the pod must name one");
}

// kata-containers: an image is run as any container runtime runs it, and the guest's kernel is Kata's own.
std::vector<Problem> check_kata(const ImageFacts& facts) {
    Problems problems;
    check_unpacking(facts, problems);
    check_platform(facts, problems);
    check_container_image(facts, "Kata", problems);
    return problems.take();
}

// hyperhq/runv: cli/utils.go (getKernelFiles): kernel and initrd are looked for in the image first, each by itself.
std::vector<Problem> check_runv(const ImageFacts& facts) {
    Problems problems;
    check_unpacking(facts, problems);
    check_platform(facts, problems);
    check_container_image(facts, "runV", problems);
    if (holds_disk(facts))
        return problems.take(); // whose kernel is none of runV's business
    const bool has_kernel = facts.files.count(kRunvKernel) != 0;
    const bool has_initramfs = facts.files.count(kRunvInitramfs) != 0;
    if (has_kernel != has_initramfs)
        problems.error("boot-files",
                       fmt::format("/{} is in the image and /{} is not: runV takes the other one from the "
                                   "host",
                                   has_kernel ? kRunvKernel : kRunvInitramfs,
                                   has_kernel ? kRunvInitramfs : kRunvKernel),
                       "bring both, or none of them");
    for (const char* path : {kRunvKernel, kRunvInitramfs})
        if (facts.files.count(path) != 0 && find_regular(facts, path) == nullptr)
            problems.error("boot-files", fmt::format("/{} is no regular file", path), "bring it as a file");
    return problems.take();
}

bool has_runv_files(const ImageFacts& facts) {
    return find_regular(facts, kRunvKernel) != nullptr && find_regular(facts, kRunvInitramfs) != nullptr &&
           children(facts, "disk").empty() && !has_krun_settings(facts) &&
           facts.content.parsed_manifest.annotations.count(bundle_annotation::version) == 0;
}

// Mirantis/virtlet: docs/docs/reference/images.md.
std::vector<Problem> check_virtlet(const ImageFacts& /*facts*/) {
    Problems problems;
    problems.error("no-image", "Virtlet downloads a qcow2 file from a web server, and pulls no image",
                   "write the disk as a qcow2 file for a web server");
    return problems.take();
}

// What `convert` made of a guest's root file system; an ordinary image may be one whose disk lies in the wrong place.
bool is_guest_root(const ImageFacts& facts) {
    const auto& annotations = facts.content.parsed_manifest.annotations;
    const auto guest = annotations.lower_bound("org.vm2oci.guest.");
    return guest != annotations.end() && guest->first.starts_with("org.vm2oci.guest.") && !holds_disk(facts) &&
           !facts.files.empty() && !facts.machine && !facts.index && !has_runv_files(facts) &&
           annotations.count(bundle_annotation::version) == 0;
}

bool is_named_alone(const ImageFacts& /*facts*/) {
    return false;
}

} // namespace vm2oci
