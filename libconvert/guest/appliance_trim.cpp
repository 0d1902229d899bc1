#include "libconvert/guest/appliance_trim.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/guest/appliance_session.hpp"
#include "libconvert/guest/file_system_drivers.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

std::string in_shell_quotes(std::string_view text) {
    std::string quoted = "'";
    for (const char c : text)
        quoted += c == '\'' ? "'\\''" : std::string(1, c);
    return quoted + "'";
}

// libguestfs opens LUKS without passing discards on, and has no call that would change it; its appliance, which is ours
// alone, has the program. What a key does not fit changes nothing.
void allow_discards(const ApplianceSession& appliance, const std::vector<DiskKey>& keys) {
    const GuestfsLibrary& library = guestfs_library();
    for (const std::string& device : appliance.block_devices()) {
        if (take_string(library.vfs_type(appliance.handle(), device.c_str())) != kLuks)
            continue;
        const std::string uuid = take_string(library.vfs_uuid(appliance.handle(), device.c_str()));
        for (const DiskKey& key : keys) {
            if (!key.fits(device, uuid))
                continue;
            for (const std::string_view secret : key.secrets()) {
                if (secret.find('\0') != std::string_view::npos)
                    continue; // opened nothing there
                std::string script = "printf %s " + in_shell_quotes(secret) +
                                     " | cryptsetup -q refresh --allow-discards --key-file - luks-" +
                                     in_shell_quotes(uuid);
                char* const arguments[] = {script.data(), nullptr};
                take_string(library.debug(appliance.handle(), "sh", arguments));
            }
        }
    }
}

} // namespace

TrimmedDisk trim_by_appliance(const std::shared_ptr<const BlockDevice>& disk, const GuestAccess& access,
                              const OperationContext& operation) {
    TrimmedDisk result;
    if (access.appliance) {
        result.device = access.changes;
        result.appliance = access.appliance;
        access.appliance->settle();
    } else {
        result.device = std::make_shared<OverlayDevice>(disk, std::nullopt, operation.scratch_folder);
        result.appliance =
            std::make_shared<const ApplianceSession>(ApplianceDisks{disk, result.device, access.disk_sizes}, operation);
        result.remarks = result.appliance->open_encrypted(access.keys);
    }
    const ApplianceSession& appliance = *result.appliance;
    const GuestfsLibrary& library = guestfs_library();
    const struct guestfs_fstrim_argv everything {};
    const std::vector<std::string>& plain = appliance.first_devices();
    allow_discards(appliance, access.keys);
    for (const std::string& device : appliance.block_devices()) {
        operation.check_cancelled();
        const bool was_encrypted = std::find(plain.begin(), plain.end(), device) == plain.end();
        const std::string type = take_string(library.vfs_type(appliance.handle(), device.c_str()));
        // What is read here would be, too, if it were not encrypted.
        const FileSystemDriver* driver = find_driver(type);
        if (driver == nullptr || !was_encrypted || driver->free_space != FreeSpaceSource::reader)
            continue;
        if (library.mount_ro(appliance.handle(), device.c_str(), "/") < 0 ||
            library.fstrim_argv(appliance.handle(), "/", &everything) < 0)
            result.remarks.push_back(
                fmt::format("{} is left whole: {}", escape_untrusted(device), appliance.last_error()));
        appliance.check(library.umount_all(appliance.handle()), "unmounting");
    }
    appliance.settle();
    return result;
}

} // namespace vm2oci
