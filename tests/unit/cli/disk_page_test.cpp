// The page of a disk: what each format says of itself, and what it is refused for.
#include "formats/base/size.hpp"
#include "tests/unit/cli/page_rows.hpp"
#include "tools/vm2oci/disk_page.hpp"
#include "tools/vm2oci/page.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::cli;

namespace {

template <class Details>
DiskFindings findings_of(DiskFormat format, Details details) {
    DiskFindings findings;
    findings.format_known = true;
    findings.info.format = format;
    findings.info.file_size = 3 * MiB;
    findings.info.virtual_size = 10 * GiB;
    findings.info.allocated_size = 2 * MiB;
    findings.info.details = std::move(details);
    return findings;
}

std::string page_of(const DiskFindings& findings) {
    Page page;
    describe_disk(page, findings);
    return page.text();
}

std::string row_of(const DiskFindings& findings, const std::string& name) {
    return test::row_of_page(page_of(findings), name);
}

} // namespace

TEST_CASE("the page of a raw disk is its sizes and a verdict") {
    CHECK(page_of(findings_of(DiskFormat::raw, RawInfo())) == "  format        raw\n"
                                                              "  virtual size  10 GiB (10737418240 bytes)\n"
                                                              "  allocated     2 MiB\n"
                                                              "  file          3 MiB\n"
                                                              "  verdict       safe to convert\n");
}

TEST_CASE("a file of no format is refused by the name that it has, with what would help") {
    DiskFindings findings;
    findings.info.file_size = 512;
    findings.refusal = "it is a QED image";
    findings.foreign_format = "QED";
    CHECK(page_of(findings) == "  format   QED\n"
                               "  file     512 B\n"
                               "  verdict  refused: it is a QED image\n");
    findings.foreign_format.reset();
    findings.refusal_hint = HintKind::allow_truncated;
    CHECK(row_of(findings, "format") == "not known");
    CHECK(row_of(findings, "verdict") ==
          "refused: it is a QED image; get it again, or give --allow-truncated to read what is missing as zeros");
}

TEST_CASE("a header that cannot be read tells no size, and one that can does") {
    DiskFindings findings = findings_of(DiskFormat::qcow2, Qcow2Info());
    findings.refusal = "its L1 table lies outside of the file";
    CHECK(row_of(findings, "virtual size") == "10 GiB (10737418240 bytes)");
    CHECK(row_of(findings, "verdict") == "refused: its L1 table lies outside of the file");
    findings.info.virtual_size = 0;
    CHECK(row_of(findings, "virtual size") == "not known");
    CHECK(row_of(findings, "allocated").empty());
    findings.refusal.reset();
    CHECK(row_of(findings, "virtual size") == "0 B (0 bytes)");
}

TEST_CASE("the page of a qcow2 has its clusters, and no name in it is taken at its word") {
    Qcow2Info qcow2;
    qcow2.version = 3;
    qcow2.cluster_size = 64 * KiB;
    qcow2.compression = "zlib";
    qcow2.clusters = {7, 0, 5, 11};
    CHECK(row_of(findings_of(DiskFormat::qcow2, qcow2), "format") == "qcow2, version 3, clusters of 64 KiB");
    CHECK(row_of(findings_of(DiskFormat::qcow2, qcow2), "clusters") == "7 data, 0 compressed, 5 zero, 11 unallocated");
    for (const char* absent : {"features", "backing file", "data file", "snapshot"})
        CHECK(row_of(findings_of(DiskFormat::qcow2, qcow2), absent).empty());
    qcow2.clusters.compressed = 1;
    CHECK(row_of(findings_of(DiskFormat::qcow2, qcow2), "format") == "qcow2, version 3, clusters of 64 KiB, zlib");
    // That it is not the default is told whether clusters have it or not: readers must know it.
    qcow2.clusters.compressed = 0;
    qcow2.compression = "zstd";
    CHECK(row_of(findings_of(DiskFormat::qcow2, qcow2), "format") == "qcow2, version 3, clusters of 64 KiB, zstd");
    qcow2.features = {"dirty", "odd\x1b[31m"};
    qcow2.backing_file_name = "/etc/shadow\n";
    qcow2.data_file_name = "json:{}";
    qcow2.snapshots = {{"1", "before\tupgrade", 5 * GiB, 0, 0}, {"2", "", 512, 0, 0}};
    const DiskFindings findings = findings_of(DiskFormat::qcow2, qcow2);
    CHECK(row_of(findings, "features") == "dirty, odd\\x1b[31m");
    CHECK(row_of(findings, "backing file") == "'/etc/shadow\\x0a' (never opened by this name)");
    CHECK(row_of(findings, "data file") == "'json:{}' (never opened by this name)");
    CHECK(row_of(findings, "snapshot") == "'1' 'before\\x09upgrade', 5 GiB\n'2' '', 512 B");
}

TEST_CASE("the page of a VMDK tells its kind, its extents and whose delta it is") {
    VmdkInfo vmdk;
    CHECK(row_of(findings_of(DiskFormat::vmdk, vmdk), "format") == "VMDK");
    CHECK(row_of(findings_of(DiskFormat::vmdk, vmdk), "grains").empty());
    vmdk.create_type = "monolithicFlat";
    vmdk.content_id = 0xabc;
    CHECK(row_of(findings_of(DiskFormat::vmdk, vmdk), "format") == "VMDK, monolithicFlat");
    CHECK(row_of(findings_of(DiskFormat::vmdk, vmdk), "content ID") == "00000abc");
    vmdk.create_type = "stream\x07Optimized";
    vmdk.version = 3;
    vmdk.grain_size = 64 * KiB;
    vmdk.grains = {1, 2, 3, 4};
    vmdk.compressed = true;
    vmdk.features = {"unclean shutdown"};
    vmdk.parent_content_id = 0xfffffffe;
    vmdk.parent_hint = "../base.vmdk";
    vmdk.extents = {{"SPARSE", "a-s001.vmdk", 2 * GiB}, {"ZERO", "", 512}};
    vmdk.extent_count = 2;
    const DiskFindings findings = findings_of(DiskFormat::vmdk, vmdk);
    CHECK(row_of(findings, "format") == "VMDK, stream\\x07Optimized, version 3, grains of 64 KiB, compressed");
    CHECK(row_of(findings, "grains") == "1 data, 2 compressed, 3 zero, 4 unallocated");
    CHECK(row_of(findings, "features") == "unclean shutdown");
    CHECK(row_of(findings, "parent") == "fffffffe '../base.vmdk' (never opened by this name)");
    CHECK(row_of(findings, "extent") == "SPARSE 'a-s001.vmdk' 2 GiB\nZERO '' 512 B");
    CHECK(row_of(findings, "extents").empty());
    vmdk.extent_count = 100;
    CHECK(row_of(findings_of(DiskFormat::vmdk, vmdk), "extents") == "100 in all");
}

TEST_CASE("the page of a VHD says whose size counts") {
    VhdInfo vhd;
    CHECK(row_of(findings_of(DiskFormat::vhd, vhd), "format") == "VHD");
    vhd.type = "fixed";
    vhd.creator = "vpc ";
    vhd.size_by_geometry = true;
    vhd.id = "11223344-5566-7788-99aa-bbccddeeff00";
    CHECK(row_of(findings_of(DiskFormat::vhd, vhd), "format") == "VHD, fixed");
    CHECK(row_of(findings_of(DiskFormat::vhd, vhd), "blocks").empty());
    CHECK(row_of(findings_of(DiskFormat::vhd, vhd), "creator") ==
          "'vpc ', whose disks have the size of their geometry");
    CHECK(row_of(findings_of(DiskFormat::vhd, vhd), "disk ID") == "11223344-5566-7788-99aa-bbccddeeff00");
    CHECK(row_of(findings_of(DiskFormat::vhd, vhd), "parent").empty());
    vhd.type = "differencing";
    vhd.block_size = 2 * MiB;
    vhd.blocks = {1, 0, 0, 9};
    vhd.creator = "win ";
    vhd.size_by_geometry = false;
    vhd.parent_id = "00ff";
    vhd.parent_name = "C:\\base.vhd";
    const DiskFindings findings = findings_of(DiskFormat::vhd, vhd);
    CHECK(row_of(findings, "format") == "VHD, differencing, blocks of 2 MiB");
    CHECK(row_of(findings, "blocks") == "1 data, 0 compressed, 0 zero, 9 unallocated");
    CHECK(row_of(findings, "creator") == "'win ', whose disks have the size of their footer");
    CHECK(row_of(findings, "parent") == "00ff 'C:\\\\base.vhd' (never opened by this name)");
}

TEST_CASE("the pages of VHDX and VDI") {
    VhdxInfo vhdx;
    CHECK(row_of(findings_of(DiskFormat::vhdx, vhdx), "format") == "VHDX");
    vhdx.type = "dynamic";
    vhdx.block_size = 32 * MiB;
    vhdx.logical_sector_size = 512;
    vhdx.physical_sector_size = 4096;
    DiskFindings findings = findings_of(DiskFormat::vhdx, vhdx);
    CHECK(row_of(findings, "format") == "VHDX, dynamic, blocks of 32 MiB");
    CHECK(row_of(findings, "sectors") == "512 bytes, 4096 on the medium");
    for (const char* absent : {"creator", "disk ID", "data ID", "parent", "log"})
        CHECK(row_of(findings, absent).empty());
    vhdx.creator = "Microsoft\xff";
    vhdx.disk_id = "d-1";
    vhdx.data_id = "d-2";
    vhdx.parent_id = "d-3";
    vhdx.parent_name = "base.vhdx";
    vhdx.replayed_log_entries = 2;
    findings = findings_of(DiskFormat::vhdx, vhdx);
    CHECK(row_of(findings, "creator") == "Microsoft\\xff");
    CHECK(row_of(findings, "disk ID") == "d-1");
    CHECK(row_of(findings, "data ID") == "d-2");
    CHECK(row_of(findings, "parent") == "d-3 'base.vhdx' (never opened by this name)");
    CHECK(row_of(findings, "log") == "not closed: read with 2 changes that its last user had written down");

    VdiInfo vdi;
    CHECK(row_of(findings_of(DiskFormat::vdi, vdi), "format") == "VDI");
    CHECK(row_of(findings_of(DiskFormat::vdi, vdi), "comment").empty());
    vdi.type = "fixed";
    vdi.block_size = MiB;
    vdi.comment = "made\nby hand";
    vdi.blocks.zero = 4;
    CHECK(row_of(findings_of(DiskFormat::vdi, vdi), "format") == "VDI, fixed, blocks of 1 MiB");
    CHECK(row_of(findings_of(DiskFormat::vdi, vdi), "blocks") == "0 data, 0 compressed, 4 zero, 0 unallocated");
    CHECK(row_of(findings_of(DiskFormat::vdi, vdi), "comment") == "made\\x0aby hand");
}
