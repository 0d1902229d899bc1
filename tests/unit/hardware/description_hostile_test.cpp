// Descriptions that lie, that ask for what they may not have, or that are none.
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/hardware/description.hpp"
#include "libconvert/hardware/xml_text.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

struct Row {
    std::string what;
    std::string text;
    ErrorKind kind;
    std::string says;
};

const std::vector<Row>& vmx_rows() {
    static const std::vector<Row> all = {
        {"a line that is no setting", "config.version = \"8\"\nscsi0:0.fileName\n", ErrorKind::corrupt, "no setting"},
        {"a value without an end", "config.version = \"8\"\ndisplayName = \"web\n", ErrorKind::corrupt, "no end"},
        {"something behind a value", "config.version = \"8\"\ndisplayName = \"web\" x\n", ErrorKind::corrupt,
         "behind its value"},
        {"a line without a key", "config.version = \"8\"\n = \"x\"\n", ErrorKind::corrupt, "no key"},
        {"two names of a disk",
         "config.version = \"8\"\nscsi0:0.fileName = \"a.vmdk\"\nSCSI0:0.filename = \"b.vmdk\"\n", ErrorKind::corrupt,
         "twice"},
        {"two sizes of the memory", "config.version = \"8\"\nmemsize = \"1\"\nmemSize = \"2\"\n", ErrorKind::corrupt,
         "twice"},
        {"memory that is no number", "config.version = \"8\"\nmemsize = \"much\"\n", ErrorKind::corrupt, "no number"},
        {"memory below zero", "config.version = \"8\"\nmemsize = \"-1\"\n", ErrorKind::corrupt, "no number"},
        {"memory beyond all numbers", "config.version = \"8\"\nmemsize = \"99999999999999999999\"\n",
         ErrorKind::corrupt, "no number"},
        {"memory that overflows", "config.version = \"8\"\nmemsize = \"18446744073709551615\"\n", ErrorKind::corrupt,
         "overflows"},
        {"memory beyond all machines", "config.version = \"8\"\nmemsize = \"99999999999\"\n", ErrorKind::limit,
         "memory"},
        {"memory of a fraction", "config.version = \"8\"\nmemsize = \"1.5\"\n", ErrorKind::corrupt, "no number"},
        {"memory in hex", "config.version = \"8\"\nmemsize = \"0x400\"\n", ErrorKind::corrupt, "no number"},
        {"no memory", "config.version = \"8\"\nmemsize = \"0\"\n", ErrorKind::corrupt, "no memory"},
        {"no processors", "config.version = \"8\"\nnumvcpus = \"0\"\n", ErrorKind::corrupt, "no processor"},
        {"too many processors", "config.version = \"8\"\nnumvcpus = \"5000\"\n", ErrorKind::limit, "processors"},
        {"processors beyond all numbers", "config.version = \"8\"\nnumvcpus = \"18446744073709551615\"\n",
         ErrorKind::limit, "processors"},
        {"processors that are no number", "config.version = \"8\"\nnumvcpus = \"two\"\n", ErrorKind::corrupt,
         "no number"},
        {"no cores in a socket", "config.version = \"8\"\ncpuid.coresPerSocket = \"0\"\n", ErrorKind::corrupt,
         "no processor"},
        {"cores that are no number", "config.version = \"8\"\ncpuid.coresPerSocket = \"x\"\n", ErrorKind::corrupt,
         "no number"},
        {"too many cores", "config.version = \"8\"\ncpuid.coresPerSocket = \"100000\"\n", ErrorKind::limit, "limit"},
        {"an encrypted machine", "config.version = \"8\"\nencryption.keySafe = \"vmware:key/list\"\n",
         ErrorKind::unsupported, "encrypted"},
        {"encrypted data", "config.version = \"8\"\nencryption.data = \"AAAA\"\n", ErrorKind::unsupported, "encrypted"},
        {"a disk that is neither there nor not",
         "config.version = \"8\"\nscsi0:0.fileName = \"a\"\nscsi0:0.present = \"perhaps\"\n", ErrorKind::corrupt,
         "neither TRUE"},
        {"a controller that is neither", "config.version = \"8\"\nscsi0:0.fileName = \"a\"\nscsi0.present = \"2\"\n",
         ErrorKind::corrupt, "neither TRUE"},
        {"a NIC that is neither", "config.version = \"8\"\nethernet0.present = \"maybe\"\n", ErrorKind::corrupt,
         "neither TRUE"},
        {"Secure Boot that is neither",
         "config.version = \"8\"\nfirmware = \"efi\"\nuefi.secureBoot.enabled = \"on?\"\n", ErrorKind::corrupt,
         "neither TRUE"},
        {"a NUL by its code", "config.version = \"8\"\ndisplayName = \"a|00b\"\n", ErrorKind::corrupt, "NUL"},
    };
    return all;
}

const std::vector<Row>& domain_rows() {
    static const std::vector<Row> all = {
        {"an entity of a file",
         "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain><name>&x;</name></domain>", ErrorKind::unsafe,
         "document type"},
        {"an entity from the network", "<!DOCTYPE d SYSTEM 'http://host.example/x.dtd'><domain/>", ErrorKind::unsafe,
         "document type"},
        {"entities of entities", "<!DOCTYPE d [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]><domain><name>&b;</name></domain>",
         ErrorKind::unsafe, "document type"},
        {"a document without an end", "<domain><name>x", ErrorKind::corrupt, "well-formed"},
        {"another root", "<network><name>x</name></network>", ErrorKind::unsupported, "no domain"},
        {"two roots of another kind", "<x/><domain/>", ErrorKind::unsupported, "no domain"},
        {"no document at all", "", ErrorKind::corrupt, "well-formed"},
        {"a container", "<domain type='lxc'><name>x</name></domain>", ErrorKind::unsupported, "container"},
        {"a container of another kind", "<domain type='openvz'><name>x</name></domain>", ErrorKind::unsupported,
         "container"},
        {"memory that is no number", "<domain type='kvm'><memory>lots</memory></domain>", ErrorKind::corrupt,
         "no number"},
        {"memory below zero", "<domain type='kvm'><memory>-1</memory></domain>", ErrorKind::corrupt, "no number"},
        {"memory with something behind it", "<domain type='kvm'><memory>12x</memory></domain>", ErrorKind::corrupt,
         "no number"},
        {"memory without a number", "<domain type='kvm'><memory/></domain>", ErrorKind::corrupt, "no number"},
        {"a unit that is none", "<domain type='kvm'><memory unit='parsec'>1</memory></domain>", ErrorKind::corrupt,
         "no unit"},
        {"memory that overflows", "<domain type='kvm'><memory unit='TiB'>99999999999</memory></domain>",
         ErrorKind::corrupt, "overflows"},
        {"memory beyond all machines", "<domain type='kvm'><memory unit='TiB'>65</memory></domain>", ErrorKind::limit,
         "memory"},
        {"no memory", "<domain type='kvm'><memory>0</memory></domain>", ErrorKind::corrupt, "no memory"},
        {"no processors", "<domain type='kvm'><vcpu>0</vcpu></domain>", ErrorKind::corrupt, "no processor"},
        {"too many processors", "<domain type='kvm'><vcpu>4097</vcpu></domain>", ErrorKind::limit, "processors"},
        {"processors beyond all numbers", "<domain type='kvm'><vcpu>18446744073709551616</vcpu></domain>",
         ErrorKind::corrupt, "no number"},
        {"processors that are none", "<domain type='kvm'><vcpu>four</vcpu></domain>", ErrorKind::corrupt, "no number"},
        {"current processors that are none", "<domain type='kvm'><vcpu current='x'>4</vcpu></domain>",
         ErrorKind::corrupt, "no number"},
        {"cores that overflow",
         "<domain type='kvm'><cpu><topology cores='18446744073709551615' threads='2'/></cpu></domain>",
         ErrorKind::corrupt, "overflows"},
        {"no cores", "<domain type='kvm'><cpu><topology cores='0'/></cpu></domain>", ErrorKind::corrupt,
         "no processor"},
        {"cores that are none", "<domain type='kvm'><cpu><topology cores='a'/></cpu></domain>", ErrorKind::corrupt,
         "no number"},
        {"too many dies", "<domain type='kvm'><cpu><topology dies='5000'/></cpu></domain>", ErrorKind::limit, "limit"},
        {"a disk without a target", "<domain type='kvm'><devices><disk><source file='/a'/></disk></devices></domain>",
         ErrorKind::corrupt, "no target"},
        {"two disks of one target",
         "<domain type='kvm'><devices><disk><source file='/a'/><target dev='vda'/></disk><disk><source "
         "file='/b'/><target dev='vda'/></disk></devices></domain>",
         ErrorKind::corrupt, "two disks"},
        {"a boot order that is none",
         "<domain type='kvm'><devices><disk><source file='/a'/><target dev='vda'/><boot "
         "order='first'/></disk></devices></domain>",
         ErrorKind::corrupt, "no number"},
        {"an attribute twice",
         "<domain type='kvm'><devices><disk type='file' x:type='block'><source file='/a'/><target "
         "dev='vda'/></disk></devices></domain>",
         ErrorKind::corrupt, "twice"},
        {"a source twice in one element",
         "<domain type='kvm'><devices><disk><source file='/a' y:file='/etc/shadow'/><target "
         "dev='vda'/></disk></devices></domain>",
         ErrorKind::corrupt, "twice"},
    };
    return all;
}

const std::vector<Row>& hyperv_rows() {
    static const std::vector<Row> all = {
        {"an entity", "<!DOCTYPE c [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><configuration/>", ErrorKind::unsafe,
         "document type"},
        {"another root", "<config/>", ErrorKind::unsupported, "no configuration"},
        {"of a program", "<configuration><appSettings/></configuration>", ErrorKind::unsupported, "no configuration"},
        {"no end", "<configuration><properties>", ErrorKind::corrupt, "well-formed"},
        {"processors that are none",
         "<configuration><properties/><settings><processors><count>x</count></processors></settings></configuration>",
         ErrorKind::corrupt, "no number"},
        {"no processors",
         "<configuration><properties/><settings><processors><count>0</count></processors></settings></configuration>",
         ErrorKind::corrupt, "no processor"},
        {"too many processors",
         "<configuration><properties/><settings><processors><count>70000</count></processors></settings></"
         "configuration>",
         ErrorKind::limit, "processors"},
        {"memory that is none",
         "<configuration><properties/><settings><memory><bank><size>big</size></bank></memory></settings></"
         "configuration>",
         ErrorKind::corrupt, "no number"},
        {"memory below zero",
         "<configuration><properties/><settings><memory><bank><size>-5</size></bank></memory></settings></"
         "configuration>",
         ErrorKind::corrupt, "no number"},
        {"memory that overflows",
         "<configuration><properties/><settings><memory><bank><size>18446744073709551615</size></bank></memory></"
         "settings></configuration>",
         ErrorKind::corrupt, "overflows"},
        {"memory beyond all machines",
         "<configuration><properties/><settings><memory><bank><size>100000000</size></bank></memory></settings></"
         "configuration>",
         ErrorKind::limit, "memory"},
        {"no memory",
         "<configuration><properties/><settings><memory><bank><size>0</size></bank></memory></settings></"
         "configuration>",
         ErrorKind::corrupt, "no memory"},
    };
    return all;
}

std::string repeated_text(const std::string& text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i)
        all += text;
    return all;
}

void check_rows(DescriptionFormat format, const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        INFO(row.what);
        try {
            parse_description(format, row.text, "the file");
            FAIL("it was taken");
        } catch (const Error& error) {
            CHECK(to_string(error.kind()) == to_string(row.kind));
            CHECK_THAT(error.what(), Catch::Contains(row.says));
        }
    }
}

} // namespace

TEST_CASE("hostile VMX files are refused, and say why") {
    check_rows(DescriptionFormat::vmx, vmx_rows());
}

TEST_CASE("hostile domains of libvirt are refused, and say why") {
    check_rows(DescriptionFormat::libvirt, domain_rows());
}

TEST_CASE("hostile configurations of Hyper-V are refused, and say why") {
    check_rows(DescriptionFormat::hyperv, hyperv_rows());
}

TEST_CASE("descriptions are bounded before they cost anything") {
    const std::string head = "config.version = \"8\"\n";
    const auto refused = [](DescriptionFormat format, const std::string& text, ErrorKind kind) {
        try {
            parse_description(format, text, "the file");
        } catch (const Error& error) {
            return to_string(error.kind()) == to_string(kind);
        }
        return false;
    };
    CHECK(refused(DescriptionFormat::vmx, head + std::string(kMaxDescriptionBytes, ' '), ErrorKind::limit));
    CHECK(refused(DescriptionFormat::vmx, head + repeated_text("\n", 200'000), ErrorKind::limit));
    CHECK(refused(DescriptionFormat::vmx, head + std::string("displayName = \"a\0b\"\n", 20), ErrorKind::corrupt));
    std::string disks = head;
    for (int bus = 0; bus < 20; ++bus)
        for (int unit = 0; unit < 100; ++unit)
            disks += "scsi" + std::to_string(bus) + ":" + std::to_string(unit) + ".fileName = \"x\"\n";
    CHECK(refused(DescriptionFormat::vmx, disks, ErrorKind::limit));
    CHECK(refused(DescriptionFormat::libvirt,
                  "<domain>" + repeated_text("<a>", kMaxXmlDepth + 1) + repeated_text("</a>", kMaxXmlDepth + 1) +
                      "</domain>",
                  ErrorKind::limit));
    CHECK(refused(DescriptionFormat::libvirt, "<domain>" + repeated_text("<a/>", kMaxXmlNodes) + "</domain>",
                  ErrorKind::limit));
    CHECK(refused(DescriptionFormat::libvirt,
                  "<domain><devices>" + repeated_text("<interface/>", kMaxMachineDevices + 1) + "</devices></domain>",
                  ErrorKind::limit));
    std::string many = "<domain><devices>";
    for (std::size_t i = 0; i <= kMaxMachineDevices; ++i)
        many += "<disk><source file='x'/><target dev='vd" + std::to_string(i) + "'/></disk>";
    CHECK(refused(DescriptionFormat::libvirt, many + "</devices></domain>", ErrorKind::limit));
    CHECK(refused(DescriptionFormat::libvirt, std::string("<domain>\0</domain>", 18), ErrorKind::corrupt));
    std::string drives = "<configuration><properties/><_83f8638b-8dca-4152-9eda-2ca8b33039b4_>";
    for (int controller = 0; controller < 20; ++controller) {
        drives += "<controller" + std::to_string(controller) + ">";
        for (int drive = 0; drive < 100; ++drive)
            drives += "<drive" + std::to_string(drive) + "><pathname>a.vhd</pathname><type>VHD</type></drive" +
                      std::to_string(drive) + ">";
        drives += "</controller" + std::to_string(controller) + ">";
    }
    drives += "</_83f8638b-8dca-4152-9eda-2ca8b33039b4_></configuration>";
    CHECK(refused(DescriptionFormat::hyperv, drives, ErrorKind::limit));
}
