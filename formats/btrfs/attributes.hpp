// Inside of the room: extended attributes, which btrfs keeps as Linux shows them.
#pragma once

#include "formats/btrfs/subvolumes.hpp"
#include "formats/tree/entry.hpp"

#include <vector>

namespace vm2oci::btrfs {

// Sorted by name, as FileSystem::attributes() has them. Error: corrupt, limit.
std::vector<ExtendedAttribute> read_attributes(const Volume& volume, const Subvolume& subvolume, std::uint64_t inode);

} // namespace vm2oci::btrfs
