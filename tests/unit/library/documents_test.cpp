// Documents that the program writes are read back into values, and those give the same documents.
#include "formats/base/fd.hpp"
#include "libconvert/edit/edit_disk.hpp"
#include "runner/judge/judge.hpp"
#include "runner/report/boot_checks.hpp"
#include "runner/report/json.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/support/phony_guests.hpp"
#include "tools/documents/document.hpp"
#include "tools/documents/inspection.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <vm2oci/documents.hpp>

#include <filesystem>
#include <set>

using namespace vm2oci;
using namespace std::chrono_literals;

namespace {

// Members have no order.
nlohmann::json parsed(const std::string& document) {
    return nlohmann::json::parse(document);
}

template <class Read>
void check_round_trip(const std::string& document, Read&& read) {
    CHECK(parsed(v0::write_document(read(document))) == parsed(document));
}

v0::ErrorKind refusal_of(const std::string& document) {
    try {
        v0::read_inspection(document);
    } catch (const v0::Error& error) {
        return error.kind();
    }
    return v0::ErrorKind::usage;
}

// A volume of each kind, names that are no text, and things that are missing.
OpenedGuest opened(std::unique_ptr<Guest> guest) {
    OpenedGuest result;
    const auto device = std::make_shared<test::MemoryDevice>(1 << 20);
    result.disk = device;
    result.layout.table = {TableKind::gpt, "0000-1111", 512, {}, true, {"the second table is damaged"}};
    result.layout.table.partitions.push_back(
        {1, 2048, 4096, PartitionRole::logical, "0x83", "Linux", "r\xff\noot", "ab-01", 0, true});
    result.layout.further_tables.push_back({});
    result.layout.volumes.push_back(
        {"partition 1", device, Signature{ContentKind::file_system, "ext4", "u", "l\x01", ""}, 0, 0, "", "", {}});
    result.layout.volumes.push_back({"logical volume vg/lv", device, std::nullopt, 0, std::nullopt, "vg/lv", "x", {}});
    result.layout.remarks = {"a remark"};
    result.fstab.push_back({"UUID=u", "/", "ext4", {"defaults"}});
    result.fstab_volumes = {0};
    result.fstab.push_back({"/dev/sdz1", "/data", "xfs", {"nofail", "noatime"}});
    result.fstab_volumes.push_back(std::nullopt);
    result.missing.push_back({"/data", "/dev/sdz1", "it is not there", MountNeed::optional, MissingRemedy::none});
    result.guest = std::move(guest);
    result.backend = result.guest ? "native" : "";
    result.reason = result.guest ? "" : "nothing looks like a root";
    return result;
}

DiskSeen seen(DiskInfo info, std::optional<std::string> refusal = std::nullopt) {
    DiskSeen disk;
    disk.name = "a disk";
    disk.findings.info = std::move(info);
    disk.findings.format_known = true;
    disk.findings.refusal = std::move(refusal);
    if (disk.findings.refusal)
        disk.findings.refusal_hint = {HintKind::guest_backend, "libguestfs"};
    return disk;
}

DiskInfo info_of(DiskFormat format) {
    DiskInfo info;
    info.format = format;
    info.file_size = 7;
    info.virtual_size = 1 << 30;
    return info;
}

std::vector<DiskSeen> disks_of_every_format() {
    std::vector<DiskSeen> disks = {seen(info_of(DiskFormat::raw))};
    DiskInfo qcow2 = info_of(DiskFormat::qcow2);
    qcow2.details = Qcow2Info{
        3, 65536, 16, "zstd", {"lazy refcounts"}, "base\xfe", "data", 1, {{"1", "s\n", 5, 6, -7}}, {1, 2, 3, 4}};
    disks.push_back(seen(qcow2, "no backing file"));
    DiskInfo vmdk = info_of(DiskFormat::vmdk);
    VmdkInfo details;
    details.create_type = "monolithicSparse";
    details.parent_content_id = 0xfffffffe;
    details.parent_hint = "p.vmdk";
    details.extents.push_back({});
    vmdk.details = details;
    disks.push_back(seen(vmdk));
    DiskInfo vhd = info_of(DiskFormat::vhd);
    VhdInfo of_vhd;
    of_vhd.parent_id = "12-34";
    vhd.details = of_vhd;
    disks.push_back(seen(vhd));
    DiskInfo vhdx = info_of(DiskFormat::vhdx);
    VhdxInfo of_vhdx;
    of_vhdx.parent_id = "56-78";
    vhdx.details = of_vhdx;
    disks.push_back(seen(vhdx, "a log"));
    DiskInfo vdi = info_of(DiskFormat::vdi);
    vdi.details = VdiInfo{};
    disks.push_back(seen(vdi));
    disks.push_back(DiskSeen{"foreign", {{}, false, "QED", "QED is not read", {}, ErrorKind::unsupported}, {}});
    disks.push_back(
        DiskSeen{"unknown", {{}, false, std::nullopt, "nothing that is known", {}, ErrorKind::corrupt}, {}});
    return disks;
}

std::string document_of(const DiskInspection& inspection) {
    return document_text(to_json(inspection, "web01.qcow2"));
}

DiskInspection inspection_of(std::unique_ptr<Guest> guest) {
    DiskInspection inspection;
    inspection.disks = {seen(info_of(DiskFormat::raw))};
    GuestFindings& findings = inspection.guest.emplace();
    findings.opened = opened(std::move(guest));
    findings.info = inspect_guest(findings.opened, {});
    findings.problems = diagnose(findings.opened);
    return inspection;
}

} // namespace

TEST_CASE("the inspection of every guest of the population is read back") {
    std::set<std::string> products;
    for (const test::PhonyGuest& each : test::phony_guests()) {
        INFO(each.name);
        const std::string document = document_of(inspection_of(std::make_unique<test::MemoryGuest>(each.guest)));
        check_round_trip(document, v0::read_inspection);
        const v0::Inspection read = v0::read_inspection(document);
        REQUIRE(read.inside->guest);
        products.insert(read.inside->guest->os.distribution.value_or(""));
        CHECK(read.inside->volumes[1].disk == std::nullopt);
        CHECK(read.inside->table.partitions[0].name == "r\\xff\\x0aoot");
    }
    CHECK(products.size() > 5);
}

TEST_CASE("an inspection without a guest, refused, or of several disks is read back") {
    check_round_trip(document_of(inspection_of(nullptr)), v0::read_inspection);
    DiskInspection refused = inspection_of(nullptr);
    refused.guest->refusal = "the table contradicts itself";
    check_round_trip(document_of(refused), v0::read_inspection);
    refused.guest.reset();
    check_round_trip(document_of(refused), v0::read_inspection);
    for (DiskSeen& disk : disks_of_every_format()) {
        DiskInspection one;
        one.disks = {disk};
        INFO(document_of(one));
        check_round_trip(document_of(one), v0::read_inspection);
        CHECK(v0::read_inspection(document_of(one)).disk->verdict.refusal == disk.findings.refusal);
    }
    DiskInspection several;
    several.disks = disks_of_every_format();
    several.hardware.emplace().source = "OVF";
    several.hardware->firmware = MachineFirmware::uefi;
    several.hardware->secure_boot = false;
    several.hardware->controllers.push_back({});
    several.hardware->disks.push_back({});
    several.hardware->nics.push_back({});
    several.trust = ContentTrust::verified;
    several.remarks = {"one", "two"};
    check_round_trip(document_of(several), v0::read_inspection);
    CHECK(v0::read_inspection(document_of(several)).disks.size() == several.disks.size());
}

TEST_CASE("the inspection of an image is read back, with and without a disk") {
    ImageFindings findings;
    findings.content.manifest = {"application/vnd.oci.image.manifest.v1+json", Digest::of("m"), 12};
    findings.content.top = findings.content.manifest;
    findings.no_disk = "it is no containerDisk";
    const auto document = [&] { return document_text(to_json(findings, "oci:images:web01")); };
    check_round_trip(document(), v0::read_inspection);
    findings.content.top.digest = Digest::of("i");
    findings.content.config.emplace().labels["a"] = "b";
    findings.content.config->diff_ids = {Digest::of("d")};
    findings.content.parsed_manifest.annotations["x\n"] = "y";
    findings.content.parsed_manifest.layers.push_back({"layer", Digest::of("l"), 5});
    findings.referrers.push_back({"signature", Digest::of("s"), 6});
    findings.disk = disks_of_every_format()[1].findings;
    findings.disk_path = "disk/disk.qcow2";
    check_round_trip(document(), v0::read_inspection);
    CHECK(v0::read_inspection(document()).disk->path == "/disk/disk.qcow2");
    CHECK_FALSE(v0::read_inspection(document()).inside);
}

TEST_CASE("the report of every recorded console is read back") {
    unsigned reports = 0;
    unsigned with_rule = 0;
    for (const auto& entry : std::filesystem::directory_iterator(CONSOLES)) {
        if (entry.path().extension() != ".log")
            continue;
        INFO(entry.path());
        Judge judge{JudgePolicy()};
        const std::string console = read_file(entry.path(), 1 << 20).value();
        judge.console(console, {1s, 2s});
        for (Milliseconds now = 1s; now < 101s && !judge.verdict(); now += 250ms)
            judge.tick({now, 2s});
        vm2oci::BootReport report;
        report.source = "web01.qcow2";
        report.verdict = judge.verdict();
        report.milestones = judge.milestones();
        report.findings = judge.findings();
        report.checks = boot_check::planned({}, {}, {"true"});
        report.last_line = judge.last_line();
        report.console.append(console);
        const std::string document = boot_report_json(report);
        check_round_trip(document, v0::read_boot_report);
        ++reports;
        with_rule += v0::read_boot_report(document).verdict->rule ? 1U : 0U;
    }
    CHECK(reports > 100);
    CHECK(with_rule > 20);
}

TEST_CASE("a report with everything in it is read back") {
    vm2oci::BootReport report;
    check_round_trip(boot_report_json(report), v0::read_boot_report);
    report.probe.emplace().steps.push_back({"open", 12us});
    report.agent.emplace().version = "7.2";
    report.own_agent.emplace().addresses = {"10.0.2.15"};
    report.facts.emplace().listening = {"tcp/22"};
    report.direct_kernel_size = 5;
    report.restart_reason = "it asked for another machine";
    vm2oci::BootComparison& comparison = report.comparison.emplace();
    comparison.original = "web01.qcow2";
    comparison.problem = "no agent";
    comparison.units_missing = {"nginx.service"};
    report.checks = {{"exec: true", CheckState::failed, BootInstant{5s, 6s}, "it said no", "output"}};
    check_round_trip(boot_report_json(report), v0::read_boot_report);
}

TEST_CASE("what is no document of this form is refused, and what is not known is left out") {
    const std::string good = document_of(inspection_of(nullptr));
    nlohmann::ordered_json changed = nlohmann::ordered_json::parse(good);
    changed["invented_later"] = {1, 2};
    changed["disk"]["invented_later"] = true;
    CHECK(parsed(v0::write_document(v0::read_inspection(changed.dump()))) == parsed(good));
    CHECK(refusal_of("") == v0::ErrorKind::corrupt);
    CHECK(refusal_of("[1]") == v0::ErrorKind::corrupt);
    CHECK(refusal_of("{}") == v0::ErrorKind::corrupt);
    CHECK(refusal_of(std::string(100000, '[')) == v0::ErrorKind::corrupt);
    changed["schema_version"] = 2;
    CHECK(refusal_of(changed.dump()) == v0::ErrorKind::unsupported);
    changed["schema_version"] = "1";
    CHECK(refusal_of(changed.dump()) == v0::ErrorKind::corrupt);
    changed["schema_version"] = 1;
    changed["disk"]["file_size"] = -1;
    CHECK(refusal_of(changed.dump()) == v0::ErrorKind::corrupt);
    changed["disk"] = nullptr;
    changed["inside"]["volumes"] = {{"name", 5}};
    CHECK_THROWS_WITH(v0::read_inspection(changed.dump()), Catch::Contains("inside.volumes"));
    CHECK_THROWS_AS(v0::read_boot_report(good), v0::Error);
}
