// Inside of the room: extended attributes in each of their forms. Source of the format: the Linux kernel,
// fs/xfs/libxfs/xfs_da_format.h, xfs_attr_leaf.c and xfs_attr_remote.c; of access control lists xfs_acl.c.
#pragma once

#include "formats/tree/entry.hpp"
#include "formats/xfs/extents.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::xfs {

// Sorted by name, as FileSystem::attributes() has them. Access control lists, which xfs keeps as SGI_ACL_FILE and
// SGI_ACL_DEFAULT, are shown under the names of Linux alone. Parent pointers and what was not finished are none. Error:
// corrupt, limit.
std::vector<ExtendedAttribute> read_attributes(const Volume& volume, const Inode& inode);

// A list as xfs stores it, in the form that getxattr(2) shows. Error{corrupt}.
std::string convert_stored_acl(std::string_view stored);

} // namespace vm2oci::xfs
