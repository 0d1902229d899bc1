#include "formats/btrfs/log_replay.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/btrfs/changed_tree.hpp"
#include "formats/btrfs/inode.hpp"
#include "formats/btrfs/logged_extents.hpp"
#include "formats/btrfs/objects.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace vm2oci::btrfs {
namespace {

constexpr std::uint64_t kWholeFolder = UINT64_MAX;

// The log of one subvolume, carried out in the order of the kernel: inodes with what they lost, names in folders, and
// all else.
class SubvolumeReplay {
  public:
    SubvolumeReplay(const Volume& volume, const TreeRoot& log, const TreeRoot& subvolume, ItemChanges& changes)
        : volume_(volume), log_(log), tree_(volume, subvolume, changes) {}

    void run() {
        each_item([&](const Key& key, std::span<const std::byte> item) {
            if (key.type == item::inode)
                replay_inode(key, item);
        });
        each_item([&](const Key& key, std::span<const std::byte> item) {
            if (key.type == item::position)
                replay_entry(key, item);
        });
        each_item([&](const Key& key, std::span<const std::byte> item) {
            if (key.type == item::attribute)
                tree_.put(key, {item.begin(), item.end()});
            else if (key.type == item::inode_name || key.type == item::inode_name_extended)
                replay_inode_names(key, item);
            else if (key.type == item::file_extent)
                replay_extent(key, item);
        });
        fix_link_counts();
    }

  private:
    // Items of files. Those without a name, which were never linked, are passed over.
    void each_item(const std::function<void(const Key&, std::span<const std::byte>)>& visit) {
        std::optional<std::uint64_t> ignored;
        for (Cursor at(volume_, log_, {}); !at.is_at_end() && at.key().object < object::last_free; at.next()) {
            if (at.key().type == item::inode && parse_inode(at.key().object, at.data()).status.link_count == 0)
                ignored = at.key().object;
            if (ignored != at.key().object)
                visit(at.key(), at.data());
        }
    }

    void replay_inode(const Key& key, std::span<const std::byte> item) {
        const Inode logged = parse_inode(key.object, item);
        const bool is_folder = logged.status.type == FileType::directory;
        drop_attributes(key.object);
        if (is_folder)
            delete_entries(key.object);
        const auto stored = tree_.find(key);
        std::vector<std::byte> made(item.begin(), item.end());
        // Without a generation it says that the inode is there, and not more than a size.
        if (stored && load_le<std::uint64_t>(item.data()) == 0) {
            made = *stored;
            const Inode before = parse_inode(key.object, made);
            if (logged.status.type == FileType::regular && before.status.type == FileType::regular &&
                logged.status.size != 0)
                std::copy_n(item.begin() + 16, 8, made.begin() + 16);
        }
        const Inode result = parse_inode(key.object, made);
        tree_.put(key, std::move(made));
        if (result.status.type == FileType::regular)
            drop_extents(tree_, key.object, align_up(result.status.size, kSectorSize), UINT64_MAX);
        touched_.insert(key.object);
    }

    // The log has all that the inode has.
    void drop_attributes(std::uint64_t inode) {
        std::vector<Key> keys;
        for (Cursor at = tree_.from({inode, item::attribute, 0}); at.is_at(inode, item::attribute); at.next())
            keys.push_back(at.key());
        for (const Key& key : keys)
            tree_.erase(key);
    }

    bool log_has_position(std::uint64_t folder, std::uint64_t position) const {
        return find_item(volume_, log_, {folder, item::position, position}).has_value();
    }

    // Of the positions that the log knows all of, what it does not have is gone.
    void delete_entries(std::uint64_t folder) {
        if (!tree_.has_inode(folder))
            return;
        for (Cursor at(volume_, log_, {folder, item::log_of_positions, 0}); at.is_at(folder, item::log_of_positions);
             at.next()) {
            if (at.data().size() != 8)
                fail(ErrorKind::corrupt, "the log of the btrfs file system is damaged");
            delete_entries(folder, at.key().offset, load_le<std::uint64_t>(at.data().data()));
        }
    }

    void delete_entries(std::uint64_t folder, std::uint64_t first, std::uint64_t last) {
        std::vector<NamedItem> gone;
        for (Cursor at = tree_.from({folder, item::position, first});
             at.is_at(folder, item::position) && at.key().offset <= last; at.next()) {
            if (last != kWholeFolder || !removed_.contains(folder))
                if (log_has_position(folder, at.key().offset))
                    continue;
            for (NamedItem& entry : read_named_items(at.data()))
                gone.push_back(std::move(entry));
        }
        for (const NamedItem& entry : gone)
            drop_entry(folder, entry);
    }

    void drop_entry(std::uint64_t folder, const NamedItem& entry) {
        if (entry.location.type != item::inode)
            fail(ErrorKind::unsupported, "the log of the btrfs file system removes or replaces a subvolume, which only "
                                         "the kernel carries out");
        tree_.unlink(folder, entry.location.object, entry.name);
    }

    bool log_has_name(std::uint64_t inode, std::uint64_t folder, std::string_view name) const {
        for (const Key& key : {Key{inode, item::inode_name, folder},
                               Key{inode, item::inode_name_extended, hash_of_inode_name(folder, name)}})
            if (const auto item = find_item(volume_, log_, key))
                for (const InodeName& each : read_inode_names(key, *item))
                    if (each.folder == folder && each.name == name)
                        return true;
        return false;
    }

    std::optional<NamedItem> entry_at(std::uint64_t folder, std::uint64_t position, std::string_view name) const {
        auto found = tree_.entry_at(folder, position);
        return found && found->name == name ? std::move(found) : std::nullopt;
    }

    // True: it is what the log has. Else it makes way, unless what the log has is not there.
    bool make_way(std::uint64_t folder, const std::optional<NamedItem>& stored, const NamedItem& logged, bool exists) {
        if (!stored)
            return false;
        if (stored->location == logged.location)
            return true;
        if (exists)
            drop_entry(folder, *stored);
        return false;
    }

    void replay_entry(const Key& key, std::span<const std::byte> item) {
        const std::vector<NamedItem> entries = read_named_items(item);
        if (entries.size() != 1)
            fail(ErrorKind::corrupt, "the log of the btrfs file system has a damaged entry of a folder");
        const NamedItem& entry = entries.front();
        // A subvolume is made and removed by transactions.
        if (entry.location.type != item::inode || !tree_.has_inode(key.object))
            return;
        const bool exists = tree_.has_inode(entry.location.object);
        const bool has_name = make_way(key.object, tree_.entry(key.object, entry.name), entry, exists);
        const bool has_position = make_way(key.object, entry_at(key.object, key.offset, entry.name), entry, exists);
        // What the log's inode has as a name is added with it.
        if ((has_name && has_position) || !exists || log_has_name(entry.location.object, key.object, entry.name) ||
            tree_.entry(key.object, entry.name) || tree_.entry_at(key.object, key.offset))
            return;
        tree_.add_entry(key.object, key.offset, entry.name, entry.location.object);
        tree_.add_inode_name(entry.location.object, {key.object, key.offset, entry.name});
        touched_.insert(entry.location.object);
    }

    void replay_inode_names(const Key& key, std::span<const std::byte> item) {
        const std::vector<InodeName> names = read_inode_names(key, item);
        if (!tree_.has_inode(key.object))
            fail(ErrorKind::corrupt, "the log of the btrfs file system names an inode that is not there");
        for (const InodeName& name : names) {
            // Not all folders above are logged: what is not there gets no name.
            if (!tree_.has_inode(name.folder))
                return;
            const auto by_name = tree_.entry(name.folder, name.name);
            const auto by_position = tree_.entry_at(name.folder, name.position);
            if (by_name && by_position && by_name->location.object == key.object && by_position->name == name.name &&
                by_position->location.object == key.object)
                continue;
            // The folder that a subvolume begins with names itself.
            if (key.object == name.folder)
                return;
            drop_names_not_logged(key.object, name.folder);
            if (const auto stored = entry_at(name.folder, name.position, name.name))
                drop_entry(name.folder, *stored);
            if (const auto stored = tree_.entry(name.folder, name.name))
                drop_entry(name.folder, *stored);
            tree_.add_entry(name.folder, name.position, name.name, key.object);
        }
        // What the item on the disk has and the log's has not.
        if (const auto stored = tree_.find(key))
            for (const InodeName& before : read_inode_names(key, *stored))
                if (std::none_of(names.begin(), names.end(), [&](const InodeName& name) {
                        return name.folder == before.folder && name.name == before.name;
                    }))
                    tree_.unlink(before.folder, key.object, before.name);
        tree_.put(key, {item.begin(), item.end()});
        touched_.insert(key.object);
    }

    void drop_names_not_logged(std::uint64_t inode, std::uint64_t folder) {
        if (!checked_.insert({inode, folder}).second)
            return;
        for (const InodeName& stored : tree_.names_of(inode))
            if (stored.folder == folder && !log_has_name(inode, folder, stored.name))
                tree_.unlink(folder, inode, stored.name);
    }

    void replay_extent(const Key& key, std::span<const std::byte> item) {
        if (!tree_.has_inode(key.object))
            fail(ErrorKind::corrupt, "the log of the btrfs file system has content of an inode that is not there");
        lay_extent(tree_, key, item);
    }

    // As many as there are names. What has none left is gone; of a folder all that was in it.
    void fix_link_counts() {
        std::set<std::uint64_t> pending = touched_;
        pending.insert(tree_.unlinked().begin(), tree_.unlinked().end());
        while (!pending.empty()) {
            const std::uint64_t inode = *pending.begin();
            pending.erase(pending.begin());
            const Key key{inode, item::inode, 0};
            auto item = tree_.find(key);
            if (!item || inode == object::first_free)
                continue;
            const std::size_t names = tree_.names_of(inode).size();
            const bool is_folder = parse_inode(inode, *item).status.type == FileType::directory;
            if (names == 0 && is_folder && removed_.insert(inode).second) {
                std::vector<std::uint64_t> inside;
                for (Cursor at = tree_.from({inode, item::position, 0}); at.is_at(inode, item::position); at.next())
                    for (const NamedItem& entry : read_named_items(at.data()))
                        inside.push_back(entry.location.object);
                delete_entries(inode, 0, kWholeFolder);
                pending.insert(inside.begin(), inside.end());
            }
            if (!is_folder)
                store_le(item->data() + 40, static_cast<std::uint32_t>(names));
            tree_.put(key, std::move(*item));
        }
    }

    const Volume& volume_;
    TreeRoot log_;
    ChangedTree tree_;
    std::set<std::uint64_t> touched_;
    std::set<std::uint64_t> removed_;                           // folders without a name
    std::set<std::pair<std::uint64_t, std::uint64_t>> checked_; // inodes and folders whose names were compared
};

void add_sums(const Volume& volume, const TreeRoot& log, LoggedSums& sums) {
    const std::size_t size = checksum_size(volume.geometry().checksum);
    for (Cursor at(volume, log, {object::checksums, item::checksums, 0}); at.is_at(object::checksums, item::checksums);
         at.next())
        for (std::size_t i = 0; i < at.data().size() / size; ++i) {
            Checksum sum{};
            std::copy_n(at.data().begin() + static_cast<std::ptrdiff_t>(i * size), size, sum.begin());
            sums[checked_add(at.key().offset, i * kSectorSize, "a checksum's address")] = sum;
            if (sums.size() > kMaxLoggedSums)
                fail(ErrorKind::limit, "the log of the btrfs file system has more checksums than any real one");
        }
}

} // namespace

ReplayedLog replay_log(const Volume& volume, const Subvolumes& subvolumes) {
    const Geometry& geometry = volume.geometry();
    const TreeRoot logs{object::log, geometry.log_root, geometry.log_root_level, geometry.generation + 1};
    ReplayedLog replayed;
    for (Cursor at(volume, logs, {object::log, item::root, 0}); at.is_at(object::log, item::root); at.next()) {
        const TreeRoot log = read_root_item(object::log, at.data());
        // That of a subvolume that was removed is nobody's.
        const Subvolume* subvolume = subvolumes.find(at.key().offset);
        if (subvolume == nullptr)
            continue;
        add_sums(volume, log, replayed.sums);
        SubvolumeReplay(volume, log, subvolume->root, replayed.changes[subvolume->number]).run();
    }
    return replayed;
}

} // namespace vm2oci::btrfs
