// Each member of an inspection, by its name and from its own fact: what programs read for years.
#include "formats/base/size.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/support/memory_guest.hpp"
#include "tools/documents/document.hpp"
#include "tools/documents/error_code.hpp"
#include "tools/documents/inspection.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

using namespace vm2oci;
using nlohmann::json;

namespace {

json plain(const nlohmann::ordered_json& document) {
    return json::parse(document.dump());
}

template <class Details>
DiskFindings findings_of(DiskFormat format, Details details) {
    DiskFindings findings;
    findings.format_known = true;
    findings.info.format = format;
    findings.info.file_size = 1000;
    findings.info.virtual_size = 2000;
    findings.info.allocated_size = 300;
    findings.info.details = std::move(details);
    return findings;
}

constexpr BlockCounts kCounts = {1, 2, 3, 4};
const json kCountsJson = {{"data", 1}, {"compressed", 2}, {"zero", 3}, {"unallocated", 4}};

Digest digest(char c) {
    return Digest::parse("sha256:" + std::string(64, c));
}

} // namespace

TEST_CASE("a document begins with its version, and bytes that are no text are replaced") {
    const std::string text = document_text({{"a", "x\xff"}, {"b", nullptr}});
    CHECK(text.starts_with("{\n  \"schema_version\": "));
    CHECK(text.ends_with("\n}\n"));
    CHECK(json::parse(text)["a"] == "x\xef\xbf\xbd");
    CHECK(json::parse(text)["b"].is_null());
    CHECK(hint_to_json({}).is_null());
    CHECK(plain(hint_to_json({HintKind::guest_backend, "libguestfs"})) ==
          json{{"kind", to_string(HintKind::guest_backend)}, {"argument", "libguestfs"}});
}

TEST_CASE("sizes of a disk are told where its header tells them") {
    DiskFindings findings = findings_of(DiskFormat::raw, RawInfo());
    CHECK(plain(disk_to_json(findings)) == json{{"format", "raw"},
                                                {"virtual_size", 2000},
                                                {"allocated_size", 300},
                                                {"file_size", 1000},
                                                {"verdict", {{"safe", true}}}});
    findings.refusal = "no";
    findings.refusal_hint = HintKind::allow_in_use;
    CHECK(plain(disk_to_json(findings))["verdict"] ==
          json{{"safe", false},
               {"refusal", "no"},
               {"hint", {{"kind", to_string(HintKind::allow_in_use)}, {"argument", ""}}}});
    CHECK(disk_to_json(findings)["virtual_size"] == 2000);
    findings.info.virtual_size = 0;
    CHECK(disk_to_json(findings)["virtual_size"].is_null());
    CHECK(disk_to_json(findings)["allocated_size"].is_null());
    DiskFindings unknown;
    unknown.info.file_size = 7;
    unknown.refusal = "what is it?";
    json expected = {{"format", nullptr},
                     {"virtual_size", nullptr},
                     {"allocated_size", nullptr},
                     {"file_size", 7},
                     {"verdict", {{"safe", false}, {"refusal", "what is it?"}, {"hint", nullptr}}}};
    CHECK(plain(disk_to_json(unknown)) == expected);
    unknown.foreign_format = "QED";
    expected["format"] = "QED";
    CHECK(plain(disk_to_json(unknown)) == expected);
}

TEST_CASE("a qcow2's own members") {
    Qcow2Info qcow2;
    qcow2.version = 3;
    qcow2.cluster_size = 65536;
    qcow2.refcount_bits = 16;
    qcow2.compression = "zstd";
    qcow2.features = {"dirty", "x\n"};
    qcow2.clusters = kCounts;
    json expected = {{"version", 3},
                     {"cluster_size", 65536},
                     {"refcount_bits", 16},
                     {"compression", "zstd"},
                     {"features", {"dirty", "x\\x0a"}},
                     {"clusters", kCountsJson},
                     {"snapshots", json::array()}};
    CHECK(plain(disk_to_json(findings_of(DiskFormat::qcow2, qcow2)))["qcow2"] == expected);
    qcow2.backing_file_name = "b\x01";
    qcow2.data_file_name = "d";
    qcow2.snapshots = {{"1", "n\x02", 10, 20, -30}};
    expected["backing_file"] = "b\\x01";
    expected["data_file"] = "d";
    expected["snapshots"] =
        json::array({{{"id", "1"}, {"name", "n\\x02"}, {"disk_size", 10}, {"vm_state_size", 20}, {"created", -30}}});
    CHECK(plain(disk_to_json(findings_of(DiskFormat::qcow2, qcow2)))["qcow2"] == expected);
}

TEST_CASE("the members of VMDK, VHD, VHDX and VDI") {
    VmdkInfo vmdk;
    vmdk.create_type = "streamOptimized";
    vmdk.version = 3;
    vmdk.grain_size = 512;
    vmdk.compressed = true;
    vmdk.content_id = 0x1a;
    vmdk.features = {"zeroed grains"};
    vmdk.extents = {{"SPARSE", "e\x01", 5}};
    vmdk.extent_count = 9;
    vmdk.grains = kCounts;
    json expected = {{"create_type", "streamOptimized"},
                     {"version", 3},
                     {"grain_size", 512},
                     {"compressed", true},
                     {"features", json::array({"zeroed grains"})},
                     {"content_id", "0000001a"},
                     {"grains", kCountsJson},
                     {"extent_count", 9},
                     {"extents", json::array({{{"type", "SPARSE"}, {"name", "e\\x01"}, {"size", 5}}})}};
    CHECK(plain(disk_to_json(findings_of(DiskFormat::vmdk, vmdk)))["vmdk"] == expected);
    vmdk.parent_content_id = 0xffffffff;
    vmdk.parent_hint = "p";
    expected["parent"] = {{"content_id", "ffffffff"}, {"name", "p"}};
    CHECK(plain(disk_to_json(findings_of(DiskFormat::vmdk, vmdk)))["vmdk"] == expected);

    VhdInfo vhd;
    vhd.type = "differencing";
    vhd.creator = "vpc ";
    vhd.size_by_geometry = true;
    vhd.block_size = 4096;
    vhd.id = "i";
    vhd.blocks = kCounts;
    expected = {{"type", "differencing"},   {"block_size", 4096}, {"creator", "vpc "},
                {"size_by_geometry", true}, {"disk_id", "i"},     {"blocks", kCountsJson}};
    CHECK(plain(disk_to_json(findings_of(DiskFormat::vhd, vhd)))["vhd"] == expected);
    vhd.parent_id = "j";
    vhd.parent_name = "n\t";
    expected["parent"] = {{"disk_id", "j"}, {"name", "n\\x09"}};
    CHECK(plain(disk_to_json(findings_of(DiskFormat::vhd, vhd)))["vhd"] == expected);

    VhdxInfo vhdx;
    vhdx.type = "dynamic";
    vhdx.creator = "c\x7f";
    vhdx.block_size = 1;
    vhdx.logical_sector_size = 512;
    vhdx.physical_sector_size = 4096;
    vhdx.disk_id = "d1";
    vhdx.data_id = "d2";
    vhdx.replayed_log_entries = 6;
    vhdx.blocks = kCounts;
    expected = {{"type", "dynamic"},
                {"block_size", 1},
                {"logical_sector_size", 512},
                {"physical_sector_size", 4096},
                {"creator", "c\\x7f"},
                {"disk_id", "d1"},
                {"data_id", "d2"},
                {"replayed_log_entries", 6},
                {"blocks", kCountsJson}};
    CHECK(plain(disk_to_json(findings_of(DiskFormat::vhdx, vhdx)))["vhdx"] == expected);
    vhdx.parent_id = "d3";
    vhdx.parent_name = "n";
    expected["parent"] = {{"data_id", "d3"}, {"name", "n"}};
    CHECK(plain(disk_to_json(findings_of(DiskFormat::vhdx, vhdx)))["vhdx"] == expected);

    VdiInfo vdi{"fixed", 1048576, "c\x1b", kCounts};
    CHECK(plain(disk_to_json(findings_of(DiskFormat::vdi, vdi)))["vdi"] ==
          json{{"type", "fixed"}, {"block_size", 1048576}, {"comment", "c\\x1b"}, {"blocks", kCountsJson}});
}

TEST_CASE("a machine's members are null where nothing is said, and its words are escaped") {
    MachineHardware hardware;
    hardware.source = "VMX";
    CHECK(plain(machine_to_json(hardware)) == json{{"source", "VMX"},
                                                   {"name", nullptr},
                                                   {"annotation", nullptr},
                                                   {"os_type", nullptr},
                                                   {"cpus", nullptr},
                                                   {"cores_per_socket", nullptr},
                                                   {"memory", nullptr},
                                                   {"firmware", nullptr},
                                                   {"secure_boot", nullptr},
                                                   {"controllers", json::array()},
                                                   {"disks", json::array()},
                                                   {"nics", json::array()},
                                                   {"remarks", json::array()}});
    hardware.name = "n\x01";
    hardware.annotation = "a\x01";
    hardware.os_type = "o\x01";
    hardware.cpus = 8;
    hardware.cores_per_socket = 4;
    hardware.memory = 123;
    hardware.firmware = MachineFirmware::uefi;
    hardware.secure_boot = false;
    hardware.controllers = {{ControllerKind::nvme, ""}, {ControllerKind::scsi, "l\x01"}};
    hardware.disks = {{"i\x01", "f\x01", 1, 7, 99}, {"j", "", std::nullopt, std::nullopt, std::nullopt}};
    hardware.nics = {{"m\x01", "w\x01", "00:11"}, {"", "", ""}};
    hardware.remarks = {"r"};
    CHECK(
        plain(machine_to_json(hardware)) ==
        json{{"source", "VMX"},
             {"name", "n\\x01"},
             {"annotation", "a\\x01"},
             {"os_type", "o\\x01"},
             {"cpus", 8},
             {"cores_per_socket", 4},
             {"memory", 123},
             {"firmware", "uefi"},
             {"secure_boot", false},
             {"controllers",
              json::array({{{"kind", "nvme"}, {"model", nullptr}}, {{"kind", "scsi"}, {"model", "l\\x01"}}})},
             {"disks",
              json::array({{{"id", "i\\x01"}, {"file", "f\\x01"}, {"controller", 1}, {"address", 7}, {"capacity", 99}},
                           {{"id", "j"},
                            {"file", nullptr},
                            {"controller", nullptr},
                            {"address", nullptr},
                            {"capacity", nullptr}}})},
             {"nics", json::array({{{"model", "m\\x01"}, {"network", "w\\x01"}, {"mac", "00:11"}},
                                   {{"model", nullptr}, {"network", nullptr}, {"mac", nullptr}}})},
             {"remarks", json::array({"r"})}});
}

TEST_CASE("a disk's document has what belongs to each disk, and the machine's once") {
    DiskInspection machine;
    machine.disks.resize(1);
    machine.disks[0].findings = findings_of(DiskFormat::raw, RawInfo());
    json document = plain(to_json(machine, "web.raw"));
    CHECK(document["source"] == "web.raw");
    CHECK(document["disk"]["format"] == "raw");
    CHECK(document["inside"].is_null());
    for (const char* absent : {"disks", "machine", "content", "remarks"})
        CHECK_FALSE(document.contains(absent));
    machine.disks.push_back(machine.disks[0]);
    machine.disks[0].name = "one";
    machine.disks[1].name = "two";
    machine.disks[1].findings.info.file_size = 5;
    machine.trust = ContentTrust::verified;
    machine.remarks = {"odd"};
    machine.hardware = MachineHardware();
    document = plain(to_json(machine, "web.ova"));
    REQUIRE(document["disks"].size() == 2);
    CHECK(document["disks"][0]["name"] == "one");
    CHECK(document["disks"][1]["name"] == "two");
    CHECK(document["disks"][1]["file_size"] == 5);
    CHECK_FALSE(document["disk"].contains("name"));
    CHECK(document["content"] == "verified");
    CHECK(document["remarks"] == json::array({"odd"}));
    CHECK(document.contains("machine"));
    machine.trust = ContentTrust::not_verified;
    CHECK(to_json(machine, "x")["content"] == "not-verified");
    machine.guest.emplace();
    machine.guest->refusal = "its table is damaged";
    CHECK(plain(to_json(machine, "x"))["inside"] == json{{"refusal", "its table is damaged"}});
    machine.guest->refusal.clear();
    machine.guest->opened.guest = std::make_unique<test::MemoryGuest>();
    machine.guest->info.os.type = "linux";
    json inside = plain(to_json(machine, "x"))["inside"];
    CHECK(inside["problems"].is_null());
    CHECK(inside["guest"]["os"]["type"] == "linux");
    machine.guest->problems = {{"virtio", "no driver"}, {"", "a licence"}};
    inside = plain(to_json(machine, "x"))["inside"];
    CHECK(inside["problems"] ==
          json::array({{{"fix", "virtio"}, {"text", "no driver"}}, {{"fix", nullptr}, {"text", "a licence"}}}));
    machine.guest->opened.guest.reset();
    CHECK(to_json(machine, "x")["inside"]["guest"].is_null());
}

TEST_CASE("an image's members: its manifest, its configuration, its layers and who refers to it") {
    ImageFindings findings;
    findings.content.top.digest = findings.content.manifest.digest = digest('a');
    findings.content.manifest.media_type = "m\x01";
    findings.content.manifest.size = 11;
    findings.content.parsed_manifest.annotations = {{"k\x01", "v\x01"}};
    Descriptor layer;
    layer.digest = digest('b');
    layer.media_type = "t\x01";
    layer.size = 22;
    findings.content.parsed_manifest.layers = {layer, layer};
    findings.no_disk = "none";
    findings.trust = ContentTrust::proven_parts;
    const std::string text_b = "sha256:" + std::string(64, 'b');
    const json bare = {{"digest", text_b}, {"media_type", "t\\x01"}, {"size", 22}};
    json document = plain(to_json(findings, "oci:x"));
    CHECK(document == json{{"source", "oci:x"},
                           {"no_disk", "none"},
                           {"image",
                            {{"digest", "sha256:" + std::string(64, 'a')},
                             {"media_type", "m\\x01"},
                             {"size", 11},
                             {"annotations", {{"k\\x01", "v\\x01"}}},
                             {"layers", json::array({bare, bare})},
                             {"content", "proven-parts"}}}});
    findings.content.top.digest = digest('c');
    findings.content.config = ImageConfig();
    findings.content.config->platform.architecture = "s390x";
    findings.content.config->created = "2026";
    findings.content.config->entrypoint = {"e\x01"};
    findings.content.config->command = {"c\x01"};
    findings.content.config->environment = {"V=\x01"};
    findings.content.config->labels = {{"l", "\x01"}};
    findings.content.config->diff_ids = {digest('d')};
    findings.content.parsed_manifest.config.digest = digest('e');
    layer.artifact_type = "sig\x01";
    findings.referrers = {layer};
    document = plain(to_json(findings, "oci:x"))["image"];
    CHECK(document["index"] == "sha256:" + std::string(64, 'c'));
    CHECK(document["config"] == json{{"digest", "sha256:" + std::string(64, 'e')},
                                     {"os", "linux"},
                                     {"architecture", "s390x"},
                                     {"created", "2026"},
                                     {"entrypoint", json::array({"e\\x01"})},
                                     {"command", json::array({"c\\x01"})},
                                     {"environment", json::array({"V=\\x01"})},
                                     {"labels", {{"l", "\\x01"}}}});
    CHECK(document["layers"][0]["diff_id"] == "sha256:" + std::string(64, 'd'));
    CHECK_FALSE(document["layers"][1].contains("diff_id")); // fewer than layers: it is told as it is
    CHECK(document["referrers"] ==
          json::array({{{"digest", text_b}, {"media_type", "t\\x01"}, {"artifact_type", "sig\\x01"}, {"size", 22}}}));
}

TEST_CASE("the disks of an image have their paths in it") {
    ImageFindings findings;
    findings.disk_path = "disk/a\x01.img";
    findings.disk = findings_of(DiskFormat::raw, RawInfo());
    json document = plain(to_json(findings, "oci:x"));
    CHECK(document["disk"]["path"] == "/disk/a\\x01.img");
    CHECK(document["inside"].is_null());
    CHECK_FALSE(document.contains("disks"));
    CHECK_FALSE(document.contains("no_disk"));
    DiskSeen further;
    further.name = "disk/b.img";
    further.findings = findings_of(DiskFormat::raw, RawInfo());
    further.findings.info.file_size = 6;
    findings.further_disks = {further};
    document = plain(to_json(findings, "oci:x"));
    REQUIRE(document["disks"].size() == 2);
    CHECK(document["disks"][0] == document["disk"]);
    CHECK(document["disks"][1]["path"] == "/disk/b.img");
    CHECK(document["disks"][1]["file_size"] == 6);
}

TEST_CASE("codes of errors are small words, each once, and every hint has its own") {
    std::set<std::string_view> codes;
    for (const std::string_view code : error_codes()) {
        CAPTURE(code);
        CHECK(codes.insert(code).second);
        CHECK(code.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos);
    }
    std::set<std::string> of_hints;
    for (int i = 1; i <= static_cast<int>(HintKind::accelerator); ++i) {
        const auto hint = static_cast<HintKind>(i);
        CAPTURE(to_string(hint));
        const std::string code = error_code(Error(ErrorKind::io, "x", hint));
        CHECK(of_hints.insert(code).second);
        CHECK(codes.contains(code));
        // The hint tells more than the kind.
        CHECK(error_code(Error(ErrorKind::corrupt, "x", hint)) == code);
        CHECK(code != "io");
    }
    const std::pair<ErrorKind, const char*> kinds[] = {{ErrorKind::io, "io"},
                                                       {ErrorKind::corrupt, "corrupt"},
                                                       {ErrorKind::unsupported, "unsupported"},
                                                       {ErrorKind::unsafe, "unsafe"},
                                                       {ErrorKind::limit, "limit"},
                                                       {ErrorKind::not_found, "not-found"},
                                                       {ErrorKind::conflict, "conflict"},
                                                       {ErrorKind::usage, "usage"},
                                                       {ErrorKind::external, "failed"},
                                                       {ErrorKind::cancelled, "cancelled"}};
    for (const auto& [kind, code] : kinds)
        CHECK(error_code(Error(kind, "x")) == code);
    // Where it was thrown counts where that has a section of its own.
    const auto code_of = [](auto&& action) -> std::string {
        try {
            action();
        } catch (const Error& error) {
            return error_code(error);
        }
        return "-";
    };
    CHECK(code_of([] { (void)Digest::parse("md5:x"); }).starts_with("image-"));
    CHECK(code_of([] { (void)parse_reference("docker://UPPER/"); }).starts_with("reference-"));
}
