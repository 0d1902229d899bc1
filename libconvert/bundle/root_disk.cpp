#include "libconvert/bundle/root_disk.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/sha256.hpp"
#include "formats/base/size.hpp"
#include "formats/block/empty.hpp"
#include "formats/block/slice.hpp"
#include "formats/erofs/tree_writer.hpp"
#include "formats/ext4/tree_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace vm2oci {
namespace {

std::optional<std::size_t> volume_of(const DiskLayout& layout, const GuestMount& mount) {
    const auto find = [&](auto&& matches) -> std::optional<std::size_t> {
        const auto found = std::find_if(layout.volumes.begin(), layout.volumes.end(), matches);
        return found == layout.volumes.end() ? std::nullopt
                                             : std::optional<std::size_t>(found - layout.volumes.begin());
    };
    if (const auto by_name = find([&](const Volume& volume) { return volume.name == mount.volume; }))
        return by_name;
    if (!mount.uuid.empty())
        if (const auto by_uuid =
                find([&](const Volume& volume) { return volume.signature && volume.signature->uuid == mount.uuid; }))
            return by_uuid;
    return find_volume(layout, mount.volume);
}

// Holds boot loaders, which nothing starts any more. One that is mounted on /boot holds the kernels, too.
bool is_efi_system_mount(const GuestMount& mount) {
    return mount.type == "vfat" && (mount.mount_point == "/boot/efi" || mount.mount_point == "/efi");
}

// What is told of mounts that are not there and without which the guest boots.
std::vector<std::string> refuse_missing(const OpenedGuest& opened) {
    if (!opened.guest)
        fail(ErrorKind::unsupported, "there is no guest to package: " + escape_untrusted(opened.reason),
             opened.reason_hint);
    std::vector<std::string> remarks;
    for (const MissingMount& missing : opened.missing) {
        const std::string place = normalise_path(missing.mount_point);
        if (place == "/boot/efi" || place == "/efi")
            continue;
        if (missing.need == MountNeed::required)
            fail(ErrorKind::unsupported,
                 fmt::format("{} of the guest, on {}, cannot be read: {}", quote_untrusted(missing.mount_point),
                             quote_untrusted(missing.device), escape_untrusted(missing.reason)),
                 hint_for(missing.remedy));
        remarks.push_back(fmt::format("what the guest mounts on {} from {} is not part of the root: {}",
                                      quote_untrusted(missing.mount_point), quote_untrusted(missing.device),
                                      escape_untrusted(missing.reason)));
    }
    return remarks;
}

std::array<std::byte, 16> parse_uuid(const std::string& text) {
    std::string digits;
    for (const char c : text)
        if (std::isxdigit(static_cast<unsigned char>(c)) != 0)
            digits += c;
    std::array<std::byte, 16> uuid{};
    if (digits.size() != 2 * uuid.size()) { // of a kind with short ones: derived from it
        const Sha256Sum sum = sha256(as_bytes("vm2oci root of " + text));
        std::copy_n(sum.begin(), uuid.size(), uuid.begin());
        return uuid;
    }
    for (std::size_t i = 0; i < uuid.size(); ++i)
        uuid[i] = static_cast<std::byte>(std::stoul(digits.substr(2 * i, 2), nullptr, 16));
    return uuid;
}

std::string format_uuid(const std::array<std::byte, 16>& uuid) {
    const std::string digits = to_hex(uuid);
    return fmt::format("{}-{}-{}-{}-{}", digits.substr(0, 8), digits.substr(8, 4), digits.substr(12, 4),
                       digits.substr(16, 4), digits.substr(20));
}

RootDisk slice_root(const OpenedGuest& opened, std::size_t volume, const OperationContext& operation) {
    const Volume& root = opened.layout.volumes[volume];
    RootDisk disk;
    disk.device =
        std::make_shared<OverlayDevice>(root.device, std::nullopt, std::filesystem::path(operation.scratch_folder));
    disk.shape = RootShape::slice;
    disk.type = root.signature ? root.signature->type : "";
    disk.uuid = root.signature ? root.signature->uuid : "";
    disk.origin = escape_untrusted(root.name);
    disk.volumes = {volume};
    return disk;
}

std::uint64_t used_inodes(const std::vector<GuestMount>& mounts) {
    std::uint64_t used = 0;
    for (const GuestMount& mount : mounts)
        if (mount.usage && mount.usage->total_inodes > mount.usage->free_inodes)
            used += mount.usage->total_inodes - mount.usage->free_inodes;
    return used;
}

Ext4Geometry root_geometry(const std::vector<GuestMount>& mounts, std::uint64_t size, std::int64_t time) {
    constexpr std::uint64_t kBytesPerInode = 16 * KiB; // mke2fs' default
    Ext4Geometry geometry;
    // Half as many again as there are files, whatever the sizes say.
    geometry.inodes = std::min<std::uint64_t>(std::max(size / kBytesPerInode, used_inodes(mounts) * 3 / 2), UINT32_MAX);
    geometry.uuid = parse_uuid(mounts.front().uuid);
    const Sha256Sum seed = sha256(geometry.uuid);
    std::copy_n(seed.begin(), geometry.hash_seed.size(), geometry.hash_seed.begin());
    geometry.label = mounts.front().label;
    geometry.time = std::clamp<std::int64_t>(time, 1, UINT32_MAX);
    return geometry;
}

RootDisk join_roots(const OpenedGuest& opened, const std::vector<GuestMount>& mounts,
                    const std::vector<std::size_t>& volumes, const RootDiskOptions& options, std::uint64_t enlarged,
                    const OperationContext& operation) {
    constexpr std::uint64_t kBlockSize = 4 * KiB;
    RootDisk disk;
    disk.shape = RootShape::joined;
    disk.type = "ext4";
    disk.volumes = volumes;
    std::uint64_t size = 0;
    for (const std::size_t volume : volumes)
        size = checked_add(size, opened.layout.volumes[volume].device->size(), "the size of the root");
    size = checked_multiply(size, enlarged, "the size of the root");
    if (options.size)
        size = *options.size;
    size = align_up(std::max(size, kSmallestJoinedRoot), kBlockSize);

    const Ext4Geometry geometry = root_geometry(mounts, size, options.time);
    disk.uuid = format_uuid(geometry.uuid);
    disk.device = std::make_shared<OverlayDevice>(std::make_shared<EmptyDevice>(size), std::nullopt,
                                                  std::filesystem::path(operation.scratch_folder));

    ExportOptions exported;
    for (const GuestMount& mount : mounts) {
        exported.excluded.push_back((mount.mount_point == "/" ? "" : mount.mount_point) + "/lost+found");
        if (is_efi_system_mount(mount))
            exported.emptied.push_back(mount.mount_point);
        else
            disk.origin += (disk.origin.empty() ? "" : ", ") + escape_untrusted(mount.mount_point);
    }
    operation.progress->begin("join", 0);
    Ext4TreeWriter writer(disk.device, geometry);
    opened.guest->export_tree(exported, writer, operation);
    disk.attributes_left_out = writer.finish().attributes_left_out;
    operation.progress->end();
    return disk;
}

// What btrfs compresses or shares takes more room elsewhere.
RootDisk join_subvolumes(const OpenedGuest& opened, const std::vector<GuestMount>& mounts,
                         const std::vector<std::size_t>& volumes, const RootDiskOptions& options,
                         const OperationContext& operation) {
    constexpr std::uint64_t kMostEnlarged = 16;
    for (std::uint64_t enlarged = 1;; enlarged *= 2) {
        try {
            return join_roots(opened, mounts, volumes, options, enlarged, operation);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::limit || options.size || enlarged == kMostEnlarged)
                throw;
        }
    }
}

} // namespace

RootDisk make_root_disk(const OpenedGuest& opened, const RootDiskOptions& options, const OperationContext& operation) {
    std::vector<std::string> remarks = refuse_missing(opened);
    const std::vector<GuestMount> mounts = opened.guest->mounts();
    std::vector<std::size_t> volumes; // of the tree, the root's first
    std::vector<std::string> left_out;
    for (const GuestMount& mount : mounts) {
        const auto volume = volume_of(opened.layout, mount);
        if (!volume)
            fail(ErrorKind::unsupported,
                 fmt::format("{} of the guest lies on {}, which is no partition and no linear "
                             "logical volume of this disk",
                             escape_untrusted(mount.mount_point), quote_untrusted(mount.volume)));
        if (is_efi_system_mount(mount))
            left_out.push_back(mount.mount_point);
        else if (std::find(volumes.begin(), volumes.end(), *volume) == volumes.end())
            volumes.push_back(*volume);
    }
    const bool has_subvolumes =
        std::any_of(mounts.begin(), mounts.end(), [](const GuestMount& mount) { return !mount.subvolume.empty(); });
    RootDisk disk = has_subvolumes        ? join_subvolumes(opened, mounts, volumes, options, operation)
                    : volumes.size() == 1 ? slice_root(opened, volumes.front(), operation)
                                          : join_roots(opened, mounts, volumes, options, 1, operation);
    disk.left_out = std::move(left_out);
    disk.remarks = std::move(remarks);
    return disk;
}

RootFiles make_erofs_root(const Guest& guest, const ExportOptions& left_out, std::int64_t time,
                          const OperationContext& operation) {
    const GuestMount root = guest.mounts().front();
    const auto disk = std::make_shared<OverlayDevice>(std::make_shared<EmptyDevice>(kMaxErofsBytes), std::nullopt,
                                                      std::filesystem::path(operation.scratch_folder));
    ExportOptions exported = left_out;
    exported.excluded.emplace_back("/lost+found");
    operation.progress->begin("erofs", 0);
    ErofsTreeWriter writer(disk, {parse_uuid(root.uuid), root.label, time});
    guest.export_tree(exported, writer, operation);
    const ErofsReport report = writer.finish();
    operation.progress->end();
    return {std::make_shared<SliceDevice>(disk, 0, report.size), report.attributes_left_out};
}

RootFiles make_ext4_root(const Guest& guest, const ExportOptions& left_out, std::uint64_t size, std::int64_t time,
                         const OperationContext& operation) {
    const auto disk = std::make_shared<OverlayDevice>(std::make_shared<EmptyDevice>(size), std::nullopt,
                                                      std::filesystem::path(operation.scratch_folder));
    operation.progress->begin("ext4", 0);
    Ext4TreeWriter writer(disk, root_geometry(guest.mounts(), size, time));
    guest.export_tree(left_out, writer, operation);
    const Ext4TreeReport report = writer.finish();
    operation.progress->end();
    return {disk, report.attributes_left_out};
}

RootFiles make_fitting_ext4_root(const Guest& guest, const ExportOptions& left_out, std::uint64_t size,
                                 std::int64_t time, const OperationContext& operation) {
    constexpr int kEnlargements = 6;
    for (int enlargement = 0; enlargement < kEnlargements; ++enlargement, size *= 2) {
        try {
            return make_ext4_root(guest, left_out, size, time, operation);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::limit)
                throw;
        }
    }
    return make_ext4_root(guest, left_out, size, time, operation);
}

} // namespace vm2oci
