#include "tools/vm2oci/disk_page.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace vm2oci::cli {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> escaped(const std::vector<std::string>& texts) {
    std::vector<std::string> out;
    for (const std::string& text : texts)
        out.push_back(escape_untrusted(text));
    return out;
}

std::string count_line(const BlockCounts& counts) {
    return fmt::format("{} data, {} compressed, {} zero, {} unallocated", counts.data, counts.compressed, counts.zero,
                       counts.unallocated);
}

Json counts_to_json(const BlockCounts& counts) {
    return {{"data", counts.data},
            {"compressed", counts.compressed},
            {"zero", counts.zero},
            {"unallocated", counts.unallocated}};
}

// One of these for each format: the words behind its name, its rows, its part of the JSON.
struct FormatLine {
    std::string operator()(const RawInfo& /*raw*/) const { return "raw"; }
    std::string operator()(const Qcow2Info& qcow2) const {
        std::string line =
            fmt::format("qcow2, version {}, clusters of {}", qcow2.version, format_size(qcow2.cluster_size));
        if (qcow2.clusters.compressed > 0 || qcow2.compression == "zstd")
            line += ", " + qcow2.compression;
        return line;
    }
    std::string operator()(const VmdkInfo& vmdk) const {
        if (vmdk.create_type.empty())
            return "VMDK"; // its descriptor was not read
        std::string line = "VMDK, " + escape_untrusted(vmdk.create_type);
        if (vmdk.version != 0)
            line += fmt::format(", version {}, grains of {}", vmdk.version, format_size(vmdk.grain_size));
        return vmdk.compressed ? line + ", compressed" : line;
    }
    std::string operator()(const VhdInfo& vhd) const {
        if (vhd.type.empty())
            return "VHD";
        const std::string line = "VHD, " + vhd.type;
        return vhd.block_size != 0 ? fmt::format("{}, blocks of {}", line, format_size(vhd.block_size)) : line;
    }
    std::string operator()(const VhdxInfo& vhdx) const {
        if (vhdx.type.empty())
            return "VHDX";
        return fmt::format("VHDX, {}, blocks of {}", vhdx.type, format_size(vhdx.block_size));
    }
    std::string operator()(const VdiInfo& vdi) const {
        if (vdi.type.empty())
            return "VDI";
        return fmt::format("VDI, {}, blocks of {}", vdi.type, format_size(vdi.block_size));
    }
};

struct FormatRows {
    Page& page;

    void operator()(const RawInfo& /*raw*/) const {}
    void operator()(const Qcow2Info& qcow2) const {
        page.row("clusters", count_line(qcow2.clusters));
        page.row_unless_empty("features", fmt::format("{}", fmt::join(escaped(qcow2.features), ", ")));
        if (qcow2.backing_file_name)
            page.row("backing file", quote_untrusted(*qcow2.backing_file_name) + " (never opened by this name)");
        if (qcow2.data_file_name)
            page.row("data file", quote_untrusted(*qcow2.data_file_name) + " (never opened by this name)");
        for (const SnapshotInfo& snapshot : qcow2.snapshots)
            page.row("snapshot", fmt::format("{} {}, {}", quote_untrusted(snapshot.id), quote_untrusted(snapshot.name),
                                             format_size(snapshot.disk_size)));
    }
    void operator()(const VmdkInfo& vmdk) const {
        if (vmdk.grain_size != 0)
            page.row("grains", count_line(vmdk.grains));
        page.row_unless_empty("features", fmt::format("{}", fmt::join(escaped(vmdk.features), ", ")));
        page.row("content ID", fmt::format("{:08x}", vmdk.content_id));
        if (vmdk.parent_content_id)
            page.row("parent", fmt::format("{:08x} {} (never opened by this name)", *vmdk.parent_content_id,
                                           quote_untrusted(vmdk.parent_hint)));
        for (const VmdkExtentInfo& extent : vmdk.extents)
            page.row("extent", fmt::format("{} {} {}", escape_untrusted(extent.type), quote_untrusted(extent.name),
                                           format_size(extent.size)));
        if (vmdk.extent_count > vmdk.extents.size())
            page.row("extents", fmt::format("{} in all", vmdk.extent_count));
    }
    void operator()(const VhdInfo& vhd) const {
        if (vhd.block_size != 0)
            page.row("blocks", count_line(vhd.blocks));
        page.row("creator", fmt::format("{}, whose disks have the size of their {}", quote_untrusted(vhd.creator),
                                        vhd.size_by_geometry ? "geometry" : "footer"));
        page.row("disk ID", vhd.id);
        if (vhd.parent_id)
            page.row("parent", fmt::format("{} {} (never opened by this name)", *vhd.parent_id,
                                           quote_untrusted(vhd.parent_name)));
    }
    void operator()(const VhdxInfo& vhdx) const {
        page.row("blocks", count_line(vhdx.blocks));
        page.row("sectors",
                 fmt::format("{} bytes, {} on the medium", vhdx.logical_sector_size, vhdx.physical_sector_size));
        page.row_unless_empty("creator", escape_untrusted(vhdx.creator));
        page.row_unless_empty("disk ID", vhdx.disk_id);
        page.row_unless_empty("data ID", vhdx.data_id);
        if (vhdx.parent_id)
            page.row("parent", fmt::format("{} {} (never opened by this name)", *vhdx.parent_id,
                                           quote_untrusted(vhdx.parent_name)));
        if (vhdx.replayed_log_entries != 0)
            page.row("log", fmt::format("not closed: read with {} changes that its last user had written down",
                                        vhdx.replayed_log_entries));
    }
    void operator()(const VdiInfo& vdi) const {
        page.row("blocks", count_line(vdi.blocks));
        page.row_unless_empty("comment", escape_untrusted(vdi.comment));
    }
};

struct FormatJson {
    Json operator()(const RawInfo& /*raw*/) const { return nullptr; }
    Json operator()(const Qcow2Info& qcow2) const {
        Json json = {{"version", qcow2.version},
                     {"cluster_size", qcow2.cluster_size},
                     {"refcount_bits", qcow2.refcount_bits},
                     {"compression", qcow2.compression},
                     {"features", escaped(qcow2.features)},
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
                     {"features", escaped(vmdk.features)},
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

} // namespace

void describe_disk(Page& page, const DiskFindings& findings) {
    const DiskInfo& info = findings.info;
    if (!findings.format_known) {
        page.row("format", findings.foreign_format.value_or("not known"));
        page.row("file", format_size(info.file_size));
        page.row("verdict", "refused: " + findings.refusal.value_or(""));
        return;
    }
    page.row("format", std::visit(FormatLine{}, info.details));
    if (size_is_known(findings)) {
        page.row("virtual size", fmt::format("{} ({} bytes)", format_size(info.virtual_size), info.virtual_size));
        page.row("allocated", format_size(info.allocated_size));
    } else {
        page.row("virtual size", "not known");
    }
    page.row("file", format_size(info.file_size));
    std::visit(FormatRows{page}, info.details);
    page.row("verdict", findings.refusal ? "refused: " + *findings.refusal : "safe to convert");
}

Json disk_to_json(const DiskFindings& findings) {
    const DiskInfo& info = findings.info;
    if (!findings.format_known) {
        Json unread = {{"format", findings.foreign_format ? Json(*findings.foreign_format) : Json(nullptr)},
                       {"file_size", info.file_size}};
        unread["verdict"] = {{"safe", false}, {"refusal", findings.refusal.value_or("")}};
        return unread;
    }
    Json disk = {{"format", to_string(info.format)},
                 {"virtual_size", size_is_known(findings) ? Json(info.virtual_size) : Json(nullptr)},
                 {"allocated_size", size_is_known(findings) ? Json(info.allocated_size) : Json(nullptr)},
                 {"file_size", info.file_size}};
    if (Json details = std::visit(FormatJson{}, info.details); !details.is_null())
        disk[std::string(to_string(info.format))] = std::move(details);
    disk["verdict"] = {{"safe", !findings.refusal.has_value()}};
    if (findings.refusal)
        disk["verdict"]["refusal"] = *findings.refusal;
    return disk;
}

Json packing_to_json(const FilePacking& packing) {
    return {{"format", to_string(packing.compression)},
            {"stored_size", packing.stored_size},
            {"read", to_string(packing.method)}};
}

} // namespace vm2oci::cli
