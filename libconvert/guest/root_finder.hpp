// Which file system of a disk, and which tree of it, is the root of the guest.
#pragma once

#include "formats/base/error.hpp"
#include "libconvert/guest/boot_roots.hpp"
#include "libconvert/guest/mounted_guest.hpp"
#include "libconvert/guest/open_guest.hpp"
#include "libconvert/guest/subvolumes.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kFstabLimit = 256ull * 1024;

GuestMount describe_mount(const Volume& volume, std::string mount_point, const FileSystem& file_system);

// The volume, by index, that GuestAccess::root names. Error{usage}: the disk has none.
std::size_t find_wanted_root(const DiskLayout& layout, const std::string& wanted);

struct RootCandidate {
    std::size_t volume = 0;
    std::shared_ptr<const FileSystem> file_system;
    MountedTree tree;
    unsigned likeness = 0; // to the root of a Linux system
};

// Not thread-safe. What it is made of outlives it; remarks and the reason why there is no root go to `result`.
class RootFinder {
  public:
    RootFinder(OpenedGuest& result, const GuestAccess& access, const OperationContext& operation)
        : result_(result), access_(access), operation_(operation) {}

    // Of several the one that the boot loader starts. Error{usage}: the root that was asked for is not there.
    std::optional<RootCandidate> find();

    // Read by this process, opened once, whatever is mounted from it. Throws as its driver.
    const std::shared_ptr<const FileSystem>& open_volume(std::size_t index);

    // Volumes, by index, that are sound and have something that their reader here does not read.
    const std::set<std::size_t>& refused() const { return refused_; }
    // Of what is changed in this process the reader here refuses only what the appliance refuses as well.
    void note_refusal(std::size_t index, const Error& error);

  private:
    RootCandidate choose_root(std::vector<RootCandidate> candidates);
    std::optional<std::size_t> root_of_boot_loader(std::size_t index, const std::string& folder,
                                                   const std::vector<RootCandidate>& candidates);
    std::optional<std::size_t> volume_of(const BootRoot& boot) const;
    MountedGuest alone(std::size_t index, const std::shared_ptr<const FileSystem>& opened, NodeId top) const;
    std::vector<BootRoot> boot_roots_of(std::size_t index, const std::string& folder);
    std::optional<std::string> boot_flags(std::size_t index);
    std::optional<RootCandidate> find_tree_of_root(std::size_t index);
    std::optional<MountedTree> tree_of_boot_loader(std::size_t index, const FileSystem& opened);
    RootCandidate choose_tree(std::vector<RootCandidate> likely);

    OpenedGuest& result_;
    const GuestAccess& access_;
    const OperationContext& operation_;
    std::map<std::size_t, std::shared_ptr<const FileSystem>> opened_; // by volume
    std::set<std::size_t> refused_;
};

} // namespace vm2oci
