// Where the edits of a plan lie: which mounts of the guest, and which volumes below them.
#pragma once

#include "libconvert/edit/plan.hpp"
#include "libconvert/guest/open_guest.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace vm2oci {

// Which of the mounts holds a path: the deepest. Error{unsupported} when none does.
std::size_t mount_of(const std::vector<GuestMount>& mounts, const std::string& path);

// Those that a plan changes, in the order in which it first comes to them.
std::vector<std::size_t> edited_mounts(const EditPlan& plan, const std::vector<GuestMount>& mounts);

// A path of the guest, relative to the root of the mount that holds it.
std::string path_on_mount(const std::string& path, const GuestMount& mount);

// The volume of a mount; null: it has none that this process can write.
const Volume* writable_volume(const OpenedGuest& opened, const GuestMount& mount);

} // namespace vm2oci
