#include "formats/base/escape.hpp"
#include "tools/documents/inspection.hpp"

#include <nlohmann/json.hpp>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json or_null(const std::optional<T>& value) {
    return value ? Json(*value) : Json(nullptr);
}

Json text_or_null(const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(escape_untrusted(text));
}

} // namespace

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

} // namespace vm2oci
