#include "guest-kernel/agent/port.hpp"

#include "guest-kernel/agent/text.hpp"
#include <unistd.h>

namespace vm2oci::guest {

std::string find_port(std::string_view name, const std::string& sysfs, const std::string& dev) {
    const std::string ports = sysfs + "/class/virtio-ports";
    for (const std::string& port : list_folder(ports)) {
        const auto text = read_text(std::string(ports).append("/").append(port).append("/name"), 256);
        if (text && trim(*text) == name)
            return std::string(dev).append("/").append(port);
    }
    const std::string link = dev + "/virtio-ports/" + std::string(name);
    return ::access(link.c_str(), F_OK) == 0 ? link : std::string();
}

} // namespace vm2oci::guest
