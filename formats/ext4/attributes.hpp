// Extended attributes of ext4 inodes.
#pragma once

#include "formats/ext4/library.hpp"
#include "formats/tree/entry.hpp"

#include <span>
#include <vector>

namespace vm2oci {

inline constexpr std::uint64_t kMaxAttributeBytes = 64ull * 1024; // XATTR_SIZE_MAX of Linux

// `raw` is the whole inode as it stands on the disk. Sorted by name; ACLs in the form of getxattr(2). The content of
// small files that live in an attribute is not listed.
std::vector<ExtendedAttribute> read_attributes(const Ext4Library& library, ext2_ino_t number,
                                               std::span<const std::byte> raw);

// ext4's own form of an ACL (fs/ext4/acl.h) becomes that of the system call (linux/posix_acl_xattr.h).
// Error{corrupt} for anything else.
std::string convert_acl(std::string_view stored);

} // namespace vm2oci
