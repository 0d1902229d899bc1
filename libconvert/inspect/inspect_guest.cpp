#include "formats/base/error.hpp"
#include "libconvert/inspect/parts.hpp"

#include <functional>

namespace vm2oci {
namespace {

// One damaged file must not hide the rest: a part that fails becomes a remark.
void attempt(GuestInfo& info, const char* what, const std::function<void()>& part) {
    try {
        part();
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
            throw;
        info.remarks.push_back(std::string(what) + ": " + error.what());
    }
}

void describe_windows(const WindowsFacts& windows, OsInfo& os) {
    os = {};
    os.type = "windows";
    os.distribution = "windows";
    os.product = windows.product;
    os.version = windows.version;
    os.edition = windows.edition;
    os.build = windows.build;
    os.release = windows.release;
    os.architecture = windows.architecture;
    os.hostname = windows.hostname;
}

} // namespace

std::string_view to_string(DriverPlace place) {
    switch (place) {
    case DriverPlace::builtin:
        return "builtin";
    case DriverPlace::initrd:
        return "initrd";
    case DriverPlace::disk:
        return "disk";
    case DriverPlace::missing:
        return "missing";
    case DriverPlace::unknown:
        return "unknown";
    }
    return "missing";
}

OsInfo inspect_os(const OpenedGuest& opened) {
    OsInfo os;
    if (opened.windows)
        describe_windows(*opened.windows, os);
    else
        os = inspect::read_os(*opened.guest, LargeFiles::read);
    return os;
}

BootInfo inspect_boot(const OpenedGuest& opened) {
    GuestInfo info;
    attempt(info, "boot", [&] { info.boot = inspect::read_boot(opened, LargeFiles::leave); });
    return info.boot;
}

GuestInfo identify_guest(const OpenedGuest& opened) {
    GuestInfo info;
    if (!opened.guest)
        return info;
    attempt(info, "operating system", [&] { info.os = inspect_os(opened); });
    if (!opened.windows)
        attempt(info, "init", [&] { info.init = inspect::read_init(*opened.guest); });
    return info;
}

GuestInfo inspect_guest(const OpenedGuest& opened, const OperationContext& operation, LargeFiles large_files) {
    GuestInfo info;
    if (!opened.guest) {
        attempt(info, "boot", [&] { info.boot = inspect::read_boot(opened, large_files); });
        return info;
    }
    const Guest& guest = *opened.guest;
    attempt(info, "operating system", [&] { info.os = inspect::read_os(guest, large_files); });
    if (opened.windows) {
        describe_windows(*opened.windows, info.os);
        attempt(info, "boot", [&] { info.boot = inspect::read_boot(opened, large_files); });
        attempt(info, "agents", [&] { info.agents = inspect::read_windows_agents(guest); });
        return info;
    }
    attempt(info, "init", [&] { info.init = inspect::read_init(guest); });
    // A boot asks for it, and finds it in folders that nothing else is looked for in.
    if (info.init == "systemd" && large_files == LargeFiles::read)
        attempt(info, "systemd", [&] { info.init_version = inspect::read_systemd_version(guest); });
    attempt(info, "services", [&] { info.enabled_services = inspect::read_enabled_services(guest); });
    attempt(info, "network", [&] { info.network = inspect::read_network(guest); });
    attempt(info, "cloud-init", [&] { info.cloud_init = inspect::read_cloud_init(guest); });
    attempt(info, "agents", [&] { info.agents = inspect::read_agents(guest, info.enabled_services); });
    attempt(info, "packages", [&] { info.packages = inspect::read_packages(guest); });
    attempt(info, "machine-id", [&] { info.machine_id = inspect::read_machine_id(guest); });
    attempt(info, "host keys", [&] { info.host_keys = inspect::read_host_keys(guest); });
    attempt(info, "users", [&] { info.users = inspect::read_users(guest); });
    attempt(info, "SELinux", [&] { info.selinux = inspect::read_selinux(guest); });
    attempt(info, "kernels", [&] { info.kernels = inspect::read_kernels(guest, large_files, operation); });
    attempt(info, "boot", [&] { info.boot = inspect::read_boot(opened, large_files); });
    return info;
}

} // namespace vm2oci
