#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/source/archive_refusal.hpp"
#include "libconvert/source/machine_package.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/hardware/ovf_fixture.hpp"
#include "tests/unit/source/package_fixture.hpp"

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>

using namespace vm2oci;

namespace {

const std::string kDisk(4096, 'd');
const std::string kOvf = ovf_with();

std::string manifest(HashAlgorithm algorithm = HashAlgorithm::sha256) {
    return digest_line(algorithm, "web.ovf", kOvf) + digest_line(algorithm, "web-disk1.vmdk", kDisk);
}

MachinePackage open_tar(const std::string& tar, const PackageRequest& request = {}) {
    return open_package(*open_ova_members(std::make_shared<TextDevice>(tar)), request);
}

std::string content_of(const BlockDevice& device) {
    std::string text(device.size(), '\0');
    device.read_at(0, std::as_writable_bytes(std::span(text)));
    return text;
}

std::string plain_ova() {
    return tar_of({tar_member("web.ovf", kOvf), tar_member("web.mf", manifest()), tar_member("web-disk1.vmdk", kDisk)});
}

struct HostileTar {
    std::string what;
    std::string tar;
    ErrorKind kind;
    std::string says;
};

std::string ovf_of_file(const std::string& attributes) {
    return ovf_with({{"files", "<File ovf:id=\"file1\" " + attributes + "/>"}});
}

// With a disk that the descriptor calls `href`.
std::string ova_of_href(const std::string& href) {
    return tar_of(
        {tar_member("web.ovf", ovf_of_file("ovf:href=\"" + href + "\"")), tar_member("web-disk1.vmdk", kDisk)});
}

std::string ova_with_manifest(const std::string& text) {
    return tar_of({tar_member("web.ovf", kOvf), tar_member("web.mf", text), tar_member("web-disk1.vmdk", kDisk)});
}

std::vector<HostileTar> hostile_tars() {
    const std::string ovf = tar_member("web.ovf", kOvf);
    const std::string disk = tar_member("web-disk1.vmdk", kDisk);
    const std::string mf = manifest();
    std::string other_digest = mf;
    other_digest[other_digest.size() - 2] = other_digest[other_digest.size() - 2] == '0' ? '1' : '0';
    std::string ovf_digest = mf;
    ovf_digest[16] = ovf_digest[16] == '0' ? '1' : '0';
    return {
        {"no descriptor", tar_of({disk}), ErrorKind::unsupported, "no descriptor"},
        {"two descriptors", tar_of({ovf, tar_member("other.ovf", kOvf), disk}), ErrorKind::unsupported,
         "two descriptors"},
        {"a descriptor twice", tar_of({ovf, ovf, disk}), ErrorKind::unsafe, "two members"},
        {"a disk twice", tar_of({ovf, disk, disk}), ErrorKind::unsafe, "two members"},
        {"a disk twice by another spelling", tar_of({ovf, disk, tar_member("./web-disk1.vmdk", "x")}),
         ErrorKind::unsafe, "two members"},
        {"a member that leads upwards", tar_of({ovf, disk, tar_member("../evil", "x")}), ErrorKind::unsafe,
         "'../evil'"},
        {"a disk that is a link", tar_of({ovf, tar_member("web-disk1.vmdk", "", '2', {}, "/etc/passwd")}),
         ErrorKind::unsafe, "no plain file"},
        {"a disk that is a hard link", tar_of({ovf, tar_member("web-disk1.vmdk", "", '1', {}, "/etc/passwd")}),
         ErrorKind::unsafe, "no plain file"},
        {"a disk that is a device", tar_of({ovf, tar_member("web-disk1.vmdk", "", '3')}), ErrorKind::unsafe,
         "no plain file"},
        {"a disk that is not there", tar_of({ovf}), ErrorKind::corrupt, "not in the archive"},
        {"a disk that is a folder", tar_of({ovf, tar_member("web-disk1.vmdk/", "", '5')}), ErrorKind::corrupt,
         "not in the archive"},
        {"a disk larger than the archive",
         tar_of({ovf}).substr(0, ovf.size()) + tar_member("web-disk1.vmdk", kDisk, '0', 1 << 30), ErrorKind::corrupt,
         "ends within"},
        {"a disk of 8 EiB", ovf + tar_member("web-disk1.vmdk", kDisk, '0', 0777777777777ULL), ErrorKind::corrupt,
         "ends within"},
        {"a disk of another size than is said", tar_of({ovf, tar_member("web-disk1.vmdk", kDisk + "x")}),
         ErrorKind::corrupt, "4097 bytes"},
        {"an archive that is cut off", plain_ova().substr(0, plain_ova().size() - 3000), ErrorKind::corrupt,
         "ends within"},
        {"a path of the root", ova_of_href("/etc/passwd"), ErrorKind::unsafe, "from the root"},
        {"a path upwards", ova_of_href("../../etc/passwd"), ErrorKind::unsafe, "upwards"},
        {"a path upwards within", ova_of_href("x/../web-disk1.vmdk"), ErrorKind::unsafe, "upwards"},
        {"a path upwards that is encoded", ova_of_href("%2e%2e/%2e%2e/etc/passwd"), ErrorKind::unsafe, "upwards"},
        {"a path of the root that is encoded", ova_of_href("%2fetc%2fpasswd"), ErrorKind::unsafe, "from the root"},
        {"an address", ova_of_href("http://host.example/web-disk1.vmdk"), ErrorKind::unsafe, "an address"},
        {"an address of a file", ova_of_href("FILE:///etc/passwd"), ErrorKind::unsafe, "an address"},
        {"an encoded NUL", ova_of_href("web-disk1.vmdk%00x"), ErrorKind::unsafe, "NUL"},
        {"the wrong letter", ova_of_href("WEB-DISK1.vmdk"), ErrorKind::corrupt, "not in the archive"},
        {"a digest that lies of the descriptor", ova_with_manifest(ovf_digest), ErrorKind::corrupt, "web.ovf"},
        {"a manifest of words", ova_with_manifest("all is well\n"), ErrorKind::corrupt, "no digest"},
        {"a digest without digits", ova_with_manifest("SHA256(web.ovf)=\n"), ErrorKind::corrupt, "no digest"},
        {"a digest that is too short", ova_with_manifest("SHA256(web.ovf)= abcd\n"), ErrorKind::corrupt, "4 digits"},
        {"a digest of other letters", ova_with_manifest("SHA256(web.ovf)= " + std::string(64, 'g') + "\n"),
         ErrorKind::corrupt, "no digest"},
        {"a digest of another function", ova_with_manifest("MD5(web.ovf)= d41d8cd98f00b204e9800998ecf8427e\n"),
         ErrorKind::unsupported, "'MD5'"},
        {"two digests of one file", ova_with_manifest(mf + other_digest), ErrorKind::corrupt, "two digests"},
        {"a manifest without end", ova_with_manifest(std::string(kMaxManifestBytes + 1, '\n')), ErrorKind::limit,
         "limit"},
        {"a certificate without a manifest", tar_of({ovf, tar_member("web.cert", "x"), disk}), ErrorKind::unsafe,
         "no manifest"},
        {"a certificate of words", tar_of({ovf, tar_member("web.mf", mf), tar_member("web.cert", "x"), disk}),
         ErrorKind::corrupt, "no digest"},
        {"a certificate file without one",
         tar_of({ovf, tar_member("web.mf", mf), tar_member("web.cert", "SHA256(web.mf)= abcd\n"), disk}),
         ErrorKind::corrupt, "no certificate"},
        {"a signature of another form",
         tar_of({ovf, tar_member("web.mf", mf), tar_member("web.cert", "-----BEGIN CMS-----\n"), disk}),
         ErrorKind::unsupported, "CMS"},
        {"a broken header", tar_of({ovf, std::string(512, 'x')}), ErrorKind::corrupt, ""},
        {"no machine in it", tar_of({tar_member("web.ovf", "<Envelope/>")}), ErrorKind::corrupt, "no machine"},
        {"an entity in it",
         tar_of({tar_member("web.ovf",
                            ovf_with({{"doctype", "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>"}})),
                 disk}),
         ErrorKind::unsafe, "document type"},
        {"a blank disk beyond the limit",
         tar_of({tar_member(
             "web.ovf",
             ovf_with(
                 {{"disks",
                   R"(<Disk ovf:diskId="vmdisk1" ovf:capacity="3" ovf:capacityAllocationUnits="byte * 2^40"/>)"}}))}),
         ErrorKind::limit, "and the limit is 2 TiB"},
        {"no disk", tar_of({tar_member("web.ovf", ovf_with({{"disks", ""}, {"disk", ""}}))}), ErrorKind::unsupported,
         "no disk"},
    };
}

} // namespace

TEST_CASE("the disks of an OVA are read in place") {
    for (const HashAlgorithm algorithm :
         {HashAlgorithm::sha1, HashAlgorithm::sha256, HashAlgorithm::sha384, HashAlgorithm::sha512}) {
        const MachinePackage package = open_tar(ova_with_manifest(manifest(algorithm)));
        REQUIRE(package.disks.size() == 1);
        CHECK(package.disks[0].file == "web-disk1.vmdk");
        CHECK(content_of(*package.disks[0].bytes) == kDisk);
        CHECK(package.hardware.cpus == 4U);
        CHECK(package.has_manifest);
        CHECK(package.remarks.empty());
        package.verifier->finish({});
    }
}

TEST_CASE("hostile archives are refused, each with its cause") {
    const std::vector<HostileTar> rows = hostile_tars();
    CHECK(rows.size() >= 40);
    for (const HostileTar& row : rows) {
        INFO(row.what);
        try {
            open_tar(row.tar);
            FAIL_CHECK("it was taken");
        } catch (const Error& error) {
            CHECK(to_string(error.kind()) == to_string(row.kind));
            CHECK_THAT(error.what(), Catch::Contains(row.says));
        }
    }
}

TEST_CASE("a digest that lies of a disk is found when the disk was read, and when it was not") {
    std::string lying = manifest();
    lying[lying.size() - 2] = lying[lying.size() - 2] == '0' ? '1' : '0';
    for (const bool is_read : {false, true}) {
        const MachinePackage package = open_tar(ova_with_manifest(lying));
        if (is_read)
            content_of(*package.disks[0].bytes);
        try {
            package.verifier->finish({});
            FAIL_CHECK("it was taken");
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::corrupt);
            CHECK_THAT(error.what(), Catch::Contains("'web-disk1.vmdk' is not what"));
        }
    }
}

TEST_CASE("a digest that lies is found whatever the manifest is called, and however it writes names") {
    const auto lines = [](const std::string& ovf, const std::string& disk) {
        return digest_line(HashAlgorithm::sha256, ovf, kOvf) + digest_line(HashAlgorithm::sha256, disk, "other");
    };
    struct Row {
        std::string descriptor;
        std::string name;
        std::string text;
    };
    const Row row = GENERATE_COPY(Row{"WEB.OVF", "WEB.MF", lines("WEB.OVF", "web-disk1.vmdk")},
                                  Row{"web.ovf", "Web.mf", lines("web.ovf", "web-disk1.vmdk")},
                                  Row{"web.ovf", "manifest.mf", lines("web.ovf", "web-disk1.vmdk")},
                                  Row{"x/web.ovf", "x/other.MF", lines("web.ovf", "web-disk1.vmdk")},
                                  Row{"web.ovf", "web.mf", lines("./web.ovf", ".//web-disk1.vmdk")},
                                  Row{"web.ovf", "web.mf", lines("Web.ovf", "WEB-disk1.VMDK")},
                                  Row{"web.ovf", "web.mf", "\xef\xbb\xbf" + lines("web.ovf", "web-disk1.vmdk")});
    INFO(row.name << "\n" << row.text);
    const std::string folder = row.descriptor.starts_with("x/") ? "x/" : "";
    const MachinePackage package =
        open_tar(tar_of({tar_member(row.descriptor, kOvf), tar_member(folder + "web-disk1.vmdk", kDisk),
                         tar_member(row.name, row.text)}));
    CHECK(package.remarks.empty());
    REQUIRE(package.verifier);
    CHECK_THROWS_WITH(package.verifier->finish({}), Catch::Contains("'web-disk1.vmdk' is not what"));
}

TEST_CASE("which of two manifests counts is not guessed, and a name that is there is meant") {
    const auto with = [](const std::vector<std::string>& more) {
        std::vector<std::string> members = {tar_member("web.ovf", kOvf), tar_member("web-disk1.vmdk", kDisk)};
        members.insert(members.end(), more.begin(), more.end());
        return tar_of(members);
    };
    CHECK_THROWS_WITH(open_tar(with({tar_member("web.mf", manifest()), tar_member("web.MF", manifest())})),
                      Catch::Contains("two files that could vouch"));
    CHECK_THROWS_WITH(open_tar(with({tar_member("a.mf", manifest()), tar_member("b.mf", manifest())})),
                      Catch::Contains("two files that could vouch"));
    CHECK(open_tar(with({tar_member("a.mf", "nonsense"), tar_member("web.mf", manifest())})).has_manifest);
    CHECK_FALSE(open_tar(with({tar_member("sub/web.mf", "nonsense")})).has_manifest);
    // A digest of another file, whose name differs in its letters' case.
    const MachinePackage both =
        open_tar(with({tar_member("WEB-disk1.vmdk", "other"),
                       tar_member("web.mf", digest_line(HashAlgorithm::sha256, "WEB-disk1.vmdk", "other"))}));
    CHECK_NOTHROW(both.verifier->finish({}));
    CHECK_THAT(both.remarks.at(1), Catch::Contains("no digest of 'web-disk1.vmdk'"));
    CHECK_THROWS_WITH(parse_ovf_manifest("SHA1(a)= " + std::string(40, 'a') + "\nSHA1(./a)= " + std::string(40, 'b')),
                      Catch::Contains("two digests"));
}

TEST_CASE("manifests are read as all of their writers write them") {
    const std::string sha1(40, 'a');
    const std::string sha256(64, 'b');
    const auto digests =
        parse_ovf_manifest("SHA1(a.ovf)= " + sha1 + "\r\nSHA256 (b (1).vmdk) = " + std::string(64, 'B') +
                           "\n\n  SHA2-256(c=d.iso)=" + sha256 + "\nsha-1(e)= " + sha1 + "\nSHA256(e)= " + sha256);
    CHECK(digests.size() == 4);
    CHECK(digests.at("a.ovf") == FileDigest{HashAlgorithm::sha1, sha1});
    CHECK(digests.at("b (1).vmdk") == FileDigest{HashAlgorithm::sha256, sha256});
    CHECK(digests.at("c=d.iso") == FileDigest{HashAlgorithm::sha256, sha256});
    CHECK(digests.at("e") == FileDigest{HashAlgorithm::sha256, sha256}); // the stronger one
    CHECK(parse_ovf_manifest("").empty());
}

TEST_CASE("what is missing of a manifest is told") {
    const MachinePackage without = open_tar(tar_of({tar_member("web.ovf", kOvf), tar_member("web-disk1.vmdk", kDisk)}));
    CHECK(without.verifier == nullptr);
    CHECK_THAT(without.remarks.at(0), Catch::Contains("no digests"));
    const MachinePackage partly = open_tar(ova_with_manifest(digest_line(HashAlgorithm::sha1, "web.ovf", kOvf)));
    CHECK_THAT(partly.remarks.at(0), Catch::Contains("no digest of 'web-disk1.vmdk'"));
    const MachinePackage more =
        open_tar(ova_with_manifest(manifest() + digest_line(HashAlgorithm::sha1, "gone.iso", "")));
    CHECK_THAT(more.remarks.at(0), Catch::Contains("'gone.iso', which is not in the archive"));
}

TEST_CASE("an OVA is told by its descriptor, wherever it stands") {
    const auto looks = [](const std::string& tar) { return looks_like_ova(TextDevice(tar)); };
    const std::string ovf = tar_member("web.ovf", kOvf);
    CHECK(looks(plain_ova()));
    CHECK(looks(
        tar_of({tar_member("dir/", "", '5'), tar_member("dir/._web.ovf", "x"), tar_member("dir/Web.OVF", kOvf)})));
    CHECK(looks(tar_of({tar_member("disk.vmdk", kDisk), ovf}))); // put together by hand
    CHECK_FALSE(looks(tar_of({tar_member("disk.raw", "x")})));
    CHECK_FALSE(looks(tar_of({tar_member("web.ovf/", "", '5'), tar_member("._web.ovf", "x")})));
    CHECK_FALSE(looks(tar_of({})));
    CHECK_FALSE(looks(std::string(4096, '\0')));
    CHECK_FALSE(looks(""));
    CHECK(looks_like_ovf(TextDevice(kOvf)));
    CHECK(looks_like_ovf(TextDevice("\xef\xbb\xbf  \n" + kOvf)));
    CHECK_FALSE(looks_like_ovf(TextDevice("<domain/>")));
    CHECK_FALSE(looks_like_ovf(TextDevice("Envelope")));
    CHECK_FALSE(looks_like_ovf(TextDevice("")));
}

TEST_CASE("members in a folder, noise of macOS, names that are encoded") {
    const std::string ovf = ovf_of_file("ovf:href=\"sub/web%20disk.vmdk\" ovf:size=\"4096\"");
    const MachinePackage package =
        open_tar(tar_of({tar_member("./export/._web.ovf", "noise"), tar_member("./export/web.ovf", ovf),
                         tar_member("export/sub/web disk.vmdk", kDisk), tar_member("export/._web.mf", "noise")}));
    CHECK(content_of(*package.disks.at(0).bytes) == kDisk);
}

TEST_CASE("one disk is chosen by number, id or file") {
    const std::string ovf = ovf_with(
        {{"files", R"(<File ovf:id="file1" ovf:href="a.vmdk"/><File ovf:id="file2" ovf:href="b.vmdk"/>)"},
         {"disks",
          R"(<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1"/><Disk ovf:diskId="vmdisk2" ovf:fileRef="file2"/>)"},
         {"more",
          "<Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/vmdisk2</rasd:HostResource>"
          "<rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>"}});
    const std::string tar =
        tar_of({tar_member("web.ovf", ovf), tar_member("b.vmdk", "second"), tar_member("a.vmdk", "first")});
    const auto chosen = [&](const std::string& disk) {
        PackageRequest request;
        request.disk = disk;
        const MachinePackage package = open_tar(tar, request);
        CHECK(package.hardware.disks.size() == package.disks.size());
        std::string all;
        for (const PackageDisk& found : package.disks)
            all += content_of(*found.bytes) + " ";
        return all;
    };
    CHECK(chosen("") == "first second ");
    CHECK(chosen("1") == "first ");
    CHECK(chosen("2") == "second ");
    CHECK(chosen("vmdisk2") == "second ");
    CHECK(chosen("a.vmdk") == "first ");
    for (const char* wrong : {"0", "3", "c.vmdk", "-1", "1x"})
        CHECK_THROWS_WITH(chosen(wrong), Catch::Contains("1 'a.vmdk', 2 'b.vmdk'"));
}

TEST_CASE("a VMDK in several files lies in the package with all of them") {
    const std::string first(2048, 'a');
    const std::string second(1024, 'b');
    const auto descriptor_of = [](const std::string& name) {
        return "# Disk DescriptorFile\nversion=1\nCID=1a2b3c4d\nparentCID=ffffffff\ncreateType=\"twoGbMaxExtentFlat\"\n"
               "RW 4 FLAT \"web-f001.vmdk\" 0\nRW 3 ZERO\nRW 2 FLAT \"" +
               name + "\" 0\n";
    };
    const std::string descriptor = descriptor_of("web-f002.vmdk");
    const std::string ovf = ovf_with(
        {{"files",
          R"(<File ovf:id="file1" ovf:href="web.vmdk"/><File ovf:id="part" ovf:href="web-f002.vmdk" ovf:size=")" +
              std::to_string(second.size()) + "\"/>"}});
    const auto tar = [&](const std::string& text, const std::string& mf, const std::string& last) {
        return tar_of({tar_member("web.ovf", ovf), tar_member("web.mf", mf), tar_member("web.vmdk", text),
                       tar_member("web-f001.vmdk", first), tar_member("web-f002.vmdk", last)});
    };
    const auto line = [](const std::string& name, const std::string& content) {
        return digest_line(HashAlgorithm::sha256, name, content);
    };
    const std::string mf = line("web.ovf", ovf) + line("web.vmdk", descriptor) + line("web-f001.vmdk", first) +
                           line("web-f002.vmdk", second);
    const auto read = [](const MachinePackage& package) {
        DiskSource source;
        source.package = package.disks.at(0).parts;
        std::string content = content_of(*open_disk(package.disks[0].bytes, source).device);
        package.verifier->finish({});
        return content;
    };
    const MachinePackage package = open_tar(tar(descriptor, mf, second));
    CHECK(package.remarks.empty());
    CHECK(read(package) == first + std::string(1536, '\0') + second);
    const std::string other = second.substr(1) + "c";
    CHECK_THROWS_WITH(read(open_tar(tar(descriptor, mf, other))), Catch::Contains("'web-f002.vmdk' is not what"));
    CHECK_THROWS_WITH(open_tar(tar(descriptor, mf, second + "x")), Catch::Contains("1025 bytes"));
    const auto refusal = [&](const std::string& name) {
        const std::string text = descriptor_of(name);
        try {
            open_tar(tar(text, line("web.ovf", ovf) + line("web.vmdk", text), second));
        } catch (const Error& error) {
            return std::string(to_string(error.kind())) + ": " + error.what();
        }
        return std::string();
    };
    CHECK_THAT(refusal("../web-f002.vmdk"), Catch::Contains("unsafe") && Catch::Contains("upwards"));
    CHECK_THAT(refusal("/etc/passwd"), Catch::Contains("unsafe") && Catch::Contains("from the root"));
    CHECK_THAT(refusal("web-f003.vmdk"), Catch::Contains("corrupt") && Catch::Contains("not in the archive"));
    const std::string unvouched = line("web.ovf", ovf) + line("web.vmdk", descriptor) + line("web-f001.vmdk", first);
    CHECK_THAT(open_tar(tar(descriptor, unvouched, second)).remarks.at(0),
               Catch::Contains("no digest of 'web-f002.vmdk'"));
}

TEST_CASE("archives that are not read in place say what to unpack and to name") {
    const auto refusal = [](const std::vector<std::string>& members, std::string_view packing) {
        try {
            refuse_tar(TextDevice(tar_of(members)), packing);
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::unsupported);
            return std::string(error.what());
        }
    };
    const std::string metadata = tar_member("metadata.json", R"({"provider": "libvirt"})");
    CHECK_THAT(refusal({metadata, tar_member("Vagrantfile", ""), tar_member("box.img", kDisk)}, "gzip"),
               Catch::Contains("a Vagrant box, a tar archive packed with gzip") && Catch::Contains("name 'box.img'"));
    CHECK_THAT(refusal({tar_member("./Vagrantfile", ""), tar_member("./box-disk001.vmdk", kDisk),
                        tar_member("./box.ovf", kOvf)},
                       "gzip"),
               Catch::Contains("Vagrant") && Catch::Contains("name 'box.ovf'"));
    CHECK_THAT(refusal({metadata, tar_member("vm/box.vmx", ""), tar_member("vm/disk.vmdk", "")}, ""),
               Catch::Contains("unpack it (tar xf), and name 'vm/box.vmx'"));
    CHECK_THAT(refusal({tar_member("web.ovf", kOvf), tar_member("web-disk1.vmdk", kDisk)}, "zstd"),
               Catch::Contains("an OVA, a tar archive packed with zstd") && Catch::Contains("unpack that layer alone"));
    CHECK_THAT(refusal({tar_member("etc/passwd", "x")}, "xz"), Catch::Contains("name the disk in it"));
    CHECK(is_vagrant_box({"Vagrantfile"}));
    CHECK(is_vagrant_box({"metadata.json", "box.img"}));
    CHECK_FALSE(is_vagrant_box({"metadata.json", "index.html"}));
    CHECK_FALSE(is_vagrant_box({"web.ovf", "web-disk1.vmdk"}));
    CHECK(names_in_tar(TextDevice(std::string(4096, '\0'))).empty());
    CHECK(names_in_tar(TextDevice(std::string(4096, 'x'))).empty());
    CHECK(names_in_tar(TextDevice(tar_of({tar_member("a", kDisk), tar_member("b", kDisk)}).substr(0, 3000))).size() ==
          1);
}

TEST_CASE("a package that must be signed is not taken unsigned") {
    PackageRequest request;
    request.authorities = "/nonexistent/ca.pem";
    CHECK_THROWS_WITH(open_tar(plain_ova(), request), Catch::Contains("not signed"));
    CHECK_THROWS_WITH(open_tar(tar_of({tar_member("web.ovf", kOvf), tar_member("web-disk1.vmdk", kDisk)}), request),
                      Catch::Contains("no manifest"));
}

TEST_CASE("a descriptor's files are those beside it, and no others") {
    const test::TemporaryFolder folder;
    const std::filesystem::path top = folder.path() / "export";
    std::filesystem::create_directory(top);
    const auto write = [](const std::filesystem::path& path, const std::string& text) {
        std::ofstream(path, std::ios::binary) << text;
    };
    write(top / "web-disk1.vmdk", kDisk);
    write(folder.path() / "outside.vmdk", kDisk);
    const auto open_with = [&](const std::string& href) {
        const std::string text = ovf_of_file("ovf:href=\"" + href + "\"");
        return open_package(*open_ovf_folder(top / "web.ovf", std::make_shared<TextDevice>(text), {}), {});
    };
    CHECK(content_of(*open_with("web-disk1.vmdk").disks.at(0).bytes) == kDisk);
    write(top / "web.mf", digest_line(HashAlgorithm::sha256, "web-disk1.vmdk", "other"));
    CHECK_THROWS_WITH(open_with("web-disk1.vmdk").verifier->finish({}),
                      Catch::Contains("'web-disk1.vmdk' is not what"));
    std::filesystem::remove(top / "web.mf");
    write(top / "other.mf", "nonsense"); // of another package
    CHECK_FALSE(open_with("web-disk1.vmdk").has_manifest);
    const auto open_capitals = [&] {
        const std::string text = ovf_of_file("ovf:href=\"web-disk1.vmdk\"");
        return open_package(*open_ovf_folder(top / "WEB.OVF", std::make_shared<TextDevice>(text), {}), {});
    };
    write(top / "WEB.MF", digest_line(HashAlgorithm::sha256, "web-disk1.vmdk", "other"));
    CHECK_THROWS_WITH(open_capitals().verifier->finish({}), Catch::Contains("'web-disk1.vmdk' is not what"));
    write(top / "WEB.mf", digest_line(HashAlgorithm::sha256, "web-disk1.vmdk", kDisk));
    CHECK_THROWS_WITH(open_capitals(), Catch::Contains("two files that could vouch"));
    const auto refused = [&](const std::string& href, const std::string& says) {
        INFO(href);
        CHECK_THROWS_WITH(open_with(href), Catch::Contains(says));
    };
    refused("../outside.vmdk", "upwards");
    refused((folder.path() / "outside.vmdk").string(), "from the root");
    refused("sub/disk.vmdk", "only files beside it");
    refused(".", "only files beside it");
    refused("missing.vmdk", "not in the folder");
    std::filesystem::create_symlink("../outside.vmdk", top / "link.vmdk");
    refused("link.vmdk", "is a link");
    std::filesystem::create_directory(top / "folder.vmdk");
    refused("folder.vmdk", "no regular file");
    REQUIRE(::mkfifo((top / "pipe.vmdk").c_str(), 0600) == 0);
    refused("pipe.vmdk", "no regular file");
}
