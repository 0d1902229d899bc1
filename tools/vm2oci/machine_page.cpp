#include "tools/vm2oci/machine_page.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

namespace vm2oci::cli {
namespace {

std::string attachment(const MachineHardware& hardware, const MachineDisk& disk) {
    if (!disk.controller)
        return "";
    const MachineController& controller = hardware.controllers[*disk.controller];
    std::string text = fmt::format(", {}", to_string(controller.kind));
    if (!controller.model.empty())
        text += " (" + escape_untrusted(controller.model) + ")";
    if (disk.address)
        text += fmt::format(", address {}", *disk.address);
    return text;
}

} // namespace

void describe_machine(Page& page, const MachineHardware& hardware) {
    page.row("described by", hardware.source);
    page.row_unless_empty("name", escape_untrusted(hardware.name));
    page.row_unless_empty("annotation", escape_untrusted(hardware.annotation));
    page.row_unless_empty("system", escape_untrusted(hardware.os_type));
    if (hardware.cpus)
        page.row("processors", hardware.cores_per_socket
                                   ? fmt::format("{}, {} in a socket", *hardware.cpus, *hardware.cores_per_socket)
                                   : fmt::format("{}", *hardware.cpus));
    if (hardware.memory)
        page.row("memory", format_size(*hardware.memory));
    if (hardware.firmware)
        page.row("firmware", fmt::format("{}{}", to_string(*hardware.firmware),
                                         hardware.secure_boot.value_or(false) ? ", Secure Boot" : ""));
    for (std::size_t i = 0; i < hardware.disks.size(); ++i) {
        const MachineDisk& disk = hardware.disks[i];
        page.row("disk",
                 fmt::format("{} {}{}{}", i + 1, quote_untrusted(disk.file.empty() ? disk.id : disk.file),
                             disk.capacity ? ", " + format_size(*disk.capacity) : "", attachment(hardware, disk)));
    }
    for (const MachineNic& nic : hardware.nics)
        page.row("network", fmt::format("{}{}{}", nic.model.empty() ? "unknown model" : escape_untrusted(nic.model),
                                        nic.network.empty() ? "" : ", " + quote_untrusted(nic.network),
                                        nic.mac.empty() ? "" : ", " + nic.mac));
    for (const std::string& remark : hardware.remarks)
        page.row("remark", remark);
}

} // namespace vm2oci::cli
