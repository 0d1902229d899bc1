// What a guest's configuration says of the disk that it came from, put right for a root that stands alone.
#pragma once

#include "libconvert/bundle/root_disk.hpp"
#include "libconvert/edit/plan.hpp"
#include "libconvert/guest/guest.hpp"
#include "libconvert/guest/volumes.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// fstab (the root by its UUID; what is joined, and what lies on partitions that are left behind, commented out),
// crypttab, the place to resume from, and the command lines in boot loaders. `layout` is that of the disk the guest
// came from; entries that name nothing of it stay. Pure: reads the guest, writes nothing.
// With BundleRootKind::erofs nothing remounts the root, which its initramfs has made writable.
EditPlan plan_lone_root(const Guest& guest, const DiskLayout& layout, const RootDisk& root, BundleRootKind kind);

// The lists in `modules`, a folder as /lib/modules is, come to where the guest looks for them: a kernel with everything
// built in has no modules, but modprobe and systemd read there that what they look for is part of it. Error{not_found}
// without such lists.
EditPlan plan_kernel_modules(const Guest& guest, const std::filesystem::path& modules);

// The words of a kernel's command line without those that name the old disk, its volume groups, its swap, and options
// of a file system that is no more.
std::vector<std::string> without_old_devices(std::vector<std::string> words, RootShape shape);

} // namespace vm2oci
