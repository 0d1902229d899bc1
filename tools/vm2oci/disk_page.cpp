#include "tools/vm2oci/disk_page.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "tools/vm2oci/hint_words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace vm2oci::cli {
namespace {

std::string count_line(const BlockCounts& counts) {
    return fmt::format("{} data, {} compressed, {} zero, {} unallocated", counts.data, counts.compressed, counts.zero,
                       counts.unallocated);
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
        page.row_unless_empty("features", fmt::format("{}", fmt::join(escape_each(qcow2.features), ", ")));
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
        page.row_unless_empty("features", fmt::format("{}", fmt::join(escape_each(vmdk.features), ", ")));
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
        page.row("verdict", "refused: " + with_words(findings.refusal.value_or(""), findings.refusal_hint));
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
    page.row("verdict",
             findings.refusal ? "refused: " + with_words(*findings.refusal, findings.refusal_hint) : "safe to convert");
}

} // namespace vm2oci::cli
