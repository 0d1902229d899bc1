#include "libconvert/package/machine_labels.hpp"

#include "formats/base/escape.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxLabel = 4096; // notes may be long, and a manifest has 4 MiB

Json controllers_json(const MachineHardware& hardware) {
    Json list = Json::array();
    for (const MachineController& controller : hardware.controllers)
        list.push_back({{"kind", to_string(controller.kind)}, {"model", escape_untrusted(controller.model)}});
    return list;
}

Json disks_json(const MachineHardware& hardware) {
    Json list = Json::array();
    for (const MachineDisk& disk : hardware.disks) {
        Json entry = {{"id", escape_untrusted(disk.id)}};
        if (!disk.file.empty())
            entry["file"] = escape_untrusted(disk.file);
        if (disk.controller)
            entry["controller"] = *disk.controller;
        if (disk.address)
            entry["address"] = *disk.address;
        if (disk.capacity)
            entry["capacity"] = *disk.capacity;
        list.push_back(std::move(entry));
    }
    return list;
}

Json nics_json(const MachineHardware& hardware) {
    Json list = Json::array();
    for (const MachineNic& nic : hardware.nics) {
        Json entry = Json::object();
        if (!nic.model.empty())
            entry["model"] = escape_untrusted(nic.model);
        if (!nic.network.empty())
            entry["network"] = escape_untrusted(nic.network);
        if (!nic.mac.empty())
            entry["mac"] = nic.mac;
        list.push_back(std::move(entry));
    }
    return list;
}

} // namespace

void add_machine_labels(const MachineHardware& hardware, ImageOptions& image) {
    const auto add = [&](std::string_view name, const std::string& value) {
        if (value.empty())
            return;
        const std::string key = "org.vm2oci.machine." + std::string(name);
        image.labels.emplace(key, value);
        image.annotations.emplace(key, value);
    };
    add("source", hardware.source);
    add("name", escape_untrusted(hardware.name));
    add("annotation", escape_untrusted(hardware.annotation, kMaxLabel));
    add("os-type", escape_untrusted(hardware.os_type));
    if (hardware.cpus)
        add("cpus", std::to_string(*hardware.cpus));
    if (hardware.cores_per_socket)
        add("cores-per-socket", std::to_string(*hardware.cores_per_socket));
    if (hardware.memory)
        add("memory", std::to_string(*hardware.memory));
    if (hardware.firmware)
        add("firmware", std::string(to_string(*hardware.firmware)));
    if (hardware.secure_boot)
        add("secure-boot", *hardware.secure_boot ? "true" : "false");
    if (!hardware.controllers.empty())
        add("controllers", controllers_json(hardware).dump());
    if (!hardware.disks.empty())
        add("disks", disks_json(hardware).dump());
    if (!hardware.nics.empty())
        add("nics", nics_json(hardware).dump());
}

} // namespace vm2oci
