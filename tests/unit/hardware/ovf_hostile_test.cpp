// Descriptors that lie, that ask for what they may not have, or that are no descriptors.
#include "formats/base/error.hpp"
#include "libconvert/hardware/ovf.hpp"
#include "libconvert/hardware/xml_text.hpp"
#include "tests/unit/hardware/ovf_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

struct Row {
    std::string what;
    std::map<std::string, std::string> replaced;
    ErrorKind kind;
    std::string says;
};

std::string item(const std::string& type, const std::string& more) {
    return "<Item><rasd:ResourceType>" + type + "</rasd:ResourceType>" + more + "</Item>";
}

std::string repeated(const std::string& text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i)
        all += text;
    return all;
}

const std::string cpu = "<rasd:VirtualQuantity>";

const std::vector<Row>& rows() {
    static const std::vector<Row> all = {
        {"an entity of a file",
         {{"doctype", R"(<!DOCTYPE e [<!ENTITY x SYSTEM "file:///etc/passwd">]>)"}, {"name", "<Name>&x;</Name>"}},
         ErrorKind::unsafe,
         "document type"},
        {"an entity from the network",
         {{"doctype", R"(<!DOCTYPE e SYSTEM "http://host.example/x.dtd">)"}},
         ErrorKind::unsafe,
         "document type"},
        {"entities of entities",
         {{"doctype", R"(<!DOCTYPE e [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;"><!ENTITY c "&b;&b;">]>)"},
          {"name", "<Name>&c;</Name>"}},
         ErrorKind::unsafe,
         "document type"},
        {"a parameter entity",
         {{"doctype", R"(<!DOCTYPE e [<!ENTITY % p SYSTEM "http://host.example/p"> %p;]>)"}},
         ErrorKind::unsafe,
         "document type"},
        {"a plain document type", {{"doctype", "<!DOCTYPE Envelope>"}}, ErrorKind::unsafe, "document type"},
        {"a file without a name", {{"files", R"(<File ovf:id="file1"/>)"}}, ErrorKind::corrupt, "no name"},
        {"two files of one id",
         {{"files", R"(<File ovf:id="file1" ovf:href="a"/><File ovf:id="file1" ovf:href="b"/>)"}},
         ErrorKind::corrupt,
         "'file1'"},
        {"a size that is no number",
         {{"files", R"(<File ovf:id="file1" ovf:href="a" ovf:size="many"/>)"}},
         ErrorKind::corrupt,
         "no number"},
        {"a size below zero",
         {{"files", R"(<File ovf:id="file1" ovf:href="a" ovf:size="-1"/>)"}},
         ErrorKind::corrupt,
         "no number"},
        {"a size beyond all numbers",
         {{"files", R"(<File ovf:id="file1" ovf:href="a" ovf:size="99999999999999999999999"/>)"}},
         ErrorKind::corrupt,
         "no number"},
        {"a size with something behind it",
         {{"files", R"(<File ovf:id="file1" ovf:href="a" ovf:size="12x"/>)"}},
         ErrorKind::corrupt,
         "no number"},
        {"a split file",
         {{"files", R"(<File ovf:id="file1" ovf:href="a" ovf:chunkSize="1000"/>)"}},
         ErrorKind::unsupported,
         "split in pieces"},
        {"a compression that OVF has not",
         {{"files", R"(<File ovf:id="file1" ovf:href="a" ovf:compression="lzma"/>)"}},
         ErrorKind::unsupported,
         "'lzma'"},
        {"a name that is said twice",
         {{"files", R"(<File ovf:id="file1" ovf:href="a" x:href="b"/>)"}},
         ErrorKind::corrupt,
         "twice"},
        {"too many files", {{"files", repeated(R"(<File ovf:href="a"/>)", 5000)}}, ErrorKind::limit, "more than"},
        {"a disk without an id",
         {{"disks", R"(<Disk ovf:fileRef="file1" ovf:capacity="1"/>)"}},
         ErrorKind::corrupt,
         "diskId"},
        {"two disks of one id",
         {{"disks",
           R"(<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1"/><Disk ovf:diskId="vmdisk1" ovf:fileRef="file1"/>)"}},
         ErrorKind::corrupt,
         "twice"},
        {"a disk in a file that is not there",
         {{"disks", R"(<Disk ovf:diskId="vmdisk1" ovf:fileRef="other"/>)"}},
         ErrorKind::corrupt,
         "'other'"},
        {"a disk that rests on another",
         {{"disks", R"(<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:parentRef="vmdisk0"/>)"}},
         ErrorKind::unsupported,
         "consolidate"},
        {"a disk of no unit",
         {{"disks",
           R"(<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="1" ovf:capacityAllocationUnits="furlongs"/>)"}},
         ErrorKind::corrupt,
         "'furlongs'"},
        {"a disk beyond all sizes",
         {{"disks",
           R"(<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="99999999999999" ovf:capacityAllocationUnits="byte * 2^40"/>)"}},
         ErrorKind::corrupt,
         "overflow"},
        {"a unit that overflows",
         {{"disks",
           R"(<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="1" ovf:capacityAllocationUnits="byte * 2^64"/>)"}},
         ErrorKind::corrupt,
         "no unit"},
        {"a blank disk of no size", {{"disks", R"(<Disk ovf:diskId="vmdisk1"/>)"}}, ErrorKind::corrupt, "blank"},
        {"a disk that nothing describes",
         {{"disk", item("17", "<rasd:HostResource>ovf:/disk/other</rasd:HostResource>")}},
         ErrorKind::corrupt,
         "'other'"},
        {"a disk twice",
         {{"more", item("17", "<rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource>")}},
         ErrorKind::corrupt,
         "twice"},
        {"a disk that is a file",
         {{"disk", item("17", "<rasd:HostResource>ovf:/file/file1</rasd:HostResource>")}},
         ErrorKind::unsupported,
         "DiskSection"},
        {"a disk at no address",
         {{"disk",
           item("17",
                "<rasd:HostResource>/disk/vmdisk1</rasd:HostResource><rasd:AddressOnParent>x</rasd:AddressOnParent>")}},
         ErrorKind::corrupt,
         "no number"},
        {"a disk at an address beyond all",
         {{"disk", item("17", "<rasd:HostResource>/disk/vmdisk1</rasd:HostResource><rasd:AddressOnParent>5000000000</"
                              "rasd:AddressOnParent>")}},
         ErrorKind::corrupt,
         "out of range"},
        {"two controllers of one id",
         {{"more", item("5", "<rasd:InstanceID>3</rasd:InstanceID>")}},
         ErrorKind::corrupt,
         "'3'"},
        {"an item of no type",
         {{"more", "<Item><rasd:InstanceID>9</rasd:InstanceID></Item>"}},
         ErrorKind::corrupt,
         "ResourceType"},
        {"an item of a word's type", {{"more", item("disk", "")}}, ErrorKind::corrupt, "no number"},
        {"no processors", {{"cpu", item("3", cpu + "0</rasd:VirtualQuantity>")}}, ErrorKind::corrupt, "no processor"},
        {"processors without a number", {{"cpu", item("3", "")}}, ErrorKind::corrupt, "how many"},
        {"processors in hex",
         {{"cpu", item("3", cpu + "0x10</rasd:VirtualQuantity>")}},
         ErrorKind::corrupt,
         "no number"},
        {"a million processors",
         {{"cpu", item("3", cpu + "1000000</rasd:VirtualQuantity>")}},
         ErrorKind::limit,
         "limit"},
        {"processors beyond 32 bits",
         {{"cpu", item("3", cpu + "4294967297</rasd:VirtualQuantity>")}},
         ErrorKind::limit,
         "limit"},
        {"sockets that overflow",
         {{"cpu", item("3", "<rasd:num_of_sockets>9999999999999</"
                            "rasd:num_of_sockets><rasd:cpu_per_socket>9999999999999</rasd:cpu_per_socket>")}},
         ErrorKind::corrupt,
         "overflow"},
        {"no cores in a socket",
         {{"cpu", item("3", cpu + "2</rasd:VirtualQuantity><vmw:CoresPerSocket>0</vmw:CoresPerSocket>")}},
         ErrorKind::corrupt,
         "no processor"},
        {"no memory", {{"memory", item("4", cpu + "0</rasd:VirtualQuantity>")}}, ErrorKind::corrupt, "no memory"},
        {"memory below zero",
         {{"memory", item("4", cpu + "-512</rasd:VirtualQuantity>")}},
         ErrorKind::corrupt,
         "no number"},
        {"memory of an exabyte",
         {{"memory", item("4", cpu + "1099511627776</rasd:VirtualQuantity>")}},
         ErrorKind::limit,
         "limit"},
        {"memory beyond all numbers",
         {{"memory", item("4", "<rasd:AllocationUnits>byte * 2^40</rasd:AllocationUnits>" + cpu +
                                   "18446744073709551615</rasd:VirtualQuantity>")}},
         ErrorKind::corrupt,
         "overflow"},
        {"memory in no unit",
         {{"memory",
           item("4", "<rasd:AllocationUnits>pages</rasd:AllocationUnits>" + cpu + "1</rasd:VirtualQuantity>")}},
         ErrorKind::corrupt,
         "'pages'"},
        {"too many NICs", {{"nic", repeated(item("10", ""), 1100)}}, ErrorKind::limit, "devices"},
        {"too many controllers", {{"more", repeated(item("6", ""), 1100)}}, ErrorKind::limit, "devices"},
        {"no machine", {{"system", "<Other/>"}}, ErrorKind::corrupt, "no machine"},
        {"two machines",
         {{"system", "<VirtualSystemCollection><VirtualSystem/><VirtualSystem/></VirtualSystemCollection>"}},
         ErrorKind::unsupported,
         "2 machines"},
        {"a machine without hardware",
         {{"system", "<VirtualSystem ovf:id=\"vm\"/>"}},
         ErrorKind::corrupt,
         "VirtualHardwareSection"},
        {"a tag that is not closed", {{"name", "<Name>web01"}}, ErrorKind::corrupt, "well-formed"},
        {"an attribute without quotes",
         {{"files", "<File ovf:id=file1 ovf:href=a/>"}},
         ErrorKind::corrupt,
         "well-formed"},
        {"levels without end",
         {{"more", repeated("<a>", 100'000) + repeated("</a>", 100'000)}},
         ErrorKind::limit,
         "levels"},
        {"elements without end", {{"more", repeated("<a/>", 250'000)}}, ErrorKind::limit, "elements"},
    };
    return all;
}

} // namespace

TEST_CASE("descriptors that are hostile or broken are refused, each with its cause") {
    CHECK(rows().size() >= 40);
    for (const Row& row : rows()) {
        INFO(row.what);
        try {
            parse_ovf(ovf_with(row.replaced), "web01.ovf");
            FAIL_CHECK("it was taken");
        } catch (const Error& error) {
            CHECK(to_string(error.kind()) == to_string(row.kind));
            CHECK_THAT(error.what(), Catch::Contains(row.says));
        }
    }
}

TEST_CASE("what is no descriptor is refused") {
    const auto kind_of = [](const std::string& text) {
        try {
            parse_ovf(text, "web01.ovf");
        } catch (const Error& error) {
            return std::string(to_string(error.kind()));
        }
        return std::string("taken");
    };
    CHECK(kind_of("") == "corrupt");
    CHECK(kind_of("this is a text") == "corrupt");
    CHECK(kind_of("<domain/>") == "unsupported");
    CHECK(kind_of(ovf_with() + std::string("\0<x/>", 5)) == "corrupt");
    CHECK(kind_of(std::string(kMaxDescriptionBytes + 1, ' ')) == "limit");
    CHECK(kind_of(std::string("\xff\xfe\0", 3)) == "corrupt");
    CHECK(kind_of("<Envelope><Envelope></Envelope>") == "corrupt");
    CHECK(kind_of(ovf_with().substr(0, 700)) == "corrupt");
}

TEST_CASE("a name cannot break a message") {
    try {
        parse_ovf(ovf_with({{"disk", item("17", "<rasd:HostResource>ovf:/disk/a&#10;b&#27;[31m</rasd:HostResource>")}}),
                  "x");
        FAIL_CHECK("it was taken");
    } catch (const Error& error) {
        CHECK(std::string(error.what()).find('\n') == std::string::npos);
        CHECK(std::string(error.what()).find('\x1b') == std::string::npos);
    }
}
