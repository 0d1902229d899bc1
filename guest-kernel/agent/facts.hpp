// What can be learned about the running system from its files, as values and as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::guest {

std::uint64_t uptime_milliseconds();
std::string kernel_release();

// {"id":…,"version_id":…,"pretty_name":…} from os-release's text; what is not said is left out.
std::string os_json(std::string_view os_release);
// Of the system under `root`.
std::string os_json_of(const std::string& root = "");

// IPv4 and IPv6 addresses of the interfaces that are up, without those of the loopback interface and of links only.
std::vector<std::string> addresses();

// What listens, from the text of /proc/net/{tcp,tcp6,udp,udp6}: sorted, each once: "tcp/22", "udp/68". What listens on
// loopback addresses only is left out: nobody outside of the machine can tell.
struct SocketTable {
    std::string_view protocol; // "tcp" or "udp"
    std::string text;
};
std::vector<std::string> listening_ports(const std::vector<SocketTable>& tables);
std::vector<std::string> listening_ports();

// Modules that are loaded, from the text of /proc/modules.
std::vector<std::string> module_names(std::string_view proc_modules);

// First words of the lines that `systemctl list-units --plain --no-legend` prints.
std::vector<std::string> unit_names(std::string_view list);

// {"kernel":ms,"initrd":ms,"userspace":ms,"finish":ms}: when each began (finish: ended) after the kernel's start, from
// `systemctl show` with the monotonic timestamps of the manager. What did not happen is left out.
std::string boot_json(std::string_view properties);

} // namespace vm2oci::guest
