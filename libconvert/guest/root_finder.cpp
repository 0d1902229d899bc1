#include "libconvert/guest/root_finder.hpp"

#include "formats/base/escape.hpp"
#include "libconvert/guest/file_system_drivers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace vm2oci {
namespace {

constexpr unsigned kLikelyRoot = 4; // of root_likeness()
// Subvolumes that are no snapshots; docker and machinectl make one for each container.
constexpr std::size_t kMaxTreesLookedAt = 64;

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

// The default tree, and those of the others that are no snapshots.
std::vector<MountedTree> trees_of(const FileSystem& file_system) {
    std::vector<MountedTree> trees{find_tree(file_system, {})};
    for (SubvolumeFacts& subvolume : file_system.subvolumes())
        if (subvolume.root != trees.front().top && subvolume.origin == SubvolumeFacts::Origin::created &&
            !is_kept_snapshot(subvolume) && trees.size() < kMaxTreesLookedAt)
            trees.push_back({subvolume.root, std::move(subvolume.path)});
    return trees;
}

} // namespace

GuestMount describe_mount(const Volume& volume, std::string mount_point, const FileSystem& file_system) {
    return {std::move(mount_point),  volume.name,        volume.signature->type, volume.signature->uuid,
            volume.signature->label, file_system.usage()};
}

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

std::optional<RootCandidate> RootFinder::find() {
    std::optional<std::size_t> wanted;
    if (!access_.root.empty())
        wanted = find_wanted_root(result_.layout, access_.root);
    std::vector<RootCandidate> candidates;
    for (std::size_t i = 0; i < result_.layout.volumes.size(); ++i) {
        operation_.check_cancelled();
        const Volume& volume = result_.layout.volumes[i];
        const FileSystemDriver* reader = find_reader(volume.signature);
        if (reader == nullptr || reader->role != FileSystemRole::system || (wanted && *wanted != i))
            continue;
        try {
            if (std::optional<RootCandidate> found = find_tree_of_root(i))
                candidates.push_back(std::move(*found));
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
                     [](const RootCandidate& a, const RootCandidate& b) { return a.likeness > b.likeness; });
    const auto end_of_roots = std::find_if(candidates.begin(), candidates.end(),
                                           [](const RootCandidate& each) { return each.likeness < kLikelyRoot; });
    if (end_of_roots - candidates.begin() < 2)
        return std::move(candidates.front());
    candidates.erase(end_of_roots, candidates.end());
    return choose_root(std::move(candidates));
}

// Of several roots the one that the boot loader starts. That of a file system for /boot speaks for all of them;
// one inside of a root speaks for itself, and counts if it names another one or no other contradicts.
RootCandidate RootFinder::choose_root(std::vector<RootCandidate> candidates) {
    std::set<std::size_t> apart;
    std::set<std::size_t> within;
    for (std::size_t i = 0; i < result_.layout.volumes.size(); ++i)
        for (const std::string& folder : {std::string(), std::string("/boot")})
            if (const auto chosen = root_of_boot_loader(i, folder, candidates))
                (folder.empty() ? apart : within).insert(*chosen);
    const std::set<std::size_t>& said = apart.empty() ? within : apart;
    const std::size_t taken = said.size() == 1 ? *said.begin() : 0;
    result_.remarks.push_back(
        fmt::format("{} file systems look like roots; {} was taken, {}; which one it is can be said", candidates.size(),
                    escape_untrusted(result_.layout.volumes[candidates[taken].volume].name),
                    said.size() == 1 ? "which the boot loader starts"
                    : said.empty()   ? "and no boot loader that could be read names one of them"
                                     : "and the boot loaders on this disk name different ones"));
    return std::move(candidates[taken]);
}

// The index of the candidate that the configuration in `folder` of a volume starts by default.
std::optional<std::size_t> RootFinder::root_of_boot_loader(std::size_t index, const std::string& folder,
                                                           const std::vector<RootCandidate>& candidates) {
    for (const BootRoot& boot : boot_roots_of(index, folder)) {
        const auto named = volume_of(boot);
        for (std::size_t i = 0; i < candidates.size(); ++i)
            if (named == candidates[i].volume)
                return i;
    }
    return std::nullopt;
}

std::optional<std::size_t> RootFinder::volume_of(const BootRoot& boot) const {
    DiskLayout layout = result_.layout;
    // With two roots nobody knows yet how the guest calls its disk; a partition's number will do.
    if (const auto name = parse_disk_device(boot.root))
        layout.guest_disks.own.push_back(name->disk);
    return find_volume(layout, boot.root);
}

const std::shared_ptr<const FileSystem>& RootFinder::open_volume(std::size_t index) {
    std::shared_ptr<const FileSystem>& opened = opened_[index];
    if (!opened) {
        const Volume& volume = result_.layout.volumes[index];
        opened = find_reader(volume.signature)->open(volume.device);
    }
    return opened;
}

MountedGuest RootFinder::alone(std::size_t index, const std::shared_ptr<const FileSystem>& opened, NodeId top) const {
    return MountedGuest({{describe_mount(result_.layout.volumes[index], "/", *opened), opened, top}});
}

std::vector<BootRoot> RootFinder::boot_roots_of(std::size_t index, const std::string& folder) {
    std::vector<BootRoot> found;
    if (find_reader(result_.layout.volumes[index].signature) == nullptr)
        return found;
    try {
        const auto opened = open_volume(index);
        for (const MountedTree& tree : trees_of(*opened)) {
            std::vector<BootRoot> more = read_boot_roots(alone(index, opened, tree.top), folder);
            found.insert(found.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
        }
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
            throw;
    }
    return found;
}

// What the boot loader says of the root on this volume; nullopt: none that could be read starts one there. That of
// a file system for /boot comes first.
std::optional<std::string> RootFinder::boot_flags(std::size_t index) {
    for (const std::string& folder : {std::string(), std::string("/boot")})
        for (std::size_t i = 0; i < result_.layout.volumes.size(); ++i)
            for (const BootRoot& boot : boot_roots_of(i, folder))
                if (volume_of(boot) == index)
                    return boot.flags;
    return std::nullopt;
}

// Of a file system with several trees the one that the guest has as its root: what the boot loader names, else the
// default one, else the one that calls itself so in its fstab, else the first that looks like a root.
std::optional<RootCandidate> RootFinder::find_tree_of_root(std::size_t index) {
    const std::shared_ptr<const FileSystem> opened = open_volume(index);
    const auto candidate = [&](const MountedTree& tree) {
        return RootCandidate{index, opened, tree, root_likeness(alone(index, opened, tree.top))};
    };
    if (has_trees(*opened)) {
        if (auto named = tree_of_boot_loader(index, *opened))
            if (RootCandidate found = candidate(*named); found.likeness > 0)
                return found;
        std::vector<RootCandidate> likely;
        for (const MountedTree& tree : trees_of(*opened)) {
            operation_.check_cancelled();
            RootCandidate found = candidate(tree);
            if (found.likeness < kLikelyRoot)
                continue;
            if (likely.empty() && found.tree.top == opened->root())
                return found;
            likely.push_back(std::move(found));
        }
        if (!likely.empty())
            return choose_tree(std::move(likely));
    }
    RootCandidate found = candidate(find_tree(*opened, {}));
    return found.likeness > 0 ? std::optional(std::move(found)) : std::nullopt;
}

std::optional<MountedTree> RootFinder::tree_of_boot_loader(std::size_t index, const FileSystem& opened) {
    const std::optional<std::string> flags = boot_flags(index);
    if (!flags)
        return std::nullopt;
    try {
        return find_tree(opened, read_tree_options(*flags));
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found)
            throw;
        result_.remarks.push_back(fmt::format("{}: the boot loader's rootflags: {}",
                                              escape_untrusted(result_.layout.volumes[index].name), error.what()));
        return std::nullopt;
    }
}

RootCandidate RootFinder::choose_tree(std::vector<RootCandidate> likely) {
    const auto calls_itself_root = [&](const RootCandidate& each) {
        const MountedGuest files = alone(each.volume, each.file_system, each.tree.top);
        const std::vector<FstabEntry> entries =
            parse_fstab(try_read_text(files, "/etc/fstab", kFstabLimit).value_or(""));
        return std::any_of(entries.begin(), entries.end(), [&](const FstabEntry& entry) {
            try {
                return entry.mount_point == "/" &&
                       find_tree(*each.file_system, read_tree_options(entry.options)).top == each.tree.top;
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::not_found)
                    throw;
                return false;
            }
        });
    };
    if (likely.size() == 1)
        return std::move(likely.front());
    const auto named = std::find_if(likely.begin(), likely.end(), calls_itself_root);
    RootCandidate& taken = named == likely.end() ? likely.front() : *named;
    result_.remarks.push_back(fmt::format("{} subvolumes of {} look like roots; {} was taken, {}", likely.size(),
                                          escape_untrusted(result_.layout.volumes[taken.volume].name),
                                          quote_untrusted(taken.tree.path),
                                          named == likely.end() ? "the first" : "whose fstab says so"));
    return std::move(taken);
}

void RootFinder::note_refusal(std::size_t index, const Error& error) {
    const FileSystemDriver* reader = find_reader(result_.layout.volumes[index].signature);
    if (error.kind() == ErrorKind::unsupported && reader != nullptr && reader->edit == nullptr)
        refused_.insert(index);
}

} // namespace vm2oci
