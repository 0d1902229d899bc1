#include "libconvert/guest/open_guest.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/guest/appliance.hpp"
#include "libconvert/guest/boot_roots.hpp"
#include "libconvert/guest/file_system_drivers.hpp"
#include "libconvert/guest/foreign_system.hpp"
#include "libconvert/guest/missing_mounts.hpp"
#include "libconvert/guest/mounted_guest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace vm2oci {
namespace {

constexpr std::size_t kFstabLimit = 256ull * 1024;
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

// fstab and crypttab, and which volumes they mean.
void read_tables(const Guest& guest, std::optional<std::size_t> root, OpenedGuest& result) {
    if (const std::optional<std::string> text = try_read_text(guest, "/etc/fstab", kFstabLimit))
        result.fstab = parse_fstab(*text);
    if (root) {
        // From far away every file has its price: what no entry asks for is not read.
        const auto asks = [&](auto&& predicate) {
            return std::any_of(result.fstab.begin(), result.fstab.end(), predicate);
        };
        std::vector<std::string> roots;
        if (asks([](const FstabEntry& entry) {
                const auto name = parse_disk_device(entry.device);
                return name && !is_named_by_order(name->disk);
            }))
            roots = read_boot_roots(guest, "/boot");
        std::string crypttab;
        if (asks([](const FstabEntry& entry) { return !mapper_device(entry.device).empty(); }))
            crypttab = try_read_text(guest, "/etc/crypttab", kFstabLimit).value_or("");
        learn_guest_disks(result.layout, *root, result.fstab, roots, parse_crypttab(crypttab));
    }
    for (const FstabEntry& entry : result.fstab)
        result.fstab_volumes.push_back(find_volume(result.layout, entry.device));
}

constexpr unsigned kLikelyRoot = 4; // of root_likeness()

struct Candidate {
    std::size_t volume;
    std::shared_ptr<const FileSystem> file_system;
    unsigned likeness;
};

// Error{usage}: the disk has none that `wanted` names.
std::size_t find_wanted_root(const DiskLayout& layout, const std::string& wanted) {
    const bool is_number = wanted.find_first_not_of("0123456789") == std::string::npos;
    for (std::size_t i = 0; i < layout.volumes.size(); ++i) {
        const Volume& volume = layout.volumes[i];
        const Partition* partition = partition_of(layout, volume);
        if (is_number ? partition != nullptr && std::to_string(partition->number) == wanted
                      : volume.logical_volume == wanted)
            return i;
    }
    if (const auto found = find_volume(layout, wanted))
        return *found;
    fail(ErrorKind::usage,
         fmt::format("the root is said to be {}, and there is no such partition or logical volume",
                     quote_untrusted(wanted)),
         HintKind::root);
}

void tell_no_key(OpenedGuest& result, std::string reason) {
    result.reason = std::move(reason);
    result.reason_hint = HintKind::key;
}

class NativeOpener {
  public:
    NativeOpener(OpenedGuest& result, const GuestAccess& access, const OperationContext& operation)
        : result_(result), access_(access), operation_(operation) {}

    // Volumes, by index, that are sound and have something that their reader here does not read: a realtime device of
    // xfs, a log that only the kernel finishes.
    const std::set<std::size_t>& refused() const { return refused_; }

    // False: the root is not readable natively; `reason` says why.
    bool open() {
        std::optional<Candidate> root = find_root();
        if (!root)
            return false;
        const Volume& volume = result_.layout.volumes[root->volume];
        mounted_.push_back({describe_mount(volume, "/", *root->file_system), root->file_system});
        read_fstab(root->volume);
        mount_fstab(root->volume);
        mount_by_type(root->volume);
        result_.guest = std::make_unique<MountedGuest>(std::move(mounted_), result_.missing);
        result_.backend = "native";
        return true;
    }

  private:
    std::optional<Candidate> find_root() {
        std::optional<std::size_t> wanted;
        if (!access_.root.empty())
            wanted = find_wanted_root(result_.layout, access_.root);
        std::vector<Candidate> candidates;
        for (std::size_t i = 0; i < result_.layout.volumes.size(); ++i) {
            operation_.check_cancelled();
            const Volume& volume = result_.layout.volumes[i];
            const FileSystemDriver* reader = find_reader(volume.signature);
            if (reader == nullptr || reader->role != FileSystemRole::system || (wanted && *wanted != i))
                continue;
            try {
                std::shared_ptr<const FileSystem> opened = reader->open(volume.device);
                const MountedGuest alone({{describe_mount(volume, "/", *opened), opened}});
                if (const unsigned likeness = root_likeness(alone); likeness > 0)
                    candidates.push_back({i, std::move(opened), likeness});
            } catch (const Error& error) {
                if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
                    throw;
                note_refusal(i, error);
                result_.remarks.push_back(fmt::format("{}: {}", escape_untrusted(volume.name), error.what()));
            }
        }
        if (candidates.empty()) {
            result_.reason = "no file system that could be read looks like the root of a guest";
            return std::nullopt;
        }
        std::stable_sort(candidates.begin(), candidates.end(),
                         [](const Candidate& a, const Candidate& b) { return a.likeness > b.likeness; });
        const auto end_of_roots = std::find_if(candidates.begin(), candidates.end(),
                                               [](const Candidate& each) { return each.likeness < kLikelyRoot; });
        if (end_of_roots - candidates.begin() < 2)
            return std::move(candidates.front());
        candidates.erase(end_of_roots, candidates.end());
        return choose_root(std::move(candidates));
    }

    // Of several roots the one that the boot loader starts. That of a file system for /boot speaks for all of them;
    // one inside of a root speaks for itself, and counts if it names another one or no other contradicts.
    Candidate choose_root(std::vector<Candidate> candidates) {
        std::set<std::size_t> apart;
        std::set<std::size_t> within;
        for (std::size_t i = 0; i < result_.layout.volumes.size(); ++i)
            for (const std::string& folder : {std::string(), std::string("/boot")})
                if (const auto chosen = root_of_boot_loader(i, folder, candidates))
                    (folder.empty() ? apart : within).insert(*chosen);
        const std::set<std::size_t>& said = apart.empty() ? within : apart;
        const std::size_t taken = said.size() == 1 ? *said.begin() : 0;
        result_.remarks.push_back(
            fmt::format("{} file systems look like roots; {} was taken, {}; which one it is can be said",
                        candidates.size(), escape_untrusted(result_.layout.volumes[candidates[taken].volume].name),
                        said.size() == 1 ? "which the boot loader starts"
                        : said.empty()   ? "and no boot loader that could be read names one of them"
                                         : "and the boot loaders on this disk name different ones"));
        return std::move(candidates[taken]);
    }

    // The index of the candidate that the configuration in `folder` of a volume starts by default.
    std::optional<std::size_t> root_of_boot_loader(std::size_t index, const std::string& folder,
                                                   const std::vector<Candidate>& candidates) const {
        const Volume& volume = result_.layout.volumes[index];
        const FileSystemDriver* reader = find_reader(volume.signature);
        if (reader == nullptr)
            return std::nullopt;
        try {
            std::shared_ptr<const FileSystem> opened = reader->open(volume.device);
            const MountedGuest alone({{describe_mount(volume, "/", *opened), opened}});
            for (const std::string& root : read_boot_roots(alone, folder)) {
                DiskLayout layout = result_.layout;
                // With two roots nobody knows yet how the guest calls its disk; a partition's number will do.
                if (const auto name = parse_disk_device(root))
                    layout.guest_disks.own.push_back(name->disk);
                const auto named = find_volume(layout, root);
                for (std::size_t i = 0; i < candidates.size(); ++i)
                    if (named == candidates[i].volume)
                        return i;
            }
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
                throw;
        }
        return std::nullopt;
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
        if (find_reader(volume.signature) == nullptr) {
            if (!volume.signature)
                return miss(entry, "there is no file system in it");
            if (volume.containment == Containment::locked)
                return miss(entry, "it is encrypted: " + volume.locked_reason, MissingRemedy::key);
            return miss(entry, kNotNative + volume.signature->type,
                        volume.signature->kind == ContentKind::encrypted ? MissingRemedy::key
                                                                         : MissingRemedy::appliance);
        }
        if (const auto obstacle = mount(entry.mount_point, *index))
            miss(entry, *obstacle, MissingRemedy::appliance);
    }

    // Why it is not mounted; nullopt: it is.
    std::optional<std::string> mount(const std::string& mount_point, std::size_t index) {
        const Volume& volume = result_.layout.volumes[index];
        try {
            // Mount points may lie behind links; the kernel mounts on what they lead to.
            const MountedGuest so_far(mounted_);
            const std::optional<ResolvedPath> point = so_far.resolve(mount_point, FinalLink::follow);
            if (!point)
                return "its mount point does not exist";
            std::shared_ptr<const FileSystem> opened = find_reader(volume.signature)->open(volume.device);
            mounted_.push_back({describe_mount(volume, point->canonical, *opened), std::move(opened)});
            return std::nullopt;
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
                throw;
            note_refusal(index, error);
            return error.what();
        }
    }

    // Of what is changed in this process the reader here refuses only what the appliance refuses as well.
    void note_refusal(std::size_t index, const Error& error) {
        const FileSystemDriver* reader = find_reader(result_.layout.volumes[index].signature);
        if (error.kind() == ErrorKind::unsupported && reader != nullptr && reader->edit == nullptr)
            refused_.insert(index);
    }

    void mount_by_type(std::size_t root) {
        for (const TypedMount& typed : find_typed_mounts(result_.layout, result_.fstab, MountedGuest(mounted_))) {
            std::string reason = typed.reason;
            if (typed.volume) {
                const Volume& volume = result_.layout.volumes[*typed.volume];
                if (*typed.volume == root)
                    continue;
                const auto obstacle = find_reader(volume.signature) != nullptr ? mount(typed.mount_point, *typed.volume)
                                                                               : kNotNative + volume.signature->type;
                if (!obstacle)
                    continue;
                reason = *obstacle;
            }
            result_.missing.push_back({typed.mount_point, typed.device, reason, MountNeed::required});
        }
    }

    OpenedGuest& result_;
    const GuestAccess& access_;
    const OperationContext& operation_;
    std::vector<MountedFileSystem> mounted_;
    std::set<std::size_t> refused_;
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
        for (std::size_t i = 0; i < result.fstab.size(); ++i)
            if (const auto& index = result.fstab_volumes[i]; index && !has_option(result.fstab[i], "noauto") &&
                                                             kind_of_entry(result.fstab[i]) == EntryKind::disk &&
                                                             could_help(*index))
                return true;
        const auto typed = find_typed_mounts(result.layout, result.fstab, *result.guest);
        return std::any_of(typed.begin(), typed.end(),
                           [&](const TypedMount& mount) { return mount.volume && could_help(*mount.volume); });
    }
    for (std::size_t i = 0; i < result.layout.volumes.size(); ++i)
        if (could_help(i))
            return true;
    return false;
}

// It will be changed, and lies where this process does not write: an array, what LUKS encrypts. The appliance finds its
// own names for these.
bool is_changed_by_appliance(const OpenedGuest& result, const GuestAccess& access) {
    if (!result.guest || !access.changes)
        return false;
    const std::vector<GuestMount> mounts = result.guest->mounts();
    return std::any_of(result.layout.volumes.begin(), result.layout.volumes.end(), [&](const Volume& volume) {
        return volume.segments.empty() && std::any_of(mounts.begin(), mounts.end(), [&](const GuestMount& mount) {
                   return mount.volume == volume.name;
               });
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
    const MountedGuest guest(found.file_systems);
    read_tables(guest, root_volume(result.layout, guest.mounts().front()), result);
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
    if (!result.guest)
        if (std::string name = name_foreign_system(result.layout); !name.empty())
            result.reason = std::move(name);
    return result;
}

} // namespace vm2oci
