// The root file system of a guest as a disk of its own, without partitions, logical volumes or a boot loader around it.
#pragma once

#include "formats/block/overlay.hpp"
#include "libconvert/guest/open_guest.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// The new file system is given as much room as the old ones had, and never less than this.
inline constexpr std::uint64_t kSmallestJoinedRoot = 64ull * 1024 * 1024;

enum class RootShape {
    slice,  // the guest's own file system, out of its partition or logical volume
    joined, // a new ext4 with the files of several, or of several subvolumes of one
};

enum class BundleRootKind {
    disk,  // the file system that the guest has, or a joined one, on a disk that is written to
    erofs, // all files in a read-only file system; what the guest writes is kept in memory, over it
};

struct RootDisk {
    std::shared_ptr<OverlayDevice> device; // one file system and nothing else; changes go into the overlay
    RootShape shape = RootShape::slice;
    std::string type;                      // "ext4", "xfs", …
    std::string uuid;                      // the guest's own, also of a new file system
    std::string origin;                    // for people: "partition 1", "logical volume vg0/root", "/, /boot, /var"
    std::vector<std::size_t> volumes;      // of the guest's disk that are part of it: indices into the layout
    std::vector<std::string> left_out;     // mount points that are not part of it (EFI system partitions)
    std::vector<std::string> remarks;      // what else of the guest is not part of it; for people; escaped
    std::uint64_t attributes_left_out = 0; // joined: extended attributes that ext4 does not store
};

struct RootDiskOptions {
    std::optional<std::uint64_t> size; // of a new file system
    std::int64_t time = 0;             // seconds since 1970 that a new file system bears
};

// Slices where the root is one file system and joins where fstab adds others to it, or subvolumes of the same, which
// are not changed in this process: with as much room as they take, however compressed they were. An EFI system
// partition is left out: nothing starts from it any more. Error{unsupported} without a guest, or if a part of the tree
// cannot be read; Error{limit} if the files do not fit into `size`.
RootDisk make_root_disk(const OpenedGuest& opened, const RootDiskOptions& options, const OperationContext& operation);

// The files of a guest in a new file system.
struct RootFiles {
    std::shared_ptr<const BlockDevice> device; // the file system, to its last block
    std::uint64_t attributes_left_out = 0;     // extended attributes that it does not store
};

// All files of a guest whose root stands alone. UUID and label are those of the guest's root.
RootFiles make_erofs_root(const Guest& guest, const ExportOptions& left_out, std::int64_t time,
                          const OperationContext& operation);
// The same in an ext4 of `size` bytes. Error{limit} if they do not fit.
RootFiles make_ext4_root(const Guest& guest, const ExportOptions& left_out, std::uint64_t size, std::int64_t time,
                         const OperationContext& operation);
// The same in the first of `size`, twice that, four times … into which they fit: what files take depends on the size
// of blocks, on data inside inodes and on compression, and the guest's file systems count only their own.
RootFiles make_fitting_ext4_root(const Guest& guest, const ExportOptions& left_out, std::uint64_t size,
                                 std::int64_t time, const OperationContext& operation);

} // namespace vm2oci
