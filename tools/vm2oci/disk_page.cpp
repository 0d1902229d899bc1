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

std::string format_line(const DiskInfo& info) {
    if (info.format == DiskFormat::raw)
        return "raw";
    std::string line =
        fmt::format("qcow2, version {}, clusters of {}", info.qcow2_version, format_size(info.cluster_size));
    if (info.compressed_clusters > 0 || info.compression == "zstd")
        line += ", " + info.compression;
    return line;
}

std::string cluster_line(const DiskInfo& info) {
    return fmt::format("{} data, {} compressed, {} zero, {} unallocated", info.data_clusters, info.compressed_clusters,
                       info.zero_clusters, info.unallocated_clusters);
}

} // namespace

void describe_disk(Page& page, const DiskFindings& findings) {
    const DiskInfo& info = findings.info;
    if (!findings.format_known) {
        page.row("format", findings.foreign_format ? *findings.foreign_format + " (not read here)" : "not known");
        page.row("file", format_size(info.file_size));
        page.row("verdict", "refused: " + findings.refusal.value_or(""));
        return;
    }
    page.row("format", format_line(info));
    page.row("virtual size", fmt::format("{} ({} bytes)", format_size(info.virtual_size), info.virtual_size));
    page.row("allocated", format_size(info.allocated_size));
    page.row("file", format_size(info.file_size));
    if (info.format == DiskFormat::qcow2) {
        page.row("clusters", cluster_line(info));
        page.row_unless_empty("features", fmt::format("{}", fmt::join(escaped(info.features), ", ")));
        if (info.backing_file_name)
            page.row("backing file", quote_untrusted(*info.backing_file_name) + " (never opened by this name)");
        if (info.data_file_name)
            page.row("data file", quote_untrusted(*info.data_file_name) + " (never opened by this name)");
        for (const SnapshotInfo& snapshot : info.snapshots)
            page.row("snapshot", fmt::format("{} {}, {}", quote_untrusted(snapshot.id), quote_untrusted(snapshot.name),
                                             format_size(snapshot.disk_size)));
    }
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
                 {"virtual_size", info.virtual_size},
                 {"allocated_size", info.allocated_size},
                 {"file_size", info.file_size}};
    if (info.format == DiskFormat::qcow2) {
        disk["qcow2"] = {{"version", info.qcow2_version},
                         {"cluster_size", info.cluster_size},
                         {"refcount_bits", info.refcount_bits},
                         {"compression", info.compression},
                         {"features", escaped(info.features)},
                         {"clusters",
                          {{"data", info.data_clusters},
                           {"compressed", info.compressed_clusters},
                           {"zero", info.zero_clusters},
                           {"unallocated", info.unallocated_clusters}}}};
        Json snapshots = Json::array();
        for (const SnapshotInfo& snapshot : info.snapshots)
            snapshots.push_back({{"id", escape_untrusted(snapshot.id)},
                                 {"name", escape_untrusted(snapshot.name)},
                                 {"disk_size", snapshot.disk_size},
                                 {"vm_state_size", snapshot.vm_state_size},
                                 {"created", snapshot.created_unix}});
        disk["qcow2"]["snapshots"] = snapshots;
        if (info.backing_file_name)
            disk["qcow2"]["backing_file"] = escape_untrusted(*info.backing_file_name);
        if (info.data_file_name)
            disk["qcow2"]["data_file"] = escape_untrusted(*info.data_file_name);
    }
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
