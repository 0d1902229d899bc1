#include "libconvert/package/machine_labels.hpp"

#include "formats/base/escape.hpp"
#include "formats/oci/labels.hpp"

#include <nlohmann/json.hpp>

#include <charconv>
#include <string>
#include <string_view>
#include <utility>

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

constexpr std::string_view kPrefix = label::machine_prefix;

template <class Number>
std::optional<Number> number_of(const std::string& text) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return number;
}

std::string member(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The array of a label; empty if it is none.
Json list_of(const std::string& text) {
    Json list = Json::parse(text, nullptr, false);
    return list.is_array() && list.size() <= kMaxMachineDevices ? list : Json::array();
}

void read_nics(const std::string& text, MachineHardware& hardware) {
    for (const Json& nic : list_of(text))
        if (nic.is_object())
            hardware.nics.push_back({member(nic, "model"), member(nic, "network"), normal_mac(member(nic, "mac"))});
}

void read_disks(const std::string& text, MachineHardware& hardware) {
    for (const Json& entry : list_of(text)) {
        if (!entry.is_object())
            continue;
        MachineDisk disk;
        disk.id = member(entry, "id");
        disk.file = member(entry, "file");
        if (const auto capacity = entry.find("capacity"); capacity != entry.end() && capacity->is_number_unsigned())
            disk.capacity = capacity->get<std::uint64_t>();
        hardware.disks.push_back(std::move(disk));
    }
}

} // namespace

std::optional<MachineHardware> hardware_of_labels(const std::map<std::string, std::string>& labels) {
    const auto value = [&](std::string_view name) {
        const auto found = labels.find(std::string(kPrefix) + std::string(name));
        return found == labels.end() ? std::string() : found->second;
    };
    MachineHardware hardware;
    hardware.source = value("source");
    if (hardware.source.empty())
        return std::nullopt;
    hardware.name = value("name");
    hardware.os_type = value("os-type");
    hardware.cpus = number_of<unsigned>(value("cpus"));
    hardware.cores_per_socket = number_of<unsigned>(value("cores-per-socket"));
    hardware.memory = number_of<std::uint64_t>(value("memory"));
    if (hardware.cpus > kMaxMachineCpus)
        hardware.cpus.reset();
    if (hardware.memory > kMaxMachineMemory)
        hardware.memory.reset();
    for (const MachineFirmware firmware : {MachineFirmware::bios, MachineFirmware::uefi})
        if (value("firmware") == to_string(firmware))
            hardware.firmware = firmware;
    if (!value("secure-boot").empty())
        hardware.secure_boot = value("secure-boot") == "true";
    read_nics(value("nics"), hardware);
    read_disks(value("disks"), hardware);
    return hardware;
}

void add_machine_labels(const MachineHardware& hardware, ImageOptions& image) {
    const auto add = [&](std::string_view name, const std::string& value) {
        if (value.empty())
            return;
        const std::string key = std::string(kPrefix) + std::string(name);
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
