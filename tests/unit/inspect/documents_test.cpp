// Bills of materials, and what `inspect` prints for programs.
#include "formats/base/version.hpp"
#include "libconvert/inspect/cyclonedx.hpp"
#include "libconvert/inspect/spdx.hpp"
#include "tests/unit/inspect/inspect_fixture.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <regex>

using namespace vm2oci;
using test::MemoryGuest;
using Json = nlohmann::json;

namespace {

OsInfo debian() {
    OsInfo os;
    os.type = "linux";
    os.distribution = "debian";
    os.product = "Debian GNU/Linux 12 (bookworm)";
    os.version = "12";
    return os;
}

PackageDatabase two_packages() {
    PackageDatabase database;
    database.manager = "dpkg";
    database.packages = {{"libstdc++6", "12.2.0-14", "amd64", "GPL-3+", "Debian GCC Maintainers", "gcc-12"},
                         {"odd/name\n", "1", "all", "some\x1b own words", "", ""}};
    return database;
}

const SbomOptions kOptions{"disk\t.qcow2", "2026-01-31T12:00:00Z"};

bool is_uuid_urn(const std::string& text) {
    return std::regex_match(text,
                            std::regex("urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}"));
}

} // namespace

TEST_CASE("SPDX tells of the guest, and of every package that it contains") {
    const std::string text = write_spdx(debian(), two_packages(), kOptions);
    CHECK(text.ends_with("}\n"));
    const Json document = Json::parse(text);
    CHECK(document["spdxVersion"] == "SPDX-2.3");
    CHECK(document["dataLicense"] == "CC0-1.0");
    CHECK(document["SPDXID"] == "SPDXRef-DOCUMENT");
    CHECK(document["name"] == "disk\\x09.qcow2");
    CHECK(is_uuid_urn(document["documentNamespace"]));
    CHECK(document["creationInfo"]["created"] == "2026-01-31T12:00:00Z");
    CHECK(document["creationInfo"]["creators"] == Json::array({"Tool: vm2oci-" + std::string(version())}));
    REQUIRE(document["packages"].size() == 3);
    const Json& guest = document["packages"][0];
    CHECK(guest["SPDXID"] == "SPDXRef-Guest");
    CHECK(guest["name"] == "Debian GNU/Linux 12 (bookworm)");
    CHECK(guest["versionInfo"] == "12");
    CHECK(guest["supplier"] == "Organization: debian");
    CHECK(guest["primaryPackagePurpose"] == "OPERATING_SYSTEM");
    CHECK_FALSE(guest.contains("comment"));
    const Json& library = document["packages"][1];
    CHECK(library["SPDXID"] == "SPDXRef-Package-1-libstdc--6"); // letters, digits, "." and "-"
    CHECK(library["name"] == "libstdc++6");
    CHECK(library["versionInfo"] == "12.2.0-14");
    CHECK(library["supplier"] == "Organization: Debian GCC Maintainers");
    CHECK(library["licenseDeclared"] == "GPL-3.0-or-later");
    CHECK(library["licenseConcluded"] == "NOASSERTION");
    CHECK_FALSE(library.contains("licenseComments"));
    CHECK(library["sourceInfo"] == "built from gcc-12");
    CHECK(library["filesAnalyzed"] == false);
    REQUIRE(library["externalRefs"].size() == 1);
    CHECK(library["externalRefs"][0] ==
          Json({{"referenceCategory", "PACKAGE-MANAGER"},
                {"referenceType", "purl"},
                {"referenceLocator",
                 "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-12&upstream=gcc-12"}}));
    const Json& odd = document["packages"][2];
    CHECK(odd["SPDXID"] == "SPDXRef-Package-2-odd-name-");
    CHECK(odd["supplier"] == "NOASSERTION");
    CHECK(odd["licenseDeclared"] == "NOASSERTION");
    CHECK(odd["licenseComments"].get<std::string>().starts_with("The package says: some\\"));
    CHECK_FALSE(odd.contains("sourceInfo"));
    CHECK(
        document["relationships"] ==
        Json::parse(
            R"([{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-Guest"},
                 {"spdxElementId": "SPDXRef-Guest", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-Package-1-libstdc--6"},
                 {"spdxElementId": "SPDXRef-Guest", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-Package-2-odd-name-"}])"));
}

TEST_CASE("CycloneDX tells of the same in its own words") {
    const std::string text = write_cyclonedx(debian(), two_packages(), kOptions);
    const Json document = Json::parse(text);
    CHECK(document["bomFormat"] == "CycloneDX");
    CHECK(document["specVersion"] == "1.5");
    CHECK(document["version"] == 1);
    CHECK(is_uuid_urn(document["serialNumber"]));
    CHECK(document["metadata"]["timestamp"] == "2026-01-31T12:00:00Z");
    CHECK(document["metadata"]["tools"]["components"][0]["version"] == version());
    CHECK(document["metadata"]["component"] == Json({{"type", "operating-system"},
                                                     {"bom-ref", "guest"},
                                                     {"supplier", {{"name", "debian"}}},
                                                     {"name", "Debian GNU/Linux 12 (bookworm)"},
                                                     {"version", "12"}}));
    CHECK(document["metadata"]["properties"] ==
          Json::parse(R"([{"name": "vm2oci:source", "value": "disk\\x09.qcow2"}])"));
    REQUIRE(document["components"].size() == 2);
    CHECK(document["components"][0] ==
          Json({{"type", "library"},
                {"bom-ref", "package-1"},
                {"supplier", {{"name", "Debian GCC Maintainers"}}},
                {"name", "libstdc++6"},
                {"version", "12.2.0-14"},
                {"licenses", Json::array({{{"expression", "GPL-3.0-or-later"}}})},
                {"purl", "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-12&upstream=gcc-12"}}));
    const Json& odd = document["components"][1];
    CHECK_FALSE(odd.contains("supplier"));
    CHECK(odd["licenses"][0]["license"]["name"].get<std::string>().starts_with("some\\"));
    CHECK(document["dependencies"] == Json::parse(R"([{"ref": "guest", "dependsOn": ["package-1", "package-2"]}])"));
}

TEST_CASE("what could not be read of the packages is said in both") {
    PackageDatabase database;
    database.manager = "rpm";
    database.problem = "the RPM database is damaged\n";
    const Json spdx = Json::parse(write_spdx(debian(), database, kOptions));
    CHECK(spdx["packages"][0]["comment"] == "Not all packages could be read: the RPM database is damaged\\x0a");
    CHECK(spdx["packages"].size() == 1);
    const Json cyclone = Json::parse(write_cyclonedx(debian(), database, kOptions));
    CHECK(cyclone["metadata"]["properties"][1] ==
          Json({{"name", "vm2oci:incomplete"}, {"value", "the RPM database is damaged\\x0a"}}));
    CHECK(cyclone["components"].empty());
}

TEST_CASE("a guest is called by its product, else its distribution, else its kind") {
    OsInfo os;
    os.type = "unknown";
    CHECK(Json::parse(write_spdx(os, {}, kOptions))["packages"][0]["name"] == "unknown");
    CHECK(Json::parse(write_spdx(os, {}, kOptions))["packages"][0]["supplier"] == "NOASSERTION");
    CHECK_FALSE(Json::parse(write_spdx(os, {}, kOptions))["packages"][0].contains("versionInfo"));
    CHECK(Json::parse(write_cyclonedx(os, {}, kOptions))["metadata"]["component"] ==
          Json({{"type", "operating-system"}, {"bom-ref", "guest"}, {"name", "unknown"}}));
    os.distribution = "arch";
    CHECK(Json::parse(write_spdx(os, {}, kOptions))["packages"][0]["name"] == "arch");
    CHECK(Json::parse(write_cyclonedx(os, {}, kOptions))["metadata"]["component"]["name"] == "arch");
}

TEST_CASE("a bill's number is its content's") {
    const auto number = [](const std::string& created, const PackageDatabase& packages) {
        return Json::parse(write_spdx(debian(), packages, {"disk", created}))["documentNamespace"].get<std::string>();
    };
    CHECK(number("a", two_packages()) == number("a", two_packages()));
    CHECK(number("a", two_packages()) != number("b", two_packages()));
    CHECK(number("a", two_packages()) != number("a", {}));
    CHECK(write_cyclonedx(debian(), two_packages(), kOptions) == write_cyclonedx(debian(), two_packages(), kOptions));
}

TEST_CASE("licences in Debian's words and SPDX' become SPDX'") {
    struct Row {
        const char* text;
        const char* spdx;
    };
    // copyright-format 1.0, "Short name"; spdx.org/licenses.
    const Row rows[] = {{"Expat", "MIT"},
                        {"GPL-1", "GPL-1.0-only"},
                        {"GPL-1+", "GPL-1.0-or-later"},
                        {"GPL-2", "GPL-2.0-only"},
                        {"GPL-2+", "GPL-2.0-or-later"},
                        {"GPL-2.0", "GPL-2.0-only"},
                        {"GPL-2.0+", "GPL-2.0-or-later"},
                        {"GPL-3", "GPL-3.0-only"},
                        {"GPL-3.0", "GPL-3.0-only"},
                        {"GPL-3.0+", "GPL-3.0-or-later"},
                        {"LGPL-2", "LGPL-2.0-only"},
                        {"LGPL-2+", "LGPL-2.0-or-later"},
                        {"LGPL-2.0+", "LGPL-2.0-or-later"},
                        {"LGPL-2.1", "LGPL-2.1-only"},
                        {"LGPL-2.1+", "LGPL-2.1-or-later"},
                        {"LGPL-3", "LGPL-3.0-only"},
                        {"LGPL-3+", "LGPL-3.0-or-later"},
                        {"LGPL-3.0+", "LGPL-3.0-or-later"},
                        {"AGPL-3", "AGPL-3.0-only"},
                        {"AGPL-3+", "AGPL-3.0-or-later"},
                        {"Artistic", "Artistic-1.0-Perl"},
                        {"Artistic-1", "Artistic-1.0-Perl"},
                        {"BSD-2-clause", "BSD-2-Clause"},
                        {"BSD-3-clause", "BSD-3-Clause"},
                        {"BSD-4-clause", "BSD-4-Clause"},
                        {"GFDL-1.2+", "GFDL-1.2-or-later"},
                        {"GFDL-1.3+", "GFDL-1.3-or-later"},
                        {"PSF-2", "PSF-2.0"},
                        {"zlib", "Zlib"},
                        {"ZLIB", "Zlib"},
                        {"ISC", "ISC"},
                        {"curl", "curl"},
                        {"CC0-1.0", "CC0-1.0"},
                        {"MIT  and\tISC", "MIT AND ISC"},
                        {"MIT Or ISC aNd Zlib", "MIT OR ISC AND Zlib"},
                        {"((MIT))", "((MIT))"},
                        {"(MIT or ISC) and(Zlib)", "(MIT OR ISC) AND (Zlib)"},
                        {"mit", ""},
                        {"GPL", ""},
                        {"Apache", ""},
                        {"MIT or", ""},
                        {"or MIT", ""},
                        {"MIT xor ISC", ""},
                        {"MIT (ISC)", ""},
                        {"(MIT) ISC", ""},
                        {"(MIT and) ISC", ""},
                        {"( )", ""},
                        {")MIT(", ""},
                        {"GPL-2+ with OpenSSL exception", ""},
                        {"MIT,ISC", ""},
                        {" ", ""}};
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(spdx_license(row.text) == row.spdx);
    }
}

TEST_CASE("expressions have two hundred words at the most") {
    const auto repeated = [](unsigned licenses) {
        std::string text = "(MIT)"; // three words; each further licence is two
        for (unsigned i = 1; i < licenses; ++i)
            text += " and ISC";
        return text;
    };
    CHECK_FALSE(spdx_license(repeated(99)).empty()); // 199
    CHECK(spdx_license(repeated(100)).empty());      // 201
    CHECK_FALSE(spdx_license("(" + repeated(98) + ")").empty());
    std::string deep(98, '(');
    CHECK_FALSE(spdx_license(deep + "MIT" + std::string(98, ')')).empty());
    CHECK(spdx_license(deep + "MIT" + std::string(97, ')')).empty());
    CHECK(spdx_license(deep + "MIT" + std::string(99, ')')).empty());
}

TEST_CASE("an inspection as JSON: names of fields, null for what is not known, bytes escaped") {
    MemoryGuest guest;
    guest.file("/etc/os-release", "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Deb\x1b[31mian\"\n")
        .file("/etc/hostname", "a\n");
    guest.file("/boot/vmlinuz-6.1", "x").file("/boot/grub/grub.cfg", "linux /x root=UUID=1 console=ttyS0\n");
    guest.file("/etc/machine-id", "").file("/etc/ssh/ssh_host_rsa_key", "").file("/usr/sbin/qemu-ga", "");
    guest.file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        .file("/etc/netplan/a.yaml", "network:\n  ethernets:\n    eth0:\n      dhcp4: true\n");
    guest.symlink("/sbin/init", "/lib/systemd/systemd").file("/var/lib/dpkg/status", "");
    const Json json = Json::parse(to_json(test::inspect(guest)).dump());
    CHECK(json["os"]["type"] == "linux");
    CHECK(json["os"]["distribution"] == "debian");
    CHECK(json["os"]["product"] == "Deb\\x1b[31mian");
    CHECK(json["os"]["version"] == "12");
    CHECK(json["os"]["codename"].is_null());
    CHECK(json["os"]["hostname"] == "a");
    REQUIRE(json["kernels"].size() == 1);
    CHECK(json["kernels"][0]["version"] == "6.1");
    CHECK(json["kernels"][0]["size"] == 1);
    CHECK(json["kernels"][0]["architecture"].is_null());
    CHECK(json["kernels"][0]["has_modules"] == false);
    CHECK(json["kernels"][0]["boots_on_virtio"] == false);
    CHECK(json["kernels"][0]["initrd"].is_null());
    CHECK(json["kernels"][0]["drivers"]["virtio_blk"] == "missing");
    CHECK(json["boot"] ==
          Json::parse(R"({"bios": false, "uefi": false, "loader": "grub", "efi_fallback": null, "efi_programs": [],
        "command_lines": ["root=UUID=1 console=ttyS0"], "serial_consoles": ["ttyS0"]})"));
    CHECK(json["network"] ==
          Json::parse(R"([{"stack": "netplan", "file": "/etc/netplan/a.yaml", "name": "eth0", "method": "dhcp",
        "mac": null, "driver": null}])"));
    CHECK(json["cloud_init"]["installed"] == false);
    CHECK(json["cloud_init"]["version"].is_null());
    CHECK(json["agents"] ==
          Json::parse(R"([{"name": "qemu-guest-agent", "path": "/usr/sbin/qemu-ga", "enabled": false}])"));
    CHECK(json["packages"] == Json::parse(R"({"manager": "dpkg", "count": 0})"));
    CHECK(json["machine_id"] == "empty");
    CHECK(json["host_keys"] == Json::array({"ssh_host_rsa_key"}));
    CHECK(json["users"] == Json::parse(R"([{"name": "root", "uid": 0, "password": false, "authorized_keys": 0}])"));
    CHECK(json["selinux"].is_null());
    CHECK(json["remarks"] == Json::array());
    guest.file("/boot/initrd.img-6.1", "garbage").file("/var/lib/dpkg/status", "");
    const Json with = Json::parse(to_json(test::inspect(guest)).dump());
    CHECK(with["kernels"][0]["boots_on_virtio"].is_null());
    CHECK(with["kernels"][0]["initrd"] ==
          Json::parse(R"({"path": "/boot/initrd.img-6.1", "size": 7, "compression": "none", "files": 0,
        "problem": "it is compressed in a way that is not known here"})"));
}

TEST_CASE("a disk's division as JSON: tables, volumes, fstab, mounts and what is missing") {
    OpenedGuest opened = test::opened_of(MemoryGuest());
    opened.layout.table.kind = TableKind::gpt;
    opened.layout.table.id = "disk-id";
    opened.layout.table.sector_size = 4096;
    Partition partition;
    partition.number = 2;
    partition.offset = 1048576;
    partition.length = 4096;
    partition.role = PartitionRole::logical;
    partition.type = "0x83";
    partition.active = true;
    opened.layout.table.partitions = {partition};
    Volume volume;
    volume.name = "partition\t2";
    volume.partition = 0;
    volume.device = std::make_shared<EmptyDevice>(4096);
    volume.signature = Signature{ContentKind::file_system, "ext4", "a-uuid", "", ""};
    opened.layout.volumes.push_back(volume);
    volume.signature.reset();
    opened.layout.volumes.push_back(volume);
    opened.fstab = parse_fstab("UUID=a-uuid / ext4 ro,noatime 0 1\nLABEL=gone /gone xfs defaults 0 2\n");
    opened.fstab_volumes = {0, std::nullopt};
    opened.missing = {{"/gone", "LABEL=gone", "it is not there", MountNeed::optional}};
    opened.remarks = {"a remark\n"};
    opened.layout.remarks = {"of the layout"};
    const Json json = Json::parse(to_json(opened).dump());
    CHECK(json["table"]["kind"] == "gpt");
    CHECK(json["table"]["id"] == "disk-id");
    CHECK(json["table"]["sector_size"] == 4096);
    CHECK(json["table"]["partitions"][0] ==
          Json::parse(
              R"({"number": 2, "offset": 1048576, "size": 4096, "role": "logical", "type": "0x83", "type_name": null,
              "name": null, "uuid": "", "active": true})"));
    CHECK(json["further_tables"] == Json::array());
    CHECK(json["volumes"][0] ==
          Json::parse(
              R"({"name": "partition\\x092", "disk": 1, "size": 4096, "content": {"kind": "file system", "type": "ext4",
              "version": null, "uuid": "a-uuid", "label": null}})"));
    CHECK(json["volumes"][1]["content"].is_null());
    CHECK(json["fstab"][0] ==
          Json::parse(R"({"device": "UUID=a-uuid", "mount_point": "/", "type": "ext4", "options": ["ro", "noatime"],
        "volume": "partition\\x092"})"));
    CHECK(json["fstab"][1]["volume"].is_null());
    CHECK(
        json["missing"] ==
        Json::parse(
            R"([{"mount_point": "/gone", "device": "LABEL=gone", "reason": "it is not there", "need": "optional"}])"));
    CHECK(json["backend"].is_null());
    CHECK(json["remarks"] == Json::array({"of the layout", "a remark\\x0a"}));
    CHECK(Json::parse(to_json(OpenedGuest()).dump())["mounts"] == Json::array());
}
