#include "tools/documents/inspection.hpp"

#include <nlohmann/json.hpp>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

Json disk_seen_json(const DiskSeen& disk) {
    Json json = disk_to_json(disk.findings);
    if (disk.packing)
        json["compression"] = packing_to_json(*disk.packing);
    return json;
}

} // namespace

Json to_json(const DiskInspection& machine, const std::string& source) {
    Json document = {{"source", source}, {"disk", disk_seen_json(machine.disks.front())}};
    if (machine.disks.size() > 1)
        for (const DiskSeen& disk : machine.disks) {
            Json named = {{"name", disk.name}};
            named.update(disk_seen_json(disk));
            document["disks"].push_back(std::move(named));
        }
    if (machine.hardware)
        document["machine"] = machine_to_json(*machine.hardware);
    if (machine.trust)
        document["content"] = *machine.trust == ContentTrust::verified ? "verified" : "not-verified";
    if (!machine.remarks.empty())
        document["remarks"] = machine.remarks;
    document["inside"] = machine.guest ? guest_to_json(*machine.guest) : Json(nullptr);
    return document;
}

} // namespace vm2oci
