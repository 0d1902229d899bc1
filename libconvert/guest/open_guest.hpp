// From the disks of a machine to its guest: find the root file system, read its fstab, join what it names.
#pragma once

#include "formats/block/overlay.hpp"
#include "libconvert/guest/appliance_machine.hpp"
#include "libconvert/guest/disk_key.hpp"
#include "libconvert/guest/fstab.hpp"
#include "libconvert/guest/guest.hpp"
#include "libconvert/guest/volumes.hpp"
#include "libconvert/guest/windows.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci {

enum class GuestBackend {
    automatic,  // in this process where it can be; changes of other file systems by vm2oci's appliance, if there is one
    native,     // in this process alone
    appliance,  // read in this process, changed by vm2oci's appliance
    libguestfs, // both by libguestfs' appliance
};
// "auto", "native", "appliance", "libguestfs"; Error{usage} otherwise.
GuestBackend parse_guest_backend(std::string_view text);

class ApplianceSession;

// How a guest may be read. What takes one takes a GuestBackend as well.
struct GuestAccess {
    GuestAccess(GuestBackend which = GuestBackend::automatic, std::vector<DiskKey> known_keys = {})
        : backend(which), keys(std::move(known_keys)) {}

    GuestBackend backend;
    std::vector<DiskKey> keys; // to what is encrypted
    // Of the disks that lie one behind another on the device that is opened (JoinedDevice), the one that boots first;
    // empty: it is one disk.
    std::vector<std::uint64_t> disk_sizes;
    // Which file system is the root: a partition's number, "vg/lv", or what find_volume() takes; empty: the guest
    // tells.
    std::string root;
    // The disk that is opened, if the guest on it will be changed: an appliance that reads it can write it then.
    std::shared_ptr<OverlayDevice> changes;
    // A running appliance of libguestfs that sees `changes`, used on instead of starting another; null: none.
    std::shared_ptr<const ApplianceSession> appliance{};
    // What runs vm2oci's appliance; null: nothing does.
    std::shared_ptr<const ApplianceMachine> machine{};

    // For a disk that is nothing but the root, where no partition has a number.
    GuestAccess to_lone_root() const {
        GuestAccess access = *this;
        access.root.clear();
        access.disk_sizes.clear();
        access.changes.reset();
        access.appliance.reset();
        return access;
    }
};

struct OpenedGuest {
    std::shared_ptr<const BlockDevice> disk;
    DiskLayout layout;
    std::vector<FstabEntry> fstab;
    std::vector<std::optional<std::size_t>> fstab_volumes; // for each entry the volume that it means
    // What systemd's units and the automounter mount, places that fstab names left out; volumes as for fstab.
    std::vector<FstabEntry> further_mounts;
    std::vector<std::optional<std::size_t>> further_volumes;
    std::unique_ptr<Guest> guest;                      // null: no root file system was found or could be read
    std::shared_ptr<const ApplianceSession> appliance; // that reads it; null: this process does
    std::string backend;                               // "native", "libguestfs"; empty without a guest
    std::optional<WindowsFacts> windows;               // of a Windows guest
    std::string reason;                                // why there is no guest
    Hint reason_hint{};                                // what would have it read
    std::vector<MissingMount> missing;                 // as guest->missing_mounts()
    std::vector<std::string> remarks;
};

// Native backends first; libguestfs when the root, or what fstab mounts at boot, is nothing that we read ourselves.
// Throws what the disk throws; that there is no guest is told in the result.
OpenedGuest open_guest(const std::shared_ptr<const BlockDevice>& disk, const GuestAccess& access,
                       const OperationContext& operation);

} // namespace vm2oci
