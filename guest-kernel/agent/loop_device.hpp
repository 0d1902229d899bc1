// A file as a disk (the kernel's include/uapi/linux/loop.h).
#pragma once

#include <string>

namespace vm2oci::guest {

enum class LoopAccess { read_only, read_write };

// The node of a free loop device that shows `file` from now on: "/dev/loop0". Error{io} where the kernel has none.
std::string attach_loop_device(const std::string& file, LoopAccess access);

} // namespace vm2oci::guest
