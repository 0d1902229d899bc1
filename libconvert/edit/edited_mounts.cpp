#include "libconvert/edit/edited_mounts.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace vm2oci {
namespace {

bool lies_on(const std::string& path, const std::string& mount_point) {
    return mount_point == "/" || path == mount_point || path.starts_with(mount_point + "/");
}

} // namespace

std::size_t mount_of(const std::vector<GuestMount>& mounts, const std::string& path) {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < mounts.size(); ++i)
        if (lies_on(path, mounts[i].mount_point) &&
            (!best || mounts[i].mount_point.size() > mounts[*best].mount_point.size()))
            best = i;
    if (!best)
        fail(ErrorKind::unsupported, fmt::format("{} lies on no file system of the guest", quote_untrusted(path)));
    return *best;
}

std::vector<std::size_t> edited_mounts(const EditPlan& plan, const std::vector<GuestMount>& mounts) {
    std::vector<std::size_t> edited;
    for (const Edit& edit : plan.edits) {
        const std::size_t index = mount_of(mounts, edit.path);
        if (std::find(edited.begin(), edited.end(), index) == edited.end())
            edited.push_back(index);
    }
    return edited;
}

std::string path_on_mount(const std::string& path, const GuestMount& mount) {
    return path.substr(mount.mount_point == "/" ? 1 : mount.mount_point.size() + 1);
}

const Volume* writable_volume(const OpenedGuest& opened, const GuestMount& mount) {
    for (const Volume& volume : opened.layout.volumes)
        if (volume.name == mount.volume && volume.route)
            return &volume;
    return nullptr;
}

} // namespace vm2oci
