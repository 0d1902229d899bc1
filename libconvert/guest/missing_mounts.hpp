// Which entries of fstab, and which partitions by their type, a guest needs in their places.
#pragma once

#include "libconvert/guest/fstab.hpp"
#include "libconvert/guest/guest.hpp"
#include "libconvert/guest/volumes.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

enum class EntryKind {
    disk,      // a file system on a disk
    elsewhere, // of a server or of the host, or a place of the tree shown a second time: never among our volumes
    none,      // nothing that holds files of the guest: kernel's, in memory, swap, removable media, the root itself
};
EntryKind kind_of_entry(const FstabEntry& entry);

// optional: the guest boots without it, or reaches it only over a network or from its host.
MountNeed need_of_entry(const FstabEntry& entry);

// The folder that a bind mount shows a second time, from boot on; empty: it is none.
std::string bound_folder(const FstabEntry& entry);

// A partition that systemd mounts without an entry in fstab, because of its type (Discoverable Partitions), or that an
// image of CoreOS' kind mounts.
struct TypedMount {
    std::string mount_point;           // "/usr"
    std::optional<std::size_t> volume; // none: it cannot be told which, or whether
    std::string device;                // for people: "partition 3"
    std::string reason;                // without a volume: why
};

// What `guest`, made of its root and what fstab mounts, lacks: only for empty folders that no entry names, and not for
// partitions with the flag "no-auto". systemd-gpt-auto-generator(8).
std::vector<TypedMount> find_typed_mounts(const DiskLayout& layout, const std::vector<FstabEntry>& fstab,
                                          const Guest& guest);

} // namespace vm2oci
