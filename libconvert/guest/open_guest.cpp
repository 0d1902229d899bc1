#include "libconvert/guest/open_guest.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/guest/appliance.hpp"
#include "libconvert/guest/boot_roots.hpp"
#include "libconvert/guest/file_system_drivers.hpp"
#include "libconvert/guest/foreign_system.hpp"
#include "libconvert/guest/missing_mounts.hpp"
#include "libconvert/guest/mount_units.hpp"
#include "libconvert/guest/mounted_guest.hpp"
#include "libconvert/guest/root_finder.hpp"
#include "libconvert/guest/subvolumes.hpp"
#include "libconvert/guest/volume_stack.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace vm2oci {
namespace {

constexpr const char* kNotOnDisk = "it comes from another place of the tree, the host or a server";
constexpr const char* kNoVolume = "this disk has no such volume";
const std::string kNotNative = "the native backend does not read ";

// fstab and crypttab, and which volumes they mean.
void read_tables(const Guest& guest, std::optional<std::size_t> root, OpenedGuest& result) {
    if (const std::optional<std::string> text = try_read_text(guest, "/etc/fstab", kFstabLimit))
        result.fstab = parse_fstab(*text);
    if (root) {
        // From far away every file has its price: what no entry asks for is not read.
        const auto asks = [&](auto&& predicate) {
            return std::any_of(result.fstab.begin(), result.fstab.end(), predicate);
        };
        std::vector<BootRoot> boot_roots;
        if (asks([](const FstabEntry& entry) {
                const auto name = parse_disk_device(entry.device);
                return name && !is_named_by_order(name->disk);
            }))
            boot_roots = read_boot_roots(guest, "/boot");
        std::vector<std::string> roots;
        roots.reserve(boot_roots.size());
        for (BootRoot& boot : boot_roots)
            roots.push_back(std::move(boot.root));
        std::string crypttab;
        if (asks([](const FstabEntry& entry) { return !mapper_device(entry.device).empty(); }))
            crypttab = try_read_text(guest, "/etc/crypttab", kFstabLimit).value_or("");
        learn_guest_disks(result.layout, *root, result.fstab, roots, parse_crypttab(crypttab));
    }
    for (const FstabEntry& entry : result.fstab)
        result.fstab_volumes.push_back(find_volume(result.layout, entry.device));
}

// Units and the automounter's maps, where fstab says nothing of their places.
void add_further_mount(OpenedGuest& result, FstabEntry entry) {
    const auto names_place = [&](const FstabEntry& other) {
        return normalise_path(other.mount_point) == normalise_path(entry.mount_point);
    };
    if (entry.type == "swap" || std::any_of(result.fstab.begin(), result.fstab.end(), names_place) ||
        std::any_of(result.further_mounts.begin(), result.further_mounts.end(), names_place))
        return;
    result.further_volumes.push_back(find_volume(result.layout, entry.device));
    result.further_mounts.push_back(std::move(entry));
}

void read_further_mounts(const Guest& guest, OpenedGuest& result) {
    for (const UnitOrigin origin : {UnitOrigin::administrator, UnitOrigin::vendor})
        for (MountUnit& unit : read_mount_units(guest, origin))
            add_further_mount(result, std::move(unit.entry));
    for (FstabEntry& entry : read_automounts(guest))
        add_further_mount(result, std::move(entry));
}

struct MountEntry {
    const FstabEntry& entry;
    std::optional<std::size_t> volume;
};
std::vector<MountEntry> mount_entries(const OpenedGuest& opened) {
    std::vector<MountEntry> entries;
    for (std::size_t i = 0; i < opened.fstab.size(); ++i)
        entries.push_back({opened.fstab[i], opened.fstab_volumes[i]});
    for (std::size_t i = 0; i < opened.further_mounts.size(); ++i)
        entries.push_back({opened.further_mounts[i], opened.further_volumes[i]});
    return entries;
}

std::vector<FstabEntry> fstab_and_further(const OpenedGuest& opened) {
    std::vector<FstabEntry> entries = opened.fstab;
    entries.insert(entries.end(), opened.further_mounts.begin(), opened.further_mounts.end());
    return entries;
}

bool is_automount(const FstabEntry& entry) {
    return entry.type == "autofs";
}

void tell_no_key(OpenedGuest& result, std::string reason) {
    result.reason = std::move(reason);
    result.reason_hint = HintKind::key;
}

MissingMount missing_automount(const FstabEntry& map) {
    return {map.mount_point, map.device, "the guest's automounter brings it from elsewhere when somebody looks",
            MountNeed::optional};
}

MissingMount missing_elsewhere(const FstabEntry& entry) {
    return {entry.mount_point,    entry.device,        kNotOnDisk,
            need_of_entry(entry), MissingRemedy::none, bound_folder(entry)};
}

class NativeOpener {
  public:
    NativeOpener(OpenedGuest& result, const GuestAccess& access, const OperationContext& operation)
        : result_(result), finder_(result, access, operation) {}

    // Volumes, by index, that are sound and have something that their reader here does not read: a realtime device of
    // xfs, a log that only the kernel finishes.
    const std::set<std::size_t>& refused() const { return finder_.refused(); }

    // False: the root is not readable natively; `reason` says why.
    bool open() {
        const std::optional<RootCandidate> root = finder_.find();
        if (!root)
            return false;
        add_mount(root->volume, "/", root->file_system, root->tree);
        read_fstab(root->volume);
        mount_fstab(root->volume);
        mount_further(root->volume);
        mount_by_type(root->volume);
        tell_trees();
        result_.guest = std::make_unique<MountedGuest>(std::move(mounted_), result_.missing);
        result_.backend = "native";
        return true;
    }

  private:
    void add_mount(std::size_t index, std::string mount_point, std::shared_ptr<const FileSystem> opened,
                   const MountedTree& tree) {
        GuestMount described = describe_mount(result_.layout.volumes[index], std::move(mount_point), *opened);
        described.subvolume = tree.path;
        mounted_volumes_.push_back(index);
        mounted_.push_back({std::move(described), std::move(opened), tree.top});
    }

    // Snapshots are told, and neither they nor what is mounted elsewhere is packed twice.
    void tell_trees() {
        std::set<std::size_t> told;
        for (std::size_t i = 0; i < mounted_.size(); ++i) {
            const std::vector<SubvolumeFacts> subvolumes = mounted_[i].file_system->subvolumes();
            if (subvolumes.empty())
                continue;
            std::vector<NodeId> tops;
            for (std::size_t other = 0; other < mounted_.size(); ++other)
                if (mounted_volumes_[other] == mounted_volumes_[i])
                    tops.push_back(mounted_[other].root());
            mounted_[i].not_exported = trees_not_exported(subvolumes, tops);
            const std::string text = describe_snapshots(subvolumes, mounted_.front().root());
            if (!text.empty() && told.insert(mounted_volumes_[i]).second)
                result_.remarks.push_back(
                    fmt::format("{} has {}", escape_untrusted(result_.layout.volumes[mounted_volumes_[i]].name), text));
        }
    }

    void read_fstab(std::size_t root) {
        const MountedGuest alone(mounted_);
        read_tables(alone, root, result_);
    }

    void miss(const FstabEntry& entry, std::string reason, MissingRemedy remedy = MissingRemedy::none) {
        result_.missing.push_back({entry.mount_point, entry.device, std::move(reason), need_of_entry(entry), remedy});
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

    void mount_further(std::size_t root) {
        read_further_mounts(MountedGuest(mounted_), result_);
        for (std::size_t i = 0; i < result_.further_mounts.size(); ++i) {
            if (is_automount(result_.further_mounts[i]))
                result_.missing.push_back(missing_automount(result_.further_mounts[i]));
            else
                mount_entry(result_.further_mounts[i], result_.further_volumes[i], root);
        }
    }

    void mount_entry(const FstabEntry& entry, std::optional<std::size_t> index, std::size_t root) {
        const EntryKind kind = kind_of_entry(entry);
        if (kind == EntryKind::none)
            return;
        if (kind == EntryKind::elsewhere)
            return result_.missing.push_back(missing_elsewhere(entry));
        if (!index)
            return miss(entry, kNoVolume);
        const Volume& volume = result_.layout.volumes[*index];
        if (*index == root && !has_trees(*finder_.open_volume(root)))
            return;
        if (find_reader(volume.signature) == nullptr) {
            if (!volume.signature)
                return miss(entry, "there is no file system in it");
            if (volume.containment == Containment::locked)
                return miss(entry, "it is encrypted: " + volume.locked_reason, MissingRemedy::key);
            return miss(entry, kNotNative + volume.signature->type,
                        volume.signature->kind == ContentKind::encrypted ? MissingRemedy::key
                                                                         : MissingRemedy::appliance);
        }
        if (const auto obstacle = mount(entry.mount_point, *index, entry.options))
            miss(entry, *obstacle, MissingRemedy::appliance);
    }

    // Why it is not mounted; nullopt: it is.
    std::optional<std::string> mount(const std::string& mount_point, std::size_t index,
                                     const std::vector<std::string>& options) {
        try {
            // Mount points may lie behind links; the kernel mounts on what they lead to.
            const MountedGuest so_far(mounted_);
            const std::optional<ResolvedPath> point = so_far.resolve(mount_point, FinalLink::follow);
            if (!point)
                return "its mount point does not exist";
            const std::shared_ptr<const FileSystem> opened = finder_.open_volume(index);
            add_mount(index, point->canonical, opened, find_tree(*opened, read_tree_options(options)));
            return std::nullopt;
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
                throw;
            finder_.note_refusal(index, error);
            return error.what();
        }
    }

    void mount_by_type(std::size_t root) {
        for (const TypedMount& typed :
             find_typed_mounts(result_.layout, fstab_and_further(result_), MountedGuest(mounted_))) {
            std::string reason = typed.reason;
            if (typed.volume) {
                const Volume& volume = result_.layout.volumes[*typed.volume];
                if (*typed.volume == root)
                    continue;
                const auto obstacle = find_reader(volume.signature) != nullptr
                                          ? mount(typed.mount_point, *typed.volume, {})
                                      : volume.signature ? kNotNative + volume.signature->type
                                                         : "there is no file system in it";
                if (!obstacle)
                    continue;
                reason = *obstacle;
            }
            result_.missing.push_back({typed.mount_point, typed.device, reason, MountNeed::required});
        }
    }

    OpenedGuest& result_;
    RootFinder finder_;
    std::vector<MountedFileSystem> mounted_;
    std::vector<std::size_t> mounted_volumes_; // beside mounted_
};

// What stays closed may hold the guest that was not found.
void tell_encrypted(OpenedGuest& result) {
    for (const Volume& volume : result.layout.volumes) {
        if (volume.containment == Containment::read || !volume.signature ||
            volume.signature->kind != ContentKind::encrypted)
            continue;
        const bool is_locked = volume.containment == Containment::locked;
        if (is_locked || volume.signature->type == "BitLocker")
            return tell_no_key(result, fmt::format("{} is encrypted, and {}", escape_untrusted(volume.name),
                                                   is_locked ? volume.locked_reason : "there is no key to it"));
    }
}

// Something on the disk is nothing that this process reads, and the guest needs it. What is encrypted stays so for the
// appliance, too, if there is no key: it is not started in vain.
bool needs_appliance(OpenedGuest& result, const std::vector<DiskKey>& keys, const std::set<std::size_t>& refused) {
    const auto could_help = [&](std::size_t index) {
        const Volume& volume = result.layout.volumes[index];
        // A medium of an installer and a journal are no guests.
        return volume.signature && volume.signature->kind != ContentKind::swap &&
               volume.containment == Containment::unread &&
               (find_reader(volume.signature) == nullptr || refused.contains(index)) &&
               !is_beyond_appliance(*volume.signature) && volume.signature->type != "iso9660" &&
               volume.signature->type != "jbd" && (volume.signature->kind != ContentKind::encrypted || !keys.empty());
    };
    if (result.guest) {
        for (const auto& [entry, index] : mount_entries(result))
            if (index && !has_option(entry, "noauto") && kind_of_entry(entry) == EntryKind::disk && could_help(*index))
                return true;
        const auto typed = find_typed_mounts(result.layout, fstab_and_further(result), *result.guest);
        return std::any_of(typed.begin(), typed.end(),
                           [&](const TypedMount& mount) { return mount.volume && could_help(*mount.volume); });
    }
    for (std::size_t i = 0; i < result.layout.volumes.size(); ++i)
        if (could_help(i))
            return true;
    return false;
}

// It will be changed, and lies where this process does not write: a thin volume, an array that is not whole. libguestfs
// finds its own names for these.
bool is_changed_by_appliance(const OpenedGuest& result, const GuestAccess& access) {
    if (!result.guest || !access.changes)
        return false;
    const std::vector<GuestMount> mounts = result.guest->mounts();
    return std::any_of(result.layout.volumes.begin(), result.layout.volumes.end(), [&](const Volume& volume) {
        return !volume.route && std::any_of(mounts.begin(), mounts.end(),
                                            [&](const GuestMount& mount) { return mount.volume == volume.name; });
    });
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
    for (const auto& [entry, volume] : mount_entries(result)) {
        const EntryKind kind = kind_of_entry(entry);
        if (is_automount(entry))
            missing.push_back(missing_automount(entry));
        else if (kind == EntryKind::elsewhere)
            missing.push_back(missing_elsewhere(entry));
        else if (kind == EntryKind::disk && !is_mounted(entry.mount_point))
            missing.push_back({entry.mount_point, entry.device, volume ? "libguestfs did not mount it" : kNoVolume,
                               need_of_entry(entry)});
    }
    for (const TypedMount& typed : find_typed_mounts(result.layout, fstab_and_further(result), guest))
        missing.push_back({typed.mount_point, typed.device,
                           typed.volume ? "libguestfs does not mount partitions by their types" : typed.reason,
                           MountNeed::required});
    return missing;
}

// "btrfsvol:/dev/sda2/root" is libguestfs' name of a sub-volume of /dev/sda2.
std::optional<std::size_t> root_volume(const DiskLayout& layout, const GuestMount& root) {
    std::string device = root.volume;
    constexpr std::string_view kSubvolume = "btrfsvol:";
    if (device.starts_with(kSubvolume)) {
        device.erase(0, kSubvolume.size());
        // A partition has two parts in its name, a logical volume three.
        for (std::size_t slash = device.find('/', 5); slash != std::string::npos; slash = device.find('/', slash + 1))
            if (const auto found = find_volume(layout, device.substr(0, slash)))
                return found;
    }
    if (const auto found = find_volume(layout, device))
        return found;
    for (std::size_t i = 0; i < layout.volumes.size(); ++i)
        if (layout.volumes[i].signature && !root.uuid.empty() && layout.volumes[i].signature->uuid == root.uuid)
            return i;
    return std::nullopt;
}

void open_by_appliance(OpenedGuest& result, const GuestAccess& access, const OperationContext& operation) {
    ApplianceGuest found = open_appliance(
        result.disk, access,
        [&](const std::vector<std::string>& roots) -> std::optional<std::size_t> {
            if (access.root.empty())
                return std::nullopt;
            const std::size_t wanted = find_wanted_root(result.layout, access.root);
            for (std::size_t i = 0; i < roots.size(); ++i)
                if (GuestMount mount{"/", roots[i], "", "", "", {}}; root_volume(result.layout, mount) == wanted)
                    return i;
            fail(ErrorKind::not_found, fmt::format("libguestfs finds no operating system on {}",
                                                   escape_untrusted(result.layout.volumes[wanted].name)));
        },
        operation);
    result.remarks.insert(result.remarks.end(), found.remarks.begin(), found.remarks.end());
    if (found.file_systems.empty()) {
        tell_no_key(result, "libguestfs finds no operating system that it can mount, and encrypted disks need a key");
        return;
    }
    result.appliance = std::move(found.session);
    result.backend = "libguestfs";
    result.windows = std::move(found.windows);
    result.reason.clear();
    result.reason_hint = {};
    result.fstab.clear();
    result.fstab_volumes.clear();
    result.further_mounts.clear();
    result.further_volumes.clear();
    const MountedGuest guest(found.file_systems);
    read_tables(guest, root_volume(result.layout, guest.mounts().front()), result);
    read_further_mounts(guest, result);
    result.missing = missing_of_appliance(result, guest);
    result.guest = std::make_unique<MountedGuest>(std::move(found.file_systems), result.missing);
}

} // namespace

GuestBackend parse_guest_backend(std::string_view text) {
    if (text == "auto")
        return GuestBackend::automatic;
    if (text == "native")
        return GuestBackend::native;
    if (text == "appliance")
        return GuestBackend::appliance;
    if (text == "libguestfs")
        return GuestBackend::libguestfs;
    fail(ErrorKind::usage, "'" + std::string(text) + "' is no guest backend: auto, native, appliance or libguestfs");
}

OpenedGuest open_guest(const std::shared_ptr<const BlockDevice>& disk, const GuestAccess& access,
                       const OperationContext& operation) {
    const GuestBackend backend = access.backend;
    OpenedGuest result;
    result.disk = disk;
    result.layout = examine_layout(disk, access.disk_sizes, access.keys);
    NativeOpener native(result, access, operation);
    if (backend != GuestBackend::libguestfs && !native.open())
        tell_encrypted(result);
    if (backend == GuestBackend::libguestfs) {
        open_by_appliance(result, access, operation);
    } else if (backend == GuestBackend::automatic &&
               (needs_appliance(result, access.keys, native.refused()) || is_changed_by_appliance(result, access))) {
        try {
            open_by_appliance(result, access, operation);
        } catch (const Error& error) {
            // What was read natively is still worth telling; a conversion refuses what is missing.
            if (error.kind() != ErrorKind::external)
                throw;
            result.remarks.push_back(error.what());
        }
    }
    if (!result.appliance) // whose names of devices are its own
        for (std::string& remark : describe_idle_keys(result.layout, access.keys))
            result.remarks.push_back(std::move(remark));
    if (!result.guest)
        if (std::string name = name_foreign_system(result.layout); !name.empty()) {
            result.reason = std::move(name);
            result.reason_hint = {}; // no key opens it
        }
    return result;
}

} // namespace vm2oci
