// Inside of the room: the names in a folder, in each of its forms. The blocks with names are walked; those that index
// them by hash are not needed. Source of the format: the Linux kernel, fs/xfs/libxfs/xfs_da_format.h.
#pragma once

#include "formats/base/size.hpp"
#include "formats/tree/file_system.hpp"
#include "formats/xfs/extents.hpp"

#include <vector>

namespace vm2oci::xfs {

inline constexpr std::uint64_t kMaxFolderBytes = 1 * GiB;
// In memory: two million names of 40 bytes.
inline constexpr std::uint64_t kMaxFolderMemory = 160 * MiB;

// In byte order, without "." and "..". Error: corrupt, limit.
std::vector<DirectoryEntry> read_folder(const Volume& volume, const Inode& inode);

} // namespace vm2oci::xfs
