// What a Windows guest has installed for its hypervisor.
#include "formats/base/ascii.hpp"
#include "libconvert/inspect/parts.hpp"

#include <algorithm>

namespace vm2oci::inspect {
namespace {

struct KnownFile {
    std::string_view name;
    std::string_view path; // in lower case
};
constexpr KnownFile kFiles[] = {
    {"qemu-guest-agent", "program files/qemu-ga/qemu-ga.exe"},
    {"open-vm-tools", "program files/vmware/vmware tools/vmtoolsd.exe"},
    {"virtualbox-guest", "windows/system32/vboxservice.exe"},
    {"virtio-blk driver", "windows/system32/drivers/viostor.sys"},
    {"virtio-scsi driver", "windows/system32/drivers/vioscsi.sys"},
    {"virtio-net driver", "windows/system32/drivers/netkvm.sys"},
    {"balloon driver", "windows/system32/drivers/balloon.sys"},
};

// Windows does not tell capitals from small letters; what reads its file system does. Empty: not there.
std::string find_path(const Guest& guest, std::string_view wanted) {
    std::string path;
    while (!wanted.empty()) {
        const std::size_t slash = std::min(wanted.find('/'), wanted.size());
        const std::vector<std::string> names = list_folder(guest, path.empty() ? "/" : path);
        const auto found = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
            return to_lower_ascii(name) == wanted.substr(0, slash);
        });
        if (found == names.end())
            return {};
        path += "/" + *found;
        wanted.remove_prefix(std::min(slash + 1, wanted.size()));
    }
    return path;
}

} // namespace

std::vector<InstalledAgent> read_windows_agents(const Guest& guest) {
    std::vector<InstalledAgent> agents;
    for (const KnownFile& file : kFiles)
        if (std::string path = find_path(guest, file.path); !path.empty())
            agents.push_back({std::string(file.name), std::move(path), true});
    return agents;
}

} // namespace vm2oci::inspect
