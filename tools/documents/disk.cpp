#include "formats/base/escape.hpp"
#include "tools/documents/document.hpp"
#include "tools/documents/inspection.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

Json counts_to_json(const BlockCounts& counts) {
    return {{"data", counts.data},
            {"compressed", counts.compressed},
            {"zero", counts.zero},
            {"unallocated", counts.unallocated}};
}

struct FormatJson {
    Json operator()(const RawInfo& /*raw*/) const { return nullptr; }
    Json operator()(const Qcow2Info& qcow2) const {
        Json json = {{"version", qcow2.version},
                     {"cluster_size", qcow2.cluster_size},
                     {"refcount_bits", qcow2.refcount_bits},
                     {"compression", qcow2.compression},
                     {"features", escape_each(qcow2.features)},
                     {"clusters", counts_to_json(qcow2.clusters)}};
        Json snapshots = Json::array();
        for (const SnapshotInfo& snapshot : qcow2.snapshots)
            snapshots.push_back({{"id", escape_untrusted(snapshot.id)},
                                 {"name", escape_untrusted(snapshot.name)},
                                 {"disk_size", snapshot.disk_size},
                                 {"vm_state_size", snapshot.vm_state_size},
                                 {"created", snapshot.created_unix}});
        json["snapshots"] = snapshots;
        if (qcow2.backing_file_name)
            json["backing_file"] = escape_untrusted(*qcow2.backing_file_name);
        if (qcow2.data_file_name)
            json["data_file"] = escape_untrusted(*qcow2.data_file_name);
        return json;
    }
    Json operator()(const VmdkInfo& vmdk) const {
        Json json = {{"create_type", escape_untrusted(vmdk.create_type)},
                     {"version", vmdk.version},
                     {"grain_size", vmdk.grain_size},
                     {"compressed", vmdk.compressed},
                     {"features", escape_each(vmdk.features)},
                     {"content_id", fmt::format("{:08x}", vmdk.content_id)},
                     {"grains", counts_to_json(vmdk.grains)},
                     {"extent_count", vmdk.extent_count}};
        Json extents = Json::array();
        for (const VmdkExtentInfo& extent : vmdk.extents)
            extents.push_back({{"type", escape_untrusted(extent.type)},
                               {"name", escape_untrusted(extent.name)},
                               {"size", extent.size}});
        json["extents"] = std::move(extents);
        if (vmdk.parent_content_id)
            json["parent"] = {{"content_id", fmt::format("{:08x}", *vmdk.parent_content_id)},
                              {"name", escape_untrusted(vmdk.parent_hint)}};
        return json;
    }
    Json operator()(const VhdInfo& vhd) const {
        Json json = {{"type", vhd.type},
                     {"block_size", vhd.block_size},
                     {"creator", escape_untrusted(vhd.creator)},
                     {"size_by_geometry", vhd.size_by_geometry},
                     {"disk_id", vhd.id},
                     {"blocks", counts_to_json(vhd.blocks)}};
        if (vhd.parent_id)
            json["parent"] = {{"disk_id", *vhd.parent_id}, {"name", escape_untrusted(vhd.parent_name)}};
        return json;
    }
    Json operator()(const VhdxInfo& vhdx) const {
        Json json = {{"type", vhdx.type},
                     {"block_size", vhdx.block_size},
                     {"logical_sector_size", vhdx.logical_sector_size},
                     {"physical_sector_size", vhdx.physical_sector_size},
                     {"creator", escape_untrusted(vhdx.creator)},
                     {"disk_id", vhdx.disk_id},
                     {"data_id", vhdx.data_id},
                     {"replayed_log_entries", vhdx.replayed_log_entries},
                     {"blocks", counts_to_json(vhdx.blocks)}};
        if (vhdx.parent_id)
            json["parent"] = {{"data_id", *vhdx.parent_id}, {"name", escape_untrusted(vhdx.parent_name)}};
        return json;
    }
    Json operator()(const VdiInfo& vdi) const {
        return {{"type", vdi.type},
                {"block_size", vdi.block_size},
                {"comment", escape_untrusted(vdi.comment)},
                {"blocks", counts_to_json(vdi.blocks)}};
    }
};

// A header that cannot be read tells no size.
bool size_is_known(const DiskFindings& findings) {
    return !findings.refusal || findings.info.virtual_size != 0;
}

Json verdict_json(const DiskFindings& findings) {
    if (findings.format_known && !findings.refusal)
        return {{"safe", true}};
    return {{"safe", false}, {"refusal", findings.refusal.value_or("")}, {"hint", hint_to_json(findings.refusal_hint)}};
}

} // namespace

Json disk_to_json(const DiskFindings& findings) {
    const DiskInfo& info = findings.info;
    if (!findings.format_known) {
        Json unread = {{"format", findings.foreign_format ? Json(*findings.foreign_format) : Json(nullptr)},
                       {"virtual_size", nullptr},
                       {"allocated_size", nullptr},
                       {"file_size", info.file_size}};
        unread["verdict"] = verdict_json(findings);
        return unread;
    }
    Json disk = {{"format", to_string(info.format)},
                 {"virtual_size", size_is_known(findings) ? Json(info.virtual_size) : Json(nullptr)},
                 {"allocated_size", size_is_known(findings) ? Json(info.allocated_size) : Json(nullptr)},
                 {"file_size", info.file_size}};
    if (Json details = std::visit(FormatJson{}, info.details); !details.is_null())
        disk[std::string(to_string(info.format))] = std::move(details);
    disk["verdict"] = verdict_json(findings);
    return disk;
}

Json packing_to_json(const FilePacking& packing) {
    return {{"format", to_string(packing.compression)},
            {"stored_size", packing.stored_size},
            {"read", to_string(packing.method)}};
}

} // namespace vm2oci
