// Descriptors of VMDKs as their writers leave them, and each sentence with which one is refused.
#include "formats/block/vmdk/descriptor.hpp"
#include "tests/unit/block/qcow2_fixture.hpp"

using namespace vm2oci;
using namespace vm2oci::test;
using namespace vm2oci::vmdk;

namespace {

const std::string kHead = "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n";

std::string with_extents(const std::string& lines, const std::string& type = "monolithicFlat") {
    return kHead + "createType=\"" + type + "\"\n" + lines;
}

Error refused(const std::string& text) {
    return error_of([&] { parse_descriptor(text); });
}

void check_refused(const std::string& text, ErrorKind kind, const std::string& message) {
    const Error error = refused(text);
    INFO(text);
    CHECK(error.kind() == kind);
    CHECK(error.message() == message);
}

} // namespace

TEST_CASE("descriptors as their writers leave them") {
    struct Case {
        const char* writer;
        const char* text;
        const char* create_type;
        std::uint32_t content_id;
        std::vector<ExtentLine> extents;
    };
    const std::vector<Case> cases = {
        {"VMware Workstation 17, two files of 2 GiB",
         "# Disk DescriptorFile\nversion=1\nencoding=\"windows-1252\"\nCID=a5b01f7c\nparentCID=ffffffff\n"
         "createType=\"twoGbMaxExtentSparse\"\n\n# Extent description\n"
         "RW 8323072 SPARSE \"Debian 12.x 64-bit-s001.vmdk\"\nRW 65536 SPARSE \"Debian 12.x 64-bit-s002.vmdk\"\n\n"
         "# The Disk Data Base \n#DDB\n\nddb.adapterType = \"lsilogic\"\nddb.geometry.cylinders = \"522\"\n"
         "ddb.longContentID = \"0d5b6b0b6f4b3a1b8f5d4a8ea5b01f7c\"\nddb.virtualHWVersion = \"21\"\n",
         "twoGbMaxExtentSparse",
         0xa5b01f7c,
         {{ExtentType::sparse, 8323072, "Debian 12.x 64-bit-s001.vmdk", 0},
          {ExtentType::sparse, 65536, "Debian 12.x 64-bit-s002.vmdk", 0}}},
        {"ESXi 8 on VMFS6",
         "# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\nCID=4d1c2b3a\nparentCID=ffffffff\n"
         "createType=\"vmfs\"\n\n# Extent description\nRW 41943040 VMFS \"rhel9-flat.vmdk\"\n\n"
         "# The Disk Data Base\n#DDB\n\nddb.thinProvisioned = \"1\"\nddb.uuid = \"60 00 C2 9f aa bb cc dd-11 22\"\n",
         "vmfs",
         0x4d1c2b3a,
         {{ExtentType::vmfs, 41943040, "rhel9-flat.vmdk", 0}}},
        {"ESXi 6.5, a snapshot",
         "# Disk DescriptorFile\nversion=3\nencoding=\"UTF-8\"\nCID=12345678\nparentCID=4d1c2b3a\n"
         "isNativeSnapshot=\"no\"\ncreateType=\"seSparse\"\nparentFileNameHint=\"rhel9.vmdk\"\n"
         "# Extent description\nRW 41943040 SESPARSE \"rhel9-000001-sesparse.vmdk\"\n"
         "# Change Tracking File\nchangeTrackPath=\"rhel9-000001-ctk.vmdk\"\n",
         "seSparse",
         0x12345678,
         {{ExtentType::se_sparse, 41943040, "rhel9-000001-sesparse.vmdk", 0}}},
        {"ovftool 4.6",
         "# Disk DescriptorFile\r\nversion=1\r\nCID=7b1d8e2f\r\nparentCID=ffffffff\r\n"
         "createType=\"streamOptimized\"\r\n\r\n# Extent description\r\n"
         "RDWR=ignored\r\nRW 16777216 SPARSE \"call-me-stream.vmdk\"\r\n",
         "streamOptimized",
         0x7b1d8e2f,
         {{ExtentType::sparse, 16777216, "call-me-stream.vmdk", 0}}},
        {"qemu-img 7.2, flat",
         "# Disk DescriptorFile\nversion=1\nCID=39ed1d1a\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n\n"
         "# Extent description\nRW 20480 FLAT \"disk-flat.vmdk\" 0\n\n# The Disk Data Base\n#DDB\n\n"
         "ddb.virtualHWVersion = \"4\"\n",
         "monolithicFlat",
         0x39ed1d1a,
         {{ExtentType::flat, 20480, "disk-flat.vmdk", 0}}},
        {"VirtualBox 7, split into files and zeros between them",
         "# Disk DescriptorFile\nversion=1\nCID=0\nparentCID=ffffffff\ncreateType=\"twoGbMaxExtentFlat\"\n"
         "RW 4192256 FLAT \"box-f001.vmdk\" 0\nRW 8 ZERO\nRW 2048 FLAT \"box-f002.vmdk\" 128\nRW 2048 VMFS \"v\" 7\n",
         "twoGbMaxExtentFlat",
         0,
         {{ExtentType::flat, 4192256, "box-f001.vmdk", 0},
          {ExtentType::zero, 8, "", 0},
          {ExtentType::flat, 2048, "box-f002.vmdk", 128},
          {ExtentType::vmfs, 2048, "v", 7}}},
        {"an editor of Windows, letters of any case, blanks and tabs",
         "\xef\xbb\xbf# Disk DescriptorFile\r\n\tVersion = 2 \r\n  cid=ABCDEF01\r\nPARENTCID=FFFFFFFF\r\n"
         "CreateType = \"vmfsSparse\"\r\n RW\t16   VMFSSPARSE\t\"a  b.vmdk\"  \r\n",
         "vmfsSparse",
         0xabcdef01,
         {{ExtentType::vmfs_sparse, 16, "a  b.vmdk", 0}}},
    };
    for (const Case& one : cases) {
        INFO(one.writer);
        const Descriptor descriptor = parse_descriptor(one.text);
        CHECK(descriptor.create_type == one.create_type);
        CHECK(descriptor.content_id == one.content_id);
        REQUIRE(descriptor.extents.size() == one.extents.size());
        std::uint64_t sectors = 0;
        for (std::size_t i = 0; i < one.extents.size(); ++i) {
            CHECK(descriptor.extents[i].type == one.extents[i].type);
            CHECK(descriptor.extents[i].sectors == one.extents[i].sectors);
            CHECK(descriptor.extents[i].name == one.extents[i].name);
            CHECK(descriptor.extents[i].file_sector == one.extents[i].file_sector);
            sectors += one.extents[i].sectors;
        }
        CHECK(descriptor.sectors() == sectors);
        const bool is_snapshot = std::string_view(one.writer).ends_with("a snapshot");
        CHECK(descriptor.parent_content_id == (is_snapshot ? std::optional<std::uint32_t>(0x4d1c2b3a) : std::nullopt));
        CHECK(descriptor.parent_hint == (is_snapshot ? "rhel9.vmdk" : ""));
    }
}

TEST_CASE("all kinds of disks that consist of files alone are known, and no others") {
    for (const char* type : {"monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat", "vmfs",
                             "vmfsSparse", "seSparse", "streamOptimized"})
        CHECK(parse_descriptor(with_extents("RW 1 ZERO\n", type)).create_type == type);
    for (const char* type : {"fullDevice", "partitionedDevice", "vmfsRaw", "vmfsRawDeviceMap", "vmfsThin", "custom",
                             "vmfsPassthroughRawDeviceMap", "VMFS", "", "vmfs "})
        check_refused(with_extents("RW 1 ZERO\n", type), ErrorKind::unsupported,
                      "the VMDK is of the kind '" + std::string(type) +
                          "', which is not read here; convert it with the tool that made it");
    CHECK(parse_descriptor(kHead + "createType=vmfs\nRW 1 ZERO\n").create_type == "vmfs"); // without quotes
    CHECK_THROWS_AS(parse_descriptor(kHead + "createType=\"vmfs\nRW 1 ZERO\n"), Error);
    for (const ExtentType type :
         {ExtentType::sparse, ExtentType::flat, ExtentType::vmfs, ExtentType::vmfs_sparse, ExtentType::se_sparse}) {
        const std::string word(to_string(type));
        CHECK(parse_descriptor(with_extents("RW 1 " + word + " \"x\" " + (type == ExtentType::flat ? "0\n" : "\n")))
                  .extents[0]
                  .type == type);
    }
}

TEST_CASE("a setting that counts stands there, and once") {
    struct Setting {
        const char* line;
        const char* missing;
    };
    const std::vector<Setting> settings = {
        {"version=1\n", "the descriptor of the VMDK tells no version"},
        {"CID=1\n", "the descriptor of the VMDK tells no content ID (CID)"},
        {"parentCID=ffffffff\n", "the descriptor of the VMDK does not tell whether it has a parent (parentCID)"},
        {"createType=\"vmfs\"\n", "the descriptor of the VMDK tells no createType"},
        {"RW 8 ZERO\n", "the descriptor of the VMDK names no extents"},
    };
    for (std::size_t absent = 0; absent < settings.size(); ++absent) {
        std::string text;
        std::string twice;
        for (std::size_t i = 0; i < settings.size(); ++i) {
            text += i == absent ? "" : settings[i].line;
            twice += settings[i].line + std::string(i == absent ? settings[i].line : "");
        }
        check_refused(text, ErrorKind::corrupt, settings[absent].missing);
        std::string line = settings[absent].line;
        line.pop_back();
        if (line.find('=') != std::string::npos)
            check_refused(twice, ErrorKind::corrupt, "the descriptor's line '" + line + "' repeats a setting");
        else
            CHECK(parse_descriptor(twice).sectors() == 16);
    }
    check_refused("version=4\n" + with_extents("RW 1 ZERO\n").substr(kHead.find("CID")), ErrorKind::unsupported,
                  "version '4' of VMDK descriptors is not known here");
    for (const char* version : {"0", "10", "1.0", "\"1\"", ""})
        CHECK(refused("version=" + std::string(version) + "\n" + with_extents("RW 1 ZERO\n").substr(kHead.find("CID")))
                  .kind() == ErrorKind::unsupported);
}

TEST_CASE("a content ID is a number of 32 bits in base 16") {
    const auto with_id = [](const std::string& id) {
        return "version=1\nCID=" + id + "\nparentCID=ffffffff\ncreateType=\"vmfs\"\nRW 1 ZERO\n";
    };
    CHECK(parse_descriptor(with_id("ffffffff")).content_id == 0xffffffff);
    CHECK(parse_descriptor(with_id("00000001")).content_id == 1);
    CHECK(parse_descriptor(with_id("00000000ffffffff")).content_id == 0xffffffff);
    for (const char* id : {"", "100000000", "0x1", "-1", "g", "1 2", "\"1\"", "11111111111111111"})
        check_refused(with_id(id), ErrorKind::corrupt,
                      "the descriptor's line 'CID=" + std::string(id) + "' holds no content ID");
}

TEST_CASE("an extent's line says how it is read, how large it is, what it is and where it lies") {
    struct Case {
        const char* line;
        ErrorKind kind;
        const char* problem;
    };
    for (const Case& one : {Case{"RW", ErrorKind::corrupt, "is neither an extent nor a setting"},
                            Case{"RWX 1 ZERO", ErrorKind::corrupt, "is neither an extent nor a setting"},
                            Case{"rw 1 ZERO", ErrorKind::corrupt, "is neither an extent nor a setting"},
                            Case{"RW x ZERO", ErrorKind::corrupt, "tells no size"},
                            Case{"RW 0 ZERO", ErrorKind::corrupt, "tells no size"},
                            Case{"RW -1 ZERO", ErrorKind::corrupt, "tells no size"},
                            Case{"RW 1k ZERO", ErrorKind::corrupt, "tells no size"},
                            Case{"RW 18446744073709551616 ZERO", ErrorKind::corrupt, "tells no size"},
                            Case{"RW 1 ZERO x", ErrorKind::corrupt, "has something behind its type"},
                            Case{"RW 1 ZERO \"x\" 0", ErrorKind::corrupt, "has something behind its type"},
                            Case{"RW 1 SPARSE", ErrorKind::corrupt, "names no file"},
                            Case{"RW 1 SPARSE x", ErrorKind::corrupt, "names no file"},
                            Case{"RW 1 SPARSE \"x", ErrorKind::corrupt, "names no file"},
                            Case{"RW 1 SPARSE \"\"", ErrorKind::corrupt, "names no file"},
                            Case{"RW 1 SPARSE x\"\"", ErrorKind::corrupt, "names no file"},
                            Case{"RW 1 SPARSE \"x\" 0", ErrorKind::corrupt, "has something behind its name"},
                            Case{"RW 1 SESPARSE \"x\" y", ErrorKind::corrupt, "has something behind its name"},
                            Case{"RW 1 FLAT \"x\"", ErrorKind::corrupt, "tells no place in its file"},
                            Case{"RW 1 FLAT \"x\" -1", ErrorKind::corrupt, "tells no place in its file"},
                            Case{"RW 1 FLAT \"x\" 0 0", ErrorKind::corrupt, "tells no place in its file"},
                            Case{"RW 1 VMFS \"x\" y", ErrorKind::corrupt, "tells no place in its file"}})
        check_refused(with_extents(one.line), one.kind,
                      "the descriptor's line '" + std::string(one.line) + "' " + one.problem);
    for (const char* line : {"RDONLY 1 ZERO", "NOACCESS 1 ZERO"})
        check_refused(with_extents(line), ErrorKind::unsupported,
                      "the descriptor's extent '" + std::string(line) +
                          "' is not for reading and writing, and other readers leave it out; convert the disk with the "
                          "tool that made it");
    for (const char* line : {"RW 1 VMFSRDM \"x\"", "RW 1 VMFSRAW \"x\"", "RW 1 flat \"x\" 0", "RW 1"})
        check_refused(with_extents(line), ErrorKind::unsupported,
                      "the descriptor's extent '" + std::string(line) +
                          "' is of a kind that is not read here; convert the disk with the tool that made it");
}

TEST_CASE("a snapshot that the storage keeps has its data elsewhere") {
    for (const char* value : {"yes", "\"yes\"", "\"\"", "No"})
        check_refused(with_extents("isNativeSnapshot=" + std::string(value) + "\nRW 1 ZERO\n"), ErrorKind::unsupported,
                      "the disk is a snapshot that its storage keeps, and its data is not in its files");
    CHECK_NOTHROW(parse_descriptor(with_extents("isNativeSnapshot=\"no\"\nRW 1 ZERO\n")));
}

TEST_CASE("a descriptor has limits") {
    std::string many;
    for (unsigned i = 0; i < 1024; ++i)
        many += "RW 1 ZERO\n";
    CHECK(parse_descriptor(with_extents(many)).extents.size() == 1024);
    check_refused(with_extents(many + "RW 1 ZERO\n"), ErrorKind::limit, "the disk has more than 1024 extents");
    std::string text = with_extents("RW 1 ZERO\n");
    text.resize(1024 * 1024, '\n');
    CHECK_NOTHROW(parse_descriptor(text));
    check_refused(text + "\n", ErrorKind::limit, "the VMDK descriptor has 1048577 bytes; the limit is 1048576");
    // The size of all of it in bytes must be a number.
    const auto sectors = [](const std::string& lines) { return parse_descriptor(with_extents(lines)).sectors(); };
    CHECK(sectors("RW 36028797018963967 ZERO\n") == 36028797018963967); // 2^55 - 1
    CHECK_THROWS_AS(sectors("RW 36028797018963968 ZERO\n"), Error);
    CHECK_THROWS_AS(sectors("RW 36028797018963967 ZERO\nRW 1 ZERO\n"), Error);
    CHECK_THROWS_AS(sectors("RW 18446744073709551615 ZERO\nRW 1 ZERO\n"), Error);
}

TEST_CASE("what lies behind a descriptor's zero byte is padding, and UTF-16 is no text") {
    const std::string good = with_extents("RW 1 ZERO\n");
    CHECK(parse_descriptor(good + '\0' + "nonsense").extents.size() == 1);
    CHECK(parse_descriptor(good.substr(0, good.size() - 1)).extents.size() == 1);
    for (const char* mark : {"\xff\xfe", "\xfe\xff"})
        check_refused(mark + good, ErrorKind::unsupported,
                      "the descriptor of the VMDK is written in UTF-16, which VMware does not read, either; save it as "
                      "UTF-8");
    // Cut anywhere it is whole, or refused: never another disk.
    for (std::size_t length = 0; length < good.size() - 1; ++length) {
        CAPTURE(length);
        CHECK_THROWS_AS(parse_descriptor(good.substr(0, length)), Error);
    }
    check_refused(with_extents("RW 1 ZERO\n" + std::string(100, 'x') + "\x1b\n"), ErrorKind::corrupt,
                  refused(with_extents("RW 1 ZERO\n" + std::string(200, 'x') + "\n")).message());
}
