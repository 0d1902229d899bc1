// Public reports about importers of OVAs and disks, rebuilt small: each is named by project and number.
#include "tests/support/vhdx_writer.hpp"
#include "tests/unit/flows/source_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

// An OVA of one disk with a manifest; `order` says which member comes when.
std::string ova_in_order(const std::string& manifest, const std::vector<std::string>& order) {
    const std::string ovf = ovf_with({{"files", R"(<File ovf:id="file1" ovf:href="web-disk1.vmdk"/>)"}});
    std::vector<std::string> members;
    for (const std::string& name : order)
        members.push_back(tar_member(name, name == "web.ovf" ? ovf : name == "web.mf" ? manifest : text_of(kStream)));
    return tar_of(members);
}

std::string sha256_line(const std::string& name, const std::string& content, const std::string& between = "(") {
    std::string line = digest_line(HashAlgorithm::sha256, name, content);
    return line.replace(line.find('('), 1, between);
}

std::string descriptor_of(const std::string& create_type, const std::string& extent) {
    return vmdk_descriptor(create_type, "RW " + std::to_string(kVmdkSectors) + " " + extent + "\n");
}

} // namespace

TEST_CASE("virt-v2v 18: a manifest of OVF 2.0 has a blank in front of its brackets") {
    Files files;
    for (const bool lies : {false, true}) {
        const std::string manifest = sha256_line("web-disk1.vmdk", lies ? "other" : text_of(kStream), " (");
        SourceMachine machine =
            open_machine(files.put("v2.ova", ova_in_order(manifest, {"web.ovf", "web.mf", "web-disk1.vmdk"})));
        CHECK(byte_at(machine, 0, 0) == 0x41);
        if (lies)
            CHECK_THROWS_WITH(machine.verify({}), Catch::Contains("is not what"));
        else
            CHECK_NOTHROW(machine.verify({}));
    }
}

TEST_CASE("image-builder 431: the descriptor is not the first member") {
    Files files;
    SourceMachine machine =
        open_machine(files.put("rhel.ova", ova_in_order(sha256_line("web-disk1.vmdk", text_of(kStream)),
                                                        {"web-disk1.vmdk", "web.mf", "web.ovf"})));
    CHECK(byte_at(machine, 0, 599 * kVmdkGrain) == 0x5a);
    CHECK_NOTHROW(machine.verify({}));
}

TEST_CASE("sift 207: the manifest names files that were left out, and not all that are there") {
    Files files;
    SourceMachine machine = open_machine(files.put(
        "sift.ova", ova_in_order(sha256_line("sift-file1.iso", "x"), {"web.ovf", "web.mf", "web-disk1.vmdk"})));
    CHECK(byte_at(machine, 0, 0) == 0x41);
    const auto says = [&](const std::string& what) {
        return std::ranges::any_of(machine.remarks,
                                   [&](const std::string& remark) { return remark.find(what) != std::string::npos; });
    };
    CHECK(says("no digest of 'web-disk1.vmdk'"));
    CHECK(says("'sift-file1.iso', which is not in the archive"));
}

TEST_CASE("xen-orchestra 3962: every element has the prefix of OVF's namespace") {
    Files files;
    std::string ovf = ovf_with({{"files", R"(<File ovf:id="file1" ovf:href="web-disk1.vmdk"/>)"}});
    for (const std::string name : {"Envelope", "References", "File", "DiskSection", "Disk", "Info", "VirtualSystem",
                                   "Name", "OperatingSystemSection", "VirtualHardwareSection", "Item"})
        for (const std::string open : {"<", "</"})
            for (const std::string end : {">", " ", "/"}) {
                const std::string from = open + name + end;
                for (std::size_t at = ovf.find(from); at != std::string::npos; at = ovf.find(from, at + 5))
                    ovf.replace(at, from.size(), open + "ovf:" + name + end);
            }
    REQUIRE(ovf.find("<ovf:Envelope") != std::string::npos);
    const SourceMachine machine = open_machine(
        files.put("xcp.ova", tar_of({tar_member("web.ovf", ovf), tar_member("web-disk1.vmdk", text_of(kStream))})));
    CHECK(byte_at(machine, 0, 0) == 0x41);
    CHECK(machine.hardware->name == "web01");
}

TEST_CASE("sdfs 97: a section of a licence whose type has a prefix that nobody declares") {
    Files files;
    const SourceMachine machine = open_machine(files.put(
        "sdfs.ova", ova_with({{"name", "<Name>web</Name><Section xsi:type=\"ovf:EulaSection_Type\"><Info>Licensing "
                                       "agreement</Info><License>x</License></Section>"}})));
    CHECK(byte_at(machine, 0, 0) == 0x41);
    CHECK(machine.hardware->name == "web");
}

TEST_CASE("opencti 1642: digests by SHA-1 are read, and believed no more than others") {
    Files files;
    const std::string manifest = digest_line(HashAlgorithm::sha1, "web-disk1.vmdk", text_of(kStream));
    const SourceMachine good =
        open_machine(files.put("sha1.ova", ova_in_order(manifest, {"web.ovf", "web-disk1.vmdk", "web.mf"})));
    CHECK_NOTHROW(good.verify({}));
}

TEST_CASE("libvmdk 7 and 34: a VMDK that was renamed since its descriptor was written") {
    Files files;
    const SourceMachine stream = open_machine(files.put("renamed since.vmdk", kStream));
    CHECK(byte_at(stream, 0, 599 * kVmdkGrain) == 0x5a);
    // And no file of the name that it says is looked at.
    files.put("foo.vmdk", std::string(100, 'x'));
    const SourceMachine sparse = open_machine(
        files.put("bar.vmdk", make_sparse_vmdk({{3, 9}}, descriptor_of("monolithicSparse", "SPARSE \"foo.vmdk\""))));
    CHECK(byte_at(sparse, 0, 3 * kVmdkGrain) == 9);
}

TEST_CASE("dissect.hypervisor 45: extents with a place in their file, and with more behind it") {
    Files files;
    std::string flat(4096 + kVmdkSectors * 512, '\0');
    flat[4096] = 'b';
    files.put("web-flat.vmdk", flat);
    const SourceMachine machine =
        open_machine(files.put("web.vmdk", descriptor_of("monolithicFlat", "FLAT \"web-flat.vmdk\" 8")));
    CHECK(byte_at(machine, 0, 0) == 'b');
    // What stands there of partitions and devices is of disks that are no files.
    CHECK_THAT(refusal_of(files.put(
                   "web.vmdk", descriptor_of("monolithicFlat", "FLAT \"web-flat.vmdk\" 8 partitionUUID deviceID"))),
               Catch::Contains("corrupt") && Catch::Contains("tells no place in its file"));
}

TEST_CASE("kiwi 518: a second descriptor at the end of a VMDK says nothing") {
    Files files;
    const std::string image = text_of(make_sparse_vmdk({{3, 9}})) + descriptor_of("monolithicSparse", "SPARSE \"x\"");
    CHECK(byte_at(open_machine(files.put("kiwi.vmdk", image)), 0, 3 * kVmdkGrain) == 9);
}

TEST_CASE("cloud-hypervisor 8713: an extent leads out of the descriptor's folder") {
    Files files;
    files.put("secret-flat.vmdk", std::string(kVmdkSectors * 512, 's'));
    for (const std::string& name : {files.path("secret-flat.vmdk"), std::string("./secret-flat.vmdk"),
                                    std::string("../../../../etc/passwd"), std::string("x/../secret-flat.vmdk")})
        CHECK_THAT(refusal_of(files.put("web.vmdk", descriptor_of("monolithicFlat", "FLAT \"" + name + "\" 0"))),
                   Catch::Contains("unsafe") && Catch::Contains("not opened on an image's word"));
}

TEST_CASE("dissect.hypervisor 12: blocks that a VHDX says are zeros, whatever place they name") {
    Files files;
    VhdxShape shape;
    shape.blocks = {{0, 0x11}, {1, 0x22}};
    for (const std::uint64_t state : {1U, 2U, 3U, 5U}) {
        ImageBytes image = make_vhdx(shape);
        const std::uint64_t place = image.at(vhdx_at::table, 8).size() == 8
                                        ? load_le<std::uint64_t>(image.at(vhdx_at::table, 8).data()) & ~std::uint64_t{7}
                                        : 0;
        REQUIRE(place != 0);
        image.put_le(vhdx_at::table, 8, place | state);
        const SourceMachine machine = open_machine(files.put("zero.vhdx", image));
        CHECK(byte_at(machine, 0, 0) == 0);
        CHECK(byte_at(machine, 0, kMegabyte) == 0x22);
    }
}

TEST_CASE("cloud-hypervisor 6844: a VHDX whose headers another program has spoilt") {
    Files files;
    VhdxShape shape;
    shape.blocks = {{0, 0x11}};
    ImageBytes image = make_vhdx(shape);
    image.put_le(vhdx_at::headers[0] + 8, 8, 77);                              // a sequence number without its checksum
    CHECK(byte_at(open_machine(files.put("half.vhdx", image)), 0, 0) == 0x11); // the other one counts
    image.put_le(vhdx_at::headers[1] + 8, 8, 78);
    CHECK_THAT(refusal_of(files.put("spoilt.vhdx", image)),
               Catch::Contains("corrupt") && Catch::Contains("neither of the VHDX' headers is sound"));
}

TEST_CASE("sleuthkit 1093: a VMDK of VirtualBox that holds what differs from another") {
    Files files;
    const std::string lines = "RW " + std::to_string(kVmdkSectors) + " SPARSE \"x\"\n";
    const std::string child =
        files.put("child.vmdk", make_sparse_vmdk({{3, 9}}, vmdk_descriptor("monolithicSparse", lines, "12345678")));
    CHECK_THAT(refusal_of(child), Catch::Contains("unsafe") && Catch::Contains("needs a backing file"));
    SourceRequest request;
    add_backing(request, files.put("base.vmdk", make_sparse_vmdk({{4, 7}}, vmdk_descriptor("monolithicSparse", lines,
                                                                                           "ffffffff", "12345678"))));
    const SourceMachine machine = open_machine(child, request);
    CHECK(byte_at(machine, 0, 3 * kVmdkGrain) == 9);
    CHECK(byte_at(machine, 0, 4 * kVmdkGrain) == 7);
}
