// Changes through libguestfs, for file systems that are not written in this process: xfs, btrfs, FAT, logical volumes.
#pragma once

#include "formats/tree/file_system_editor.hpp"
#include "libconvert/guest/appliance_session.hpp"
#include "libconvert/guest/open_guest.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vm2oci {

struct ApplianceMount {
    std::string mount_point;
    std::string device; // as libguestfs names it: "/dev/sda1", "/dev/vg0/root", "btrfsvol:/dev/sda1/@"
};

// How libguestfs names what a guest is mounted from, whichever backend opened it.
std::vector<ApplianceMount> appliance_mounts(const OpenedGuest& opened, const std::vector<GuestMount>& mounts);

// One editor for the whole guest: paths are relative to its root. What is mounted in the session is unmounted first,
// and finish() leaves nothing mounted; what it writes lands in the session's overlay. `time` 0: changed files bear the
// time of the latest change of the guest's /etc, /var/lib or /var/log. Error{external} with libguestfs's own words.
std::unique_ptr<FileSystemEditor> open_appliance_editor(std::shared_ptr<const ApplianceSession> session,
                                                        const std::vector<ApplianceMount>& mounts, std::int64_t time,
                                                        const OperationContext& operation);

} // namespace vm2oci
