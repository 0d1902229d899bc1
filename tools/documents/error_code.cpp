#include "tools/documents/error_code.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace vm2oci {
namespace {

struct Area {
    std::string_view folder; // of sources, or the beginning of a file's path
    std::string_view name;
};

// The first that fits counts.
constexpr std::array kAreas = {
    Area{"formats/block/qcow2/", "qcow2"},
    Area{"formats/block/vmdk/", "vmdk"},
    Area{"formats/block/vhdx/", "vhdx"},
    Area{"formats/block/vhd/", "vhd"},
    Area{"formats/block/vdi/", "vdi"},
    Area{"formats/block/", "disk"},
    Area{"formats/codec/", "compressed-data"},
    Area{"formats/partition/", "partition-table"},
    Area{"formats/ext4/", "ext4"},
    Area{"formats/xfs/", "xfs"},
    Area{"formats/btrfs/", "btrfs"},
    Area{"formats/fat/", "fat"},
    Area{"formats/erofs/", "erofs"},
    Area{"formats/md/", "md"},
    Area{"formats/luks/", "luks"},
    Area{"formats/lvm", "lvm"},
    Area{"formats/rpm/", "packages"},
    Area{"formats/initrd/", "initrd"},
    Area{"formats/tree/", "layer"},
    Area{"formats/oci/reference", "reference"},
    Area{"formats/oci/", "image"},
    Area{"formats/appliance/", "appliance"},
    Area{"guest-kernel/", "appliance"},
    Area{"runner/appliance", "appliance"},
    Area{"libconvert/guest/appliance", "appliance"},
    Area{"tools/flows/appliance", "appliance"},
    Area{"libconvert/registry/http_disk", "server-disk"},
    Area{"libconvert/remote/", "server-disk"},
    Area{"libconvert/registry/", "registry"},
    Area{"libconvert/hardware/", "machine"},
    Area{"libconvert/source/described_disks", "machine"},
    Area{"libconvert/source/disk_file", "disk"},
    Area{"libconvert/source/image_content", "image"},
    Area{"libconvert/source/content_verifier", "image"},
    Area{"libconvert/source/layered_view", "layer"},
    Area{"libconvert/source/", "package"},
    Area{"libconvert/copy/", "image"},
    Area{"libconvert/package/", "image"},
    Area{"libconvert/guest/", "guest"},
    Area{"libconvert/inspect/", "guest"},
    Area{"libconvert/edit/user_data", "user-data"},
    Area{"libconvert/edit/yaml", "user-data"},
    Area{"libconvert/edit/agent_package", "agent"},
    Area{"libconvert/edit/plan_agent", "agent"},
    Area{"libconvert/edit/elf_needs", "agent"},
    Area{"libconvert/edit/", "edit"},
    Area{"libconvert/bundle/", "bundle"},
    Area{"libconvert/manifest/", "manifest"},
    Area{"runner/", "boot"},
    Area{"tools/flows/boot", "boot"},
    Area{"tools/flows/reference", "reference"},
    Area{"tools/flows/disk_containers", "image"},
    Area{"tools/flows/minimal_kernel", "bundle"},
    Area{"tools/flows/bundle_shape", "bundle"},
    Area{"tools/flows/sbom", "packages"},
};

constexpr std::array<std::pair<HintKind, std::string_view>, 33> kOfHints = {{
    {HintKind::allow_truncated, "disk-truncated"},
    {HintKind::allow_corrupt, "qcow2-marked-corrupt"},
    {HintKind::allow_in_use, "disk-in-use"},
    {HintKind::backing, "backing-needed"},
    {HintKind::data_file, "data-file-needed"},
    {HintKind::extent, "extent-needed"},
    {HintKind::max_virtual_size, "disk-too-large"},
    {HintKind::architecture, "architecture-unclear"},
    {HintKind::root, "root-unclear"},
    {HintKind::key, "key-needed"},
    {HintKind::guest_backend, "guest-backend-cannot"},
    {HintKind::scratch_folder, "scratch-full"},
    {HintKind::one_disk, "several-disks"},
    {HintKind::further_disk, "disk-needed"},
    {HintKind::chunked, "chunked-impossible"},
    {HintKind::disk_format, "disk-not-fit"},
    {HintKind::size, "guest-full"},
    {HintKind::layers, "layers-impossible"},
    {HintKind::krun_root, "krun-root"},
    {HintKind::read_only_root, "read-only-root"},
    {HintKind::minimal_kernel, "kernel-lacks-drivers"},
    {HintKind::other_kernel, "kernel-unfit"},
    {HintKind::guest_kernel, "minimal-kernel-unfit"},
    {HintKind::login, "login-needed"},
    {HintKind::other_login, "login-lacks-rights"},
    {HintKind::certificate, "certificate-unknown"},
    {HintKind::plain_http, "registry-without-tls"},
    {HintKind::user_data, "user-data-needed"},
    {HintKind::ssh_key, "ssh-keys-twice"},
    {HintKind::without_cloud_init, "cloud-init-needed"},
    {HintKind::agent_package, "agent-not-here"},
    {HintKind::further_agent, "agent-lacks-libraries"},
    {HintKind::accelerator, "kvm-missing"},
}};

// Every one has its section in tools/help/errors.md.
constexpr auto kCodes = std::to_array<std::string_view>({"disk-truncated",
                                                         "disk-in-use",
                                                         "disk-too-large",
                                                         "disk-needed",
                                                         "several-disks",
                                                         "backing-needed",
                                                         "data-file-needed",
                                                         "extent-needed",
                                                         "qcow2-marked-corrupt",
                                                         "disk-not-fit",
                                                         "architecture-unclear",
                                                         "root-unclear",
                                                         "key-needed",
                                                         "guest-backend-cannot",
                                                         "guest-full",
                                                         "scratch-full",
                                                         "chunked-impossible",
                                                         "layers-impossible",
                                                         "krun-root",
                                                         "read-only-root",
                                                         "kernel-lacks-drivers",
                                                         "kernel-unfit",
                                                         "minimal-kernel-unfit",
                                                         "login-needed",
                                                         "login-lacks-rights",
                                                         "certificate-unknown",
                                                         "registry-without-tls",
                                                         "user-data-needed",
                                                         "ssh-keys-twice",
                                                         "cloud-init-needed",
                                                         "agent-not-here",
                                                         "agent-lacks-libraries",
                                                         "kvm-missing",
                                                         "qcow2-corrupt",
                                                         "vmdk-corrupt",
                                                         "vhd-corrupt",
                                                         "vhdx-corrupt",
                                                         "vdi-corrupt",
                                                         "disk-corrupt",
                                                         "qcow2-unsupported",
                                                         "vmdk-unsupported",
                                                         "vhd-unsupported",
                                                         "vhdx-unsupported",
                                                         "vdi-unsupported",
                                                         "disk-unsupported",
                                                         "qcow2-unsafe",
                                                         "vmdk-unsafe",
                                                         "disk-unsafe",
                                                         "qcow2-limit",
                                                         "vmdk-limit",
                                                         "vhd-limit",
                                                         "vhdx-limit",
                                                         "vdi-limit",
                                                         "disk-limit",
                                                         "compressed-data-corrupt",
                                                         "compressed-data-unsupported",
                                                         "compressed-data-limit",
                                                         "compressed-data-failed",
                                                         "partition-table-corrupt",
                                                         "partition-table-limit",
                                                         "ext4-corrupt",
                                                         "xfs-corrupt",
                                                         "btrfs-corrupt",
                                                         "fat-corrupt",
                                                         "erofs-corrupt",
                                                         "ext4-unsupported",
                                                         "xfs-unsupported",
                                                         "btrfs-unsupported",
                                                         "erofs-unsupported",
                                                         "ext4-limit",
                                                         "xfs-limit",
                                                         "btrfs-limit",
                                                         "erofs-limit",
                                                         "ext4-unsafe",
                                                         "md-corrupt",
                                                         "lvm-corrupt",
                                                         "luks-corrupt",
                                                         "md-unsupported",
                                                         "lvm-unsupported",
                                                         "luks-unsupported",
                                                         "lvm-limit",
                                                         "luks-limit",
                                                         "luks-failed",
                                                         "packages-corrupt",
                                                         "packages-limit",
                                                         "packages-unsupported",
                                                         "initrd-corrupt",
                                                         "initrd-unsupported",
                                                         "initrd-limit",
                                                         "image-corrupt",
                                                         "image-unsupported",
                                                         "image-unsafe",
                                                         "image-limit",
                                                         "image-not-found",
                                                         "image-conflict",
                                                         "image-io",
                                                         "layer-unsafe",
                                                         "layer-limit",
                                                         "layer-unsupported",
                                                         "layer-corrupt",
                                                         "machine-corrupt",
                                                         "machine-unsupported",
                                                         "machine-limit",
                                                         "machine-unsafe",
                                                         "package-corrupt",
                                                         "package-unsupported",
                                                         "package-limit",
                                                         "package-unsafe",
                                                         "package-not-found",
                                                         "guest-not-found",
                                                         "guest-corrupt",
                                                         "guest-limit",
                                                         "guest-unsafe",
                                                         "edit-corrupt",
                                                         "edit-unsupported",
                                                         "edit-unsafe",
                                                         "edit-limit",
                                                         "edit-not-found",
                                                         "user-data-usage",
                                                         "user-data-corrupt",
                                                         "user-data-limit",
                                                         "agent-corrupt",
                                                         "agent-unsupported",
                                                         "agent-unsafe",
                                                         "agent-limit",
                                                         "agent-not-found",
                                                         "bundle-corrupt",
                                                         "bundle-unsupported",
                                                         "bundle-limit",
                                                         "bundle-failed",
                                                         "bundle-not-found",
                                                         "manifest-unsupported",
                                                         "boot-failed",
                                                         "boot-unsupported",
                                                         "boot-limit",
                                                         "boot-corrupt",
                                                         "appliance-corrupt",
                                                         "appliance-unsupported",
                                                         "appliance-unsafe",
                                                         "appliance-limit",
                                                         "appliance-failed",
                                                         "registry-failed",
                                                         "registry-io",
                                                         "registry-corrupt",
                                                         "registry-unsafe",
                                                         "registry-unsupported",
                                                         "registry-limit",
                                                         "registry-not-found",
                                                         "registry-conflict",
                                                         "server-disk-io",
                                                         "server-disk-failed",
                                                         "server-disk-unsafe",
                                                         "server-disk-not-found",
                                                         "reference-usage",
                                                         "reference-unsupported",
                                                         "reference-corrupt",
                                                         "usage",
                                                         "corrupt",
                                                         "unsupported",
                                                         "unsafe",
                                                         "limit",
                                                         "not-found",
                                                         "conflict",
                                                         "failed",
                                                         "io",
                                                         "cancelled"});

std::string_view of_hint(HintKind hint) {
    for (const auto& [kind, code] : kOfHints)
        if (kind == hint)
            return code;
    return "";
}

// Files are named from the top of the tree, or, in a build of somebody else's, from somewhere above it.
std::string_view area_of(std::string_view file) {
    for (const Area& area : kAreas)
        if (const std::size_t at = file.find(area.folder);
            at != std::string_view::npos && (at == 0 || file[at - 1] == '/'))
            return area.name;
    return "";
}

std::string word_of(ErrorKind kind) {
    std::string word(to_string(kind));
    if (kind == ErrorKind::external)
        word = "failed"; // what is outside of vm2oci
    std::replace(word.begin(), word.end(), '_', '-');
    return word;
}

} // namespace

std::string error_code(const Error& error) {
    if (const std::string_view code = of_hint(error.hint().kind); !code.empty())
        return std::string(code);
    const std::string kind = word_of(error.kind());
    const std::string special = std::string(area_of(error.where().file_name())) + "-" + kind;
    return std::find(kCodes.begin(), kCodes.end(), special) != kCodes.end() ? special : kind;
}

std::span<const std::string_view> error_codes() {
    return kCodes;
}

} // namespace vm2oci
