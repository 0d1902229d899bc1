// libguestfs' appliance: what reads the file systems that this process does not. It sees each disk as a raw export that
// we serve on a unix socket, never the container that the disk came in, and never to write.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/block_device.hpp"
#include "libconvert/guest/mounted_guest.hpp"
#include "libconvert/guest/windows.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// Files that are remembered by a number; bounds the memory that a hostile tree can ask for.
inline constexpr std::size_t kMaxApplianceNodes = 4'000'000;

class ApplianceSession;
struct GuestAccess; // libconvert/guest/open_guest.hpp

struct ApplianceGuest {
    std::vector<MountedFileSystem> file_systems; // as the guest mounts them; empty: no operating system was found
    std::optional<WindowsFacts> windows;         // none: it is another system
    std::vector<std::string> remarks;
    std::shared_ptr<const ApplianceSession> session;
};

// Which of the roots that libguestfs found is the guest's, by its names for them; nullopt: the first.
using RootChoice = std::function<std::optional<std::size_t>(const std::vector<std::string>& roots)>;

// Starts the appliance, or uses on the one that `access` has, opens what its keys open, lets libguestfs find the
// operating system and mounts its file systems read-only. Takes seconds with KVM and about half a minute without; says
// so before. The appliance lives as long as a file system or the session of the result. `access.changes`, unless null,
// lies over the disk: the session may write to it later (open_appliance_editor() in libconvert/edit). KVM is used only
// if LIBGUESTFS_BACKEND_SETTINGS is set (to anything but force_tcg): that it exists does not say that it works.
// Error{external} when the appliance cannot be started.
ApplianceGuest open_appliance(const std::shared_ptr<const BlockDevice>& disk, const GuestAccess& access,
                              const RootChoice& choose, const OperationContext& operation);

// The same choice of backend for a handle that somebody else made, a guestfs_h*: errors are not printed, the appliance
// is QEMU's, by emulation unless LIBGUESTFS_BACKEND_SETTINGS is set. 0, or -1 with libguestfs' own error.
int configure_appliance(void* handle);

} // namespace vm2oci
