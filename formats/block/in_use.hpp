// Whether somebody else may be writing to a disk while it is read.
#pragma once

#include <optional>
#include <string>

namespace vm2oci {

// Who, for people; nullopt: nobody that can be known.
//
// Of a file: a QEMU that holds write permission, by the locks of its block/file-posix.c (bytes 100 and following for
// what it does, 200 and following for what others must not do). Of a block device, and of the file behind a loop
// device: the kernel, which has it or one of its partitions mounted writable, or in a volume group, an array, a mapping
// or swap. Reads nothing of the content.
std::optional<std::string> writer_of(int fd);

} // namespace vm2oci
