// Mounted file systems that fill the device below them, and free space that is given back: by the kernel, which does
// both while they are mounted.
#pragma once

#include <cstdint>
#include <string_view>

namespace vm2oci::guest {

// `folder` is the file system's root, `size` its device's in bytes. Error{unsupported} for other file systems than
// ext4, xfs and btrfs. A file system that fills its device already stays as it is.
void grow_file_system(int folder, std::string_view type, std::uint64_t size);

// Discards what the file system does not use. Error{unsupported} where it cannot.
void trim_file_system(int folder);

} // namespace vm2oci::guest
