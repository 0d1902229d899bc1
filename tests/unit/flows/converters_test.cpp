// What people reported of other converters and importers, rebuilt small: each names who wrote the files.
#include "formats/base/message_digest.hpp"
#include "tests/support/packed.hpp"
#include "tests/support/vhd_writer.hpp"
#include "tests/support/vhdx_writer.hpp"
#include "tests/unit/flows/source_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace vm2oci;
using namespace vm2oci::test;

TEST_CASE("OVAs of VirtualBox: OVF 2.0, disks without units, Machine sections of other images") {
    Files files;
    // VirtualBox 7 with --ovf20: items of their own kinds (virt-v2v finds no disk).
    SourceMachine machine = open_machine(files.put(
        "v2.ova",
        ova_with(
            {{"disk", "<StorageItem><sasd:HostResource>/disk/vmdisk1</sasd:HostResource>"
                      "<sasd:InstanceID>4</sasd:InstanceID><sasd:Parent>3</sasd:Parent>"
                      "<sasd:ResourceType>17</sasd:ResourceType></StorageItem>"},
             {"envelope",
              R"(xmlns="http://schemas.dmtf.org/ovf/envelope/2" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/2" xmlns:sasd="s")"}})));
    CHECK(byte_at(machine, 0, 0) == 0x41);
    // VirtualBox 6.0: capacity without capacityAllocationUnits (GCE's importer failed).
    machine = open_machine(
        files.put("units.ova",
                  ova_with({{"disks", R"(<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="2457600"/>)"}})));
    CHECK(machine.hardware->disks[0].capacity == 2457600U);
    // kiwi 9: a vbox:Machine section with a medium that the OVF does not describe (VirtualBox itself refuses it).
    machine = open_machine(files.put(
        "kiwi.ova",
        ova_with({{"name", "<Name>box</Name><vbox:Machine xmlns:vbox=\"b\"><StorageControllers><AttachedDevice>"
                           "<Image uuid=\"{}\"/></AttachedDevice></StorageControllers></vbox:Machine>"}})));
    CHECK(byte_at(machine, 0, 599 * kVmdkGrain) == 0x5a);
    // Memory in "MegaBytes" (VirtualBox 5 and 6; Forklift took it for bytes).
    machine = open_machine(
        files.put("mega.ova",
                  ova_with({{"memory", "<Item><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits><rasd:InstanceID>2"
                                       "</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>"
                                       "<rasd:VirtualQuantity>4096</rasd:VirtualQuantity></Item>"}})));
    CHECK(machine.hardware->memory == std::uint64_t{4} << 30);
    // PIIX4 as the model of an IDE controller (VirtualBox; vSphere refuses the value).
    machine = open_machine(files.put(
        "piix.ova",
        ova_with({{"controller", "<Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>PIIX4"
                                 "</rasd:ResourceSubType><rasd:ResourceType>5</rasd:ResourceType></Item>"}})));
    CHECK(machine.hardware->controllers[0].kind == ControllerKind::ide);
}

TEST_CASE("OVAs whose descriptor lies about sizes") {
    Files files;
    // Oracle VM, and ova-compose over vCenter's VMDKs: the size of the file stands as the disk's capacity (Xen
    // Orchestra cut the disk there). The disk itself tells.
    SourceMachine machine = open_machine(files.put(
        "cap.ova", ova_with({{"disks", R"(<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="70000"/>)"}})));
    CHECK(machine.disks[0].opened.device->size() == kVmdkGrains * kVmdkGrain);
    // Talos 1.5: 8192 with units of GiB, beyond what any datastore takes.
    machine = open_machine(files.put(
        "talos.ova",
        ova_with(
            {{"disks",
              R"(<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="8192" ovf:capacityAllocationUnits="byte * 2^40"/>)"}})));
    CHECK(machine.disks[0].opened.device->size() == kVmdkGrains * kVmdkGrain);
    // Garden Linux: ovf:size is what qemu-img calls actual size (vSphere stops in the middle).
    CHECK_THAT(
        refusal_of(files.put(
            "size.ova", ova_with({{"files", R"(<File ovf:id="file1" ovf:href="web-disk1.vmdk" ovf:size="4096"/>)"}}))),
        Catch::Contains("corrupt") && Catch::Contains("the descriptor says 4096"));
    // Isar: a format that says nothing; it is the disk that says what it is.
    machine = open_machine(files.put(
        "isar.ova",
        ova_with(
            {{"disks",
              R"(<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#"/>)"}})));
    CHECK(byte_at(machine, 0, 0) == 0x41);
    // DSP0243's pieces (virt-v2v took the last for a delta): refused by name.
    CHECK_THAT(
        refusal_of(files.put(
            "pieces.ova",
            ova_with({{"files", R"(<File ovf:id="file1" ovf:href="web-disk1.vmdk" ovf:chunkSize="7516192768"/>)"}}))),
        Catch::Contains("split in pieces"));
}

TEST_CASE("OVAs of XenServer and SCVMM: fixed VHDs, which only the descriptor can name") {
    Files files;
    VhdShape shape;
    shape.type = 2;
    shape.blocks = {{0, 0x11}};
    const std::string fixed = text_of(make_vhd(shape));
    const auto open_with = [&](const std::string& format) {
        return files.put(
            "xen.ova",
            tar_of({tar_member("xen.ovf",
                               ovf_with({{"files", R"(<File ovf:id="file1" ovf:href="disk.vhd"/>)"},
                                         {"disks", R"(<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format=")" +
                                                       format + "\"/>"}})),
                    tar_member("disk.vhd", fixed)}));
    };
    for (const std::string format : {"http://www.microsoft.com/technet/virtualserver/downloads/vhdspec.mspx",
                                     "http://technet.microsoft.com/en-us/virtualserver/bb676673.aspx",
                                     "http://go.microsoft.com/fwlink/?LinkId=137171"}) {
        const SourceMachine machine = open_machine(open_with(format));
        CHECK(machine.disks[0].opened.info.format == DiskFormat::vhd);
        CHECK(machine.disks[0].opened.device->size() == kVhdSize);
    }
    CHECK_THAT(refusal_of(open_with("http://www.vmware.com/interfaces/specifications/vmdk.html")),
               Catch::Contains("fixed VHD"));
}

TEST_CASE("what is called an OVA, and is none, is told what it is") {
    Files files;
    CHECK_THAT(refusal_of("ova:" + files.put("web.zip", "PK\x03\x04" + std::string(2000, 'x'))),
               Catch::Contains("unsupported") && Catch::Contains("ZIP archive") && Catch::Contains("unpack it"));
    CHECK_THAT(refusal_of("ova:" + files.put("web.vmdk", kStream)),
               Catch::Contains("looks like VMDK; name it as a disk"));
    CHECK_THAT(refusal_of("ova:" + files.put("web.raw", std::string(4096, 'x'))),
               Catch::Contains("no package of a machine"));
}

TEST_CASE("OVAs with more than disks, and with many") {
    Files files;
    // ovftool and govc: nvram and an ISO among the files.
    SourceMachine machine = open_machine(files.put(
        "nvram.ova",
        ova_with(
            {{"files",
              R"(<File ovf:id="file1" ovf:href="web-disk1.vmdk"/><File ovf:id="f2" ovf:href="web.nvram"/><File ovf:id="f3" ovf:href="tools.iso"/>)"}},
            {tar_member("web.nvram", "MRVN"), tar_member("tools.iso", "x")})));
    CHECK(machine.disks.size() == 1);
    // instant-gnuradio: a disk that is not what its SHA1 says, found before anything is published.
    const std::string ovf = ovf_with({{"files", R"(<File ovf:id="file1" ovf:href="web-disk1.vmdk"/>)"}});
    machine = open_machine(files.put(
        "sha1.ova", tar_of({tar_member("web.ovf", ovf),
                            tar_member("web.mf", digest_line(HashAlgorithm::sha1, "web.ovf", ovf) +
                                                     digest_line(HashAlgorithm::sha1, "web-disk1.vmdk", "other")),
                            tar_member("web-disk1.vmdk", text_of(kStream))})));
    CHECK_THROWS_WITH(machine.verify({}), Catch::Contains("'web-disk1.vmdk' is not what"));
    // vSAN witness: six disks on two controllers, whose addresses repeat (Xen Orchestra: DEVICE_ALREADY_EXISTS).
    std::map<std::string, std::string> many;
    many["controller"] = "<Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>"
                         "<Item><rasd:InstanceID>9</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>";
    std::vector<std::string> members;
    for (int i = 0; i < 6; ++i) {
        const std::string n = std::to_string(i);
        many["files"] += "<File ovf:id=\"file" + n + "\" ovf:href=\"d" + n + ".vmdk\"/>";
        many["disks"] += "<Disk ovf:diskId=\"vmdisk" + n + "\" ovf:fileRef=\"file" + n + "\"/>";
        many["disk"] += "<Item><rasd:AddressOnParent>" + std::to_string(i % 3) +
                        "</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/vmdisk" + n +
                        "</rasd:HostResource><rasd:Parent>" + (i < 3 ? "3" : "9") +
                        "</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>";
        members.push_back(
            tar_member("d" + n + ".vmdk", text_of(make_stream_vmdk({{0, static_cast<unsigned>(i + 1)}}))));
    }
    members.insert(members.begin(), tar_member("witness.ovf", ovf_with(many)));
    machine = open_machine(files.put("witness.ova", tar_of(members)));
    REQUIRE(machine.disks.size() == 6);
    for (std::size_t i = 0; i < 6; ++i)
        CHECK(byte_at(machine, i, 0) == i + 1);
    // Xen Orchestra wanted an OVA: the descriptor beside its disk is enough.
    files.put("web-disk1.vmdk", kStream);
    CHECK(byte_at(open_machine(files.put("web.ovf", ovf)), 0, 0) == 0x41);
}

TEST_CASE("VMDKs that other converters could not read, or read wrongly") {
    Files files;
    // veewee and VirtualBox 4.2: version 3 (QEMU before 1.8 refused it).
    ImageBytes stream = kStream;
    stream.put_le(4, 4, 3);
    stream.put_le(stream.size() - 1024 + 4, 4, 3);
    CHECK(byte_at(open_machine(files.put("box-disk1.vmdk", stream)), 0, 0) == 0x41);
    // kiwi 9: lines of its own among the disk's data base.
    const std::string lines = "RW " + std::to_string(kVmdkSectors) + " SPARSE \"a.vmdk\"\n";
    CHECK(byte_at(open_machine(
                      files.put("kiwi.vmdk", make_sparse_vmdk({{0, 7}}, vmdk_descriptor("monolithicSparse", lines) +
                                                                            "ddb.toolsInstallType = \"4\"\n"
                                                                            "ddb.toolsVersion = \"10110\"\n"))),
                  0, 0) == 7);
    // BEM++ 3.0: a grain that was damaged on the way.
    ImageBytes damaged = kStream;
    damaged.put_le(kStreamGrainsAt + 16, 2, 0xffff);
    const SourceMachine machine = open_machine(files.put("damaged.vmdk", damaged));
    CHECK_THROWS_AS(byte_at(machine, 0, 0), Error);
    // Uploads of a split disk without its parts, and of a delta without its parent (dissect): by name, never zeros.
    CHECK_THAT(refusal_of(files.put("split.vmdk", vmdk_descriptor("twoGbMaxExtentSparse", "RW 4192256 SPARSE "
                                                                                          "\"split-s001.vmdk\"\n"))),
               Catch::Contains("unsafe") && Catch::Contains("'split-s001.vmdk'"));
    CHECK_THAT(refusal_of(files.put("web-000001.vmdk", make_sparse_vmdk({{0, 7}}, vmdk_descriptor("monolithicSparse",
                                                                                                  lines, "12345678")))),
               Catch::Contains("unsafe") && Catch::Contains("backing file"));
}

TEST_CASE("VHDs and VHDXs by what they are, whatever they are called") {
    Files files;
    // qemus/qemu: a dynamic VHD that is called .vhdx.
    VhdShape shape;
    shape.blocks = {{0, 0x11}, {39, 0x22}};
    SourceMachine machine = open_machine(files.put("data.vhdx", make_vhd(shape)));
    CHECK(byte_at(machine, 0, 39 * kVhdBlock) == 0x22);
    CHECK(machine.disks[0].opened.device->size() == kVhdSize); // and no block more (azure-vhd-utils, azure-xplat-cli)
    // coreos-assembler: a fixed VHD of qemu-img is a raw disk with an end that nobody sees.
    shape.type = 2;
    const std::string fixed = files.put("fcos.vhd", make_vhd(shape));
    CHECK_THAT(refusal_of(fixed), Catch::Contains("vhd:PATH"));
    CHECK(open_machine("vhd:" + fixed).disks[0].opened.device->size() == kVhdSize);
    // Azure Linux Image Tools: of qemu-img without force_size, whose geometry counts.
    shape.creator = "qemu";
    CHECK(open_machine("vhd:" + files.put("geometry.vhd", make_vhd(shape))).disks[0].opened.device->size() ==
          std::uint64_t{75} * 4 * 17 * 512);
    // DiscUtils and GCE: the partition table is in the log of a VHDX that nobody closed.
    VhdxShape logged;
    ImageBytes image = make_vhdx(logged);
    const std::uint64_t block = image.size();
    image.fill(block, kMegabyte, 0x42);
    mark_log(image);
    const auto table = image.at(vhdx_at::table, 4096);
    LogChange change{vhdx_at::table, 4096, std::vector<std::byte>(table.begin(), table.end())};
    store_le<std::uint64_t>(change.content->data(), block | 6);
    put_log_entry(image, {0, 0, 5, block + kMegabyte, block + kMegabyte, {change}});
    CHECK(byte_at(open_machine(files.put("crashed.vhdx", image)), 0, 510) == 0x42);
    // CDI 1.20: a VDI that was uploaded became a raw disk with a VDI in it.
    machine = open_machine(files.put("disk.img", make_vdi({{0, 0x33}, {11, 0x44}})));
    CHECK(machine.disks[0].opened.info.format == DiskFormat::vdi);
    CHECK(byte_at(machine, 0, 11 * kVdiBlock) == 0x44);
    // VirtualBox: the state behind a snapshot lies in a child, which needs its parent.
    ImageBytes child = make_vdi({{0, 1}});
    child.put_le(76, 4, 4);
    child.put_le(440, 1, 7);
    CHECK_THAT(refusal_of(files.put("{0a1b}.vdi", child)), Catch::Contains("unsupported"));
}

TEST_CASE(".vmx files that virt-v2v finds no disk in") {
    Files files;
    const std::string head = ".encoding = \"windows-1252\"\nconfig.version = \"8\"\nvirtualHW.version = \"7\"\n";
    // Workstation 7: IDE without a deviceType, blanks and commas in names, an encoding of Windows.
    files.put("KR C, V8.3.B\xc3\xbcro.vmdk", kStream);
    SourceMachine machine =
        open_machine(files.put("KR C, V8.3.B\xc3\xbcro.vmx",
                               head + "ide0:0.present = \"TRUE\"\nide0:0.fileName = \"KR C, V8.3.B\xfcro.vmdk\"\n"
                                      "displayName = \"B\xfcro \x80\"\n"));
    CHECK(byte_at(machine, 0, 0) == 0x41);
    CHECK(machine.hardware->name == "B\xc3\xbcro \xe2\x82\xac");
    // vSphere, cloned with another bus: what was on SCSI is on SATA, or on NVMe.
    files.put("clone.vmdk", kStream);
    for (const std::string bus : {"sata", "nvme"}) {
        machine = open_machine(
            files.put("clone.vmx", head +
                                       "scsi0.present = \"TRUE\"\nscsi0:0.present = \"FALSE\"\n"
                                       "scsi0:0.fileName = \"old.vmdk\"\n" +
                                       bus + "0.present = \"TRUE\"\n" + bus + "0:0.deviceType = \"disk\"\n" + bus +
                                       "0:0.fileName = \"clone.vmdk\"\n" + bus + "0:0.present = \"TRUE\"\n"));
        CHECK(byte_at(machine, 0, 599 * kVmdkGrain) == 0x5a);
    }
    // ESXi 6.7 with snapshots of two disks: found beside it, and refused for want of their parents.
    const std::string lines = "RW " + std::to_string(kVmdkSectors) + " SPARSE \"x\"\n";
    const ImageBytes delta = make_sparse_vmdk({{0, 7}}, vmdk_descriptor("monolithicSparse", lines, "12345678"));
    files.put("srv-000001.vmdk", delta);
    files.put("srv_1-000001.vmdk", delta);
    CHECK_THAT(refusal_of(files.put("srv.vmx", head + "scsi0:0.fileName = \"srv-000001.vmdk\"\n"
                                                      "scsi0:1.fileName = \"srv_1-000001.vmdk\"\n")),
               Catch::Contains("srv-000001.vmdk") && Catch::Contains("backing file"));
    // Each with its own parent; what is said of the second disk is asked for by its number.
    SourceRequest request;
    add_backing(request, files.put("srv.vmdk", make_sparse_vmdk({{1, 0x11}}, vmdk_descriptor("monolithicSparse", lines,
                                                                                             "ffffffff", "12345678"))));
    try {
        open_machine(files.path("srv.vmx"), request);
        FAIL("the second disk has no parent yet");
    } catch (const Error& error) {
        CHECK_THAT(error.what(), Catch::Contains("srv_1-000001.vmdk"));
        CHECK(error.hint().kind == HintKind::backing);
        CHECK(error.hint().argument == "2");
    }
    add_backing(request,
                "2=" +
                    files.put("srv_1.vmdk", make_sparse_vmdk({{1, 0x22}}, vmdk_descriptor("monolithicSparse", lines,
                                                                                          "ffffffff", "12345678"))) +
                    ":vmdk");
    machine = open_machine(files.path("srv.vmx"), request);
    CHECK(byte_at(machine, 0, 0) == 7);
    CHECK(byte_at(machine, 0, kVmdkGrain) == 0x11);
    CHECK(byte_at(machine, 1, 0) == 7);
    CHECK(byte_at(machine, 1, kVmdkGrain) == 0x22);
    add_backing(request, "3=" + files.path("srv_1.vmdk"));
    CHECK_THAT(refusal_of(files.path("srv.vmx"), request),
               Catch::Contains("usage") && Catch::Contains("disk 3") && Catch::Contains("has 2 disks"));
}

TEST_CASE("disks that are packed, whatever they are called") {
    Files files;
    const std::string disk = std::string(1 << 20, 'a') + std::string(1 << 20, 'b');
    // pigz -i and virtctl vmexport: several members behind each other (readers of one member see half of the disk).
    SourceMachine machine =
        open_machine(files.put("vmexport.img.gz", gzip(disk.substr(0, 1 << 20)) + gzip(disk.substr(1 << 20))));
    CHECK(machine.disks[0].opened.device->size() == disk.size());
    CHECK(byte_at(machine, 0, disk.size() - 1) == 'b');
    // CDI: the suffix says nothing; a VDI in gzip that is called .img is neither raw nor gzip.
    machine = open_machine(files.put("upload.img", gzip(text_of(make_vdi({{11, 0x44}})))));
    CHECK(machine.disks[0].opened.info.format == DiskFormat::vdi);
    CHECK(byte_at(machine, 0, 11 * kVdiBlock) == 0x44);
    // An OVA that a web server packed on its way: named, with what to do.
    CHECK_THAT(refusal_of(files.put("web.ova", gzip(ova_with({})))),
               Catch::Contains("unsupported") && Catch::Contains("an OVA, a tar archive packed with gzip"));
    // A download that was cut off.
    const std::string packed = gzip(disk);
    CHECK_THAT(refusal_of(files.put("cut.raw.gz", packed.substr(0, packed.size() - 9))), Catch::Contains("corrupt"));
    // Packed twice, by a script that packs whatever it finds.
    CHECK_THAT(refusal_of(files.put("twice.gz", gzip(packed))), Catch::Contains("unsupported"));
}
