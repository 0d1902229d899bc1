#include "libconvert/guest/open_guest.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/guest/appliance.hpp"
#include "libconvert/guest/mounted_guest.hpp"
#include "libconvert/guest/native_file_systems.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::size_t kFstabLimit = 256 * 1024;

GuestMount describe_mount(const Volume& volume, std::string mount_point, const FileSystem& file_system) {
    return {std::move(mount_point),  volume.name,        volume.signature->type, volume.signature->uuid,
            volume.signature->label, file_system.usage()};
}

// How much a file system looks like the root of a Linux system; 0: not at all. Two folders tell it: from far away each
// one more has its price.
unsigned root_likeness(const Guest& candidate) {
    // A /usr or /boot of its own has some of these names, and no /etc.
    const std::optional<std::vector<std::string>> configuration = candidate.list("/etc");
    if (!configuration)
        return 0;
    const auto count = [](const std::vector<std::string>& names, std::initializer_list<std::string_view> wanted) {
        return static_cast<unsigned>(std::count_if(wanted.begin(), wanted.end(), [&](std::string_view name) {
            return std::binary_search(names.begin(), names.end(), name);
        }));
    };
    return 1 + count(*configuration, {"fstab", "group", "os-release", "passwd"}) +
           count(candidate.list("/").value_or(std::vector<std::string>()), {"bin", "sbin", "usr", "var"});
}

struct Candidate {
    std::size_t volume;
    std::shared_ptr<const FileSystem> file_system;
    unsigned likeness;
};

class NativeOpener {
  public:
    NativeOpener(OpenedGuest& result, const OperationContext& operation) : result_(result), operation_(operation) {}

    // False: the root is not readable natively; `reason` says why.
    bool open() {
        std::optional<Candidate> root = find_root();
        if (!root)
            return false;
        const Volume& volume = result_.layout.volumes[root->volume];
        mounted_.push_back({describe_mount(volume, "/", *root->file_system), root->file_system});
        read_fstab();
        mount_fstab(root->volume);
        result_.guest = std::make_unique<MountedGuest>(std::move(mounted_));
        result_.backend = "native";
        return true;
    }

  private:
    std::optional<Candidate> find_root() {
        std::optional<Candidate> best;
        std::size_t roots = 0;
        for (std::size_t i = 0; i < result_.layout.volumes.size(); ++i) {
            operation_.check_cancelled();
            const Volume& volume = result_.layout.volumes[i];
            if (!volume.signature || !is_native(*volume.signature) || volume.signature->type == "vfat")
                continue;
            try {
                std::shared_ptr<const FileSystem> opened = open_native(volume.device, *volume.signature);
                const MountedGuest alone({{describe_mount(volume, "/", *opened), opened}});
                const unsigned likeness = root_likeness(alone);
                roots += likeness >= 4 ? 1 : 0;
                if (likeness > 0 && (!best || likeness > best->likeness))
                    best = Candidate{i, std::move(opened), likeness};
            } catch (const Error& error) {
                if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
                    throw;
                result_.remarks.push_back(fmt::format("{}: {}", escape_untrusted(volume.name), error.what()));
            }
        }
        if (!best)
            result_.reason = "no file system that could be read looks like the root of a guest";
        else if (roots > 1)
            result_.remarks.push_back(fmt::format("{} file systems look like roots; {} was taken", roots,
                                                  escape_untrusted(result_.layout.volumes[best->volume].name)));
        return best;
    }

    void read_fstab() {
        const MountedGuest alone(mounted_);
        if (const std::optional<std::string> text = try_read_text(alone, "/etc/fstab", kFstabLimit))
            result_.fstab = parse_fstab(*text);
        for (const FstabEntry& entry : result_.fstab)
            result_.fstab_volumes.push_back(find_volume(result_.layout, entry.device));
    }

    void miss(const FstabEntry& entry, std::string reason) {
        if (!has_option(entry, "noauto"))
            result_.missing.push_back({entry.mount_point, entry.device, std::move(reason)});
    }

    void mount_fstab(std::size_t root) {
        std::vector<std::size_t> order;
        for (std::size_t i = 0; i < result_.fstab.size(); ++i)
            if (result_.fstab[i].mount_point.substr(0, 1) == "/" && normalise_path(result_.fstab[i].mount_point) != "/")
                order.push_back(i);
        std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
            return normalise_path(result_.fstab[a].mount_point) < normalise_path(result_.fstab[b].mount_point);
        });
        for (const std::size_t i : order)
            mount_entry(result_.fstab[i], result_.fstab_volumes[i], root);
    }

    void mount_entry(const FstabEntry& entry, std::optional<std::size_t> index, std::size_t root) {
        constexpr std::string_view kNoDisk[] = {
            "tmpfs",  "proc",       "sysfs",    "devpts",   "cgroup", "cgroup2",   "debugfs",
            "nfs",    "nfs4",       "cifs",     "none",     "fuse",   "hugetlbfs", "efivarfs",
            "mqueue", "securityfs", "configfs", "devtmpfs", "usbfs",  "9p",        "virtiofs"};
        if (std::find(std::begin(kNoDisk), std::end(kNoDisk), entry.type) != std::end(kNoDisk))
            return;
        if (entry.type == "swap" || has_option(entry, "bind"))
            return;
        if (!index) {
            // Removable media are in many an fstab, and in no machine.
            if (entry.device.find("/dev/cdrom") == std::string::npos &&
                entry.device.find("/dev/fd") == std::string::npos && entry.device.find("/dev/sr") == std::string::npos)
                miss(entry, "this disk has no such volume");
            return;
        }
        const Volume& volume = result_.layout.volumes[*index];
        if (*index == root)
            return;
        if (!volume.signature || !is_native(*volume.signature)) {
            miss(entry, volume.signature ? "the native backend does not read " + volume.signature->type
                                         : std::string("there is no file system in it"));
            return;
        }
        try {
            // Mount points may lie behind links; the kernel mounts on what they lead to.
            const MountedGuest so_far(mounted_);
            const std::optional<ResolvedPath> point = so_far.resolve(entry.mount_point, FinalLink::follow);
            if (!point) {
                miss(entry, "its mount point does not exist");
                return;
            }
            std::shared_ptr<const FileSystem> opened = open_native(volume.device, *volume.signature);
            mounted_.push_back({describe_mount(volume, point->canonical, *opened), std::move(opened)});
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
                throw;
            miss(entry, error.what());
        }
    }

    OpenedGuest& result_;
    const OperationContext& operation_;
    std::vector<MountedFileSystem> mounted_;
};

// Something on the disk is nothing that this process reads, and the guest needs it. What is encrypted stays so for the
// appliance, too, if there is no key: it is not started in vain.
bool needs_appliance(OpenedGuest& result, const std::vector<DiskKey>& keys) {
    const auto could_help = [&](const Volume& volume) {
        return volume.signature && volume.signature->kind != ContentKind::swap && !is_native(*volume.signature) &&
               (volume.signature->kind != ContentKind::encrypted || !keys.empty());
    };
    const std::vector<Volume>& volumes = result.layout.volumes;
    const auto encrypted = std::find_if(volumes.begin(), volumes.end(), [](const Volume& volume) {
        return volume.signature && volume.signature->kind == ContentKind::encrypted;
    });
    if (result.guest)
        return !result.missing.empty() &&
               std::any_of(result.fstab_volumes.begin(), result.fstab_volumes.end(),
                           [&](const auto& index) { return index && could_help(volumes[*index]); });
    if (encrypted != volumes.end() && keys.empty())
        result.reason = fmt::format("{} is encrypted; give its key with --key SELECTOR:file:FILE",
                                    escape_untrusted(encrypted->name));
    return std::any_of(volumes.begin(), volumes.end(), could_help);
}

void open_by_appliance(OpenedGuest& result, const GuestAccess& access, const OperationContext& operation) {
    ApplianceGuest found = open_appliance(result.disk, access.changes, access.keys, operation);
    result.remarks.insert(result.remarks.end(), found.remarks.begin(), found.remarks.end());
    if (found.file_systems.empty()) {
        result.reason = "libguestfs finds no operating system that it can mount (encrypted disks need --key)";
        return;
    }
    result.guest = std::make_unique<MountedGuest>(std::move(found.file_systems));
    result.appliance = std::move(found.session);
    result.backend = "libguestfs";
    result.windows = std::move(found.windows);
    result.reason.clear();
    result.missing.clear();
    result.fstab.clear();
    result.fstab_volumes.clear();
    if (const std::optional<std::string> text = try_read_text(*result.guest, "/etc/fstab", kFstabLimit))
        result.fstab = parse_fstab(*text);
    for (const FstabEntry& entry : result.fstab)
        result.fstab_volumes.push_back(find_volume(result.layout, entry.device));
}

} // namespace

GuestBackend parse_guest_backend(std::string_view text) {
    if (text == "auto")
        return GuestBackend::automatic;
    if (text == "native")
        return GuestBackend::native;
    if (text == "libguestfs")
        return GuestBackend::libguestfs;
    fail(ErrorKind::usage, "'" + std::string(text) + "' is no guest backend: auto, native or libguestfs");
}

OpenedGuest open_guest(const std::shared_ptr<const BlockDevice>& disk, const GuestAccess& access,
                       const OperationContext& operation) {
    const GuestBackend backend = access.backend;
    OpenedGuest result;
    result.disk = disk;
    result.layout = examine_layout(disk);
    if (backend != GuestBackend::libguestfs)
        NativeOpener(result, operation).open();
    if (backend == GuestBackend::libguestfs) {
        open_by_appliance(result, access, operation);
    } else if (backend == GuestBackend::automatic && needs_appliance(result, access.keys)) {
        try {
            open_by_appliance(result, access, operation);
        } catch (const Error& error) {
            // What was read natively is still worth telling; a conversion refuses what is missing.
            if (error.kind() != ErrorKind::external)
                throw;
            result.remarks.push_back(error.what());
        }
    }
    return result;
}

} // namespace vm2oci
