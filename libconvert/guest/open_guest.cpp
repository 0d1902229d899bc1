#include "libconvert/guest/open_guest.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/guest/appliance.hpp"
#include "libconvert/guest/missing_mounts.hpp"
#include "libconvert/guest/mounted_guest.hpp"
#include "libconvert/guest/native_file_systems.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::size_t kFstabLimit = 256 * 1024;
constexpr const char* kNotOnDisk = "it comes from another place of the tree, the host or a server";
constexpr const char* kNoVolume = "this disk has no such volume";
const std::string kNotNative = "the native backend does not read ";

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
        mount_by_type(root->volume);
        result_.guest = std::make_unique<MountedGuest>(std::move(mounted_), result_.missing);
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
        result_.missing.push_back({entry.mount_point, entry.device, std::move(reason), need_of_entry(entry)});
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
        const EntryKind kind = kind_of_entry(entry);
        if (kind == EntryKind::none)
            return;
        if (kind == EntryKind::elsewhere)
            return miss(entry, kNotOnDisk);
        if (!index)
            return miss(entry, kNoVolume);
        const Volume& volume = result_.layout.volumes[*index];
        if (*index == root)
            return;
        if (!volume.signature || !is_native(*volume.signature)) {
            miss(entry,
                 volume.signature ? kNotNative + volume.signature->type : std::string("there is no file system in it"));
            return;
        }
        if (const auto obstacle = mount(entry.mount_point, volume))
            miss(entry, *obstacle);
    }

    // Why it is not mounted; nullopt: it is.
    std::optional<std::string> mount(const std::string& mount_point, const Volume& volume) {
        try {
            // Mount points may lie behind links; the kernel mounts on what they lead to.
            const MountedGuest so_far(mounted_);
            const std::optional<ResolvedPath> point = so_far.resolve(mount_point, FinalLink::follow);
            if (!point)
                return "its mount point does not exist";
            std::shared_ptr<const FileSystem> opened = open_native(volume.device, *volume.signature);
            mounted_.push_back({describe_mount(volume, point->canonical, *opened), std::move(opened)});
            return std::nullopt;
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
                throw;
            return error.what();
        }
    }

    void mount_by_type(std::size_t root) {
        for (const TypedMount& typed : find_typed_mounts(result_.layout, result_.fstab, MountedGuest(mounted_))) {
            std::string reason = typed.reason;
            if (typed.volume) {
                const Volume& volume = result_.layout.volumes[*typed.volume];
                if (*typed.volume == root)
                    continue;
                const auto obstacle = is_native(*volume.signature) ? mount(typed.mount_point, volume)
                                                                   : kNotNative + volume.signature->type;
                if (!obstacle)
                    continue;
                reason = *obstacle;
            }
            result_.missing.push_back({typed.mount_point, typed.device, reason, MountNeed::required});
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
        // A medium of an installer and a journal are no guests.
        return volume.signature && volume.signature->kind != ContentKind::swap && !is_native(*volume.signature) &&
               volume.signature->type != "iso9660" && volume.signature->type != "jbd" &&
               (volume.signature->kind != ContentKind::encrypted || !keys.empty());
    };
    const std::vector<Volume>& volumes = result.layout.volumes;
    const auto encrypted = std::find_if(volumes.begin(), volumes.end(), [](const Volume& volume) {
        return volume.signature && volume.signature->kind == ContentKind::encrypted;
    });
    if (result.guest) {
        for (std::size_t i = 0; i < result.fstab.size(); ++i)
            if (const auto& index = result.fstab_volumes[i]; index && !has_option(result.fstab[i], "noauto") &&
                                                             kind_of_entry(result.fstab[i]) == EntryKind::disk &&
                                                             could_help(volumes[*index]))
                return true;
        const auto typed = find_typed_mounts(result.layout, result.fstab, *result.guest);
        return std::any_of(typed.begin(), typed.end(),
                           [&](const TypedMount& mount) { return mount.volume && could_help(volumes[*mount.volume]); });
    }
    if (encrypted != volumes.end() && keys.empty())
        result.reason = fmt::format("{} is encrypted; give its key with --key SELECTOR:file:FILE",
                                    escape_untrusted(encrypted->name));
    return std::any_of(volumes.begin(), volumes.end(), could_help);
}

// What libguestfs did not mount, though the guest does.
std::vector<MissingMount> missing_of_appliance(const OpenedGuest& result, const MountedGuest& guest) {
    std::vector<MissingMount> missing;
    const std::vector<GuestMount> mounts = guest.mounts();
    const auto is_mounted = [&](const std::string& mount_point) {
        const auto point = guest.resolve(mount_point, FinalLink::follow);
        return std::any_of(mounts.begin(), mounts.end(), [&](const GuestMount& mount) {
            return mount.mount_point == normalise_path(mount_point) || (point && mount.mount_point == point->canonical);
        });
    };
    for (std::size_t i = 0; i < result.fstab.size(); ++i) {
        const FstabEntry& entry = result.fstab[i];
        const EntryKind kind = kind_of_entry(entry);
        if (kind == EntryKind::elsewhere)
            missing.push_back({entry.mount_point, entry.device, kNotOnDisk, need_of_entry(entry)});
        else if (kind == EntryKind::disk && !is_mounted(entry.mount_point))
            missing.push_back({entry.mount_point, entry.device,
                               result.fstab_volumes[i] ? "libguestfs did not mount it" : kNoVolume,
                               need_of_entry(entry)});
    }
    for (const TypedMount& typed : find_typed_mounts(result.layout, result.fstab, guest))
        missing.push_back({typed.mount_point, typed.device,
                           typed.volume ? "libguestfs does not mount partitions by their types" : typed.reason,
                           MountNeed::required});
    return missing;
}

void open_by_appliance(OpenedGuest& result, const GuestAccess& access, const OperationContext& operation) {
    ApplianceGuest found = open_appliance(result.disk, access.changes, access.keys, operation);
    result.remarks.insert(result.remarks.end(), found.remarks.begin(), found.remarks.end());
    if (found.file_systems.empty()) {
        result.reason = "libguestfs finds no operating system that it can mount (encrypted disks need --key)";
        return;
    }
    result.appliance = std::move(found.session);
    result.backend = "libguestfs";
    result.windows = std::move(found.windows);
    result.reason.clear();
    result.fstab.clear();
    result.fstab_volumes.clear();
    const MountedGuest guest(found.file_systems);
    if (const std::optional<std::string> text = try_read_text(guest, "/etc/fstab", kFstabLimit))
        result.fstab = parse_fstab(*text);
    for (const FstabEntry& entry : result.fstab)
        result.fstab_volumes.push_back(find_volume(result.layout, entry.device));
    result.missing = missing_of_appliance(result, guest);
    result.guest = std::make_unique<MountedGuest>(std::move(found.file_systems), result.missing);
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
