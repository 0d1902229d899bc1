#include "libconvert/guest/appliance_trim.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/guest/appliance_session.hpp"

#include <fmt/format.h>

namespace vm2oci {

bool is_trimmed_by_appliance(const std::string& type) {
    return type == "xfs" || type == "btrfs";
}

TrimmedDisk trim_by_appliance(const std::shared_ptr<const BlockDevice>& disk, const OperationContext& operation) {
    const auto overlay = std::make_shared<OverlayDevice>(disk, std::nullopt, operation.scratch_folder);
    const ApplianceSession appliance(overlay, operation);
    const GuestfsLibrary& library = guestfs_library();
    TrimmedDisk result;
    const struct guestfs_fstrim_argv everything {};
    for (const std::string& device : appliance.block_devices()) {
        operation.check_cancelled();
        if (!is_trimmed_by_appliance(take_string(library.vfs_type(appliance.handle(), device.c_str()))))
            continue;
        if (library.mount_ro(appliance.handle(), device.c_str(), "/") < 0 ||
            library.fstrim_argv(appliance.handle(), "/", &everything) < 0)
            result.remarks.push_back(
                fmt::format("{} is left whole: {}", escape_untrusted(device), appliance.last_error()));
        appliance.check(library.umount_all(appliance.handle()), "unmounting");
    }
    appliance.check(library.shutdown(appliance.handle()), "stopping libguestfs' appliance");
    result.device = overlay;
    return result;
}

} // namespace vm2oci
