#include "tools/vm2oci/machine_page.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vm2oci::cli {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json or_null(const std::optional<T>& value) {
    return value ? Json(*value) : Json(nullptr);
}

Json text_or_null(const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(escape_untrusted(text));
}

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

Json machine_to_json(const MachineHardware& hardware) {
    Json json = {{"source", hardware.source},
                 {"name", text_or_null(hardware.name)},
                 {"annotation", text_or_null(hardware.annotation)},
                 {"os_type", text_or_null(hardware.os_type)},
                 {"cpus", or_null(hardware.cpus)},
                 {"cores_per_socket", or_null(hardware.cores_per_socket)},
                 {"memory", or_null(hardware.memory)},
                 {"firmware", hardware.firmware ? Json(to_string(*hardware.firmware)) : Json(nullptr)},
                 {"secure_boot", or_null(hardware.secure_boot)},
                 {"controllers", Json::array()},
                 {"disks", Json::array()},
                 {"nics", Json::array()},
                 {"remarks", hardware.remarks}};
    for (const MachineController& controller : hardware.controllers)
        json["controllers"].push_back(
            {{"kind", to_string(controller.kind)}, {"model", text_or_null(controller.model)}});
    for (const MachineDisk& disk : hardware.disks)
        json["disks"].push_back({{"id", escape_untrusted(disk.id)},
                                 {"file", text_or_null(disk.file)},
                                 {"controller", or_null(disk.controller)},
                                 {"address", or_null(disk.address)},
                                 {"capacity", or_null(disk.capacity)}});
    for (const MachineNic& nic : hardware.nics)
        json["nics"].push_back({{"model", text_or_null(nic.model)},
                                {"network", text_or_null(nic.network)},
                                {"mac", text_or_null(nic.mac)}});
    return json;
}

} // namespace vm2oci::cli
