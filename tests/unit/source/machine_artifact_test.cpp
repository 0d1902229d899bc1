// KubeVirt's machine artifact: what is written is read back, and what others write by its rules.
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/oci/memory_store.hpp"
#include "libconvert/package/disk_image.hpp"
#include "libconvert/package/vm_artifact.hpp"
#include "libconvert/source/image_content.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace vm2oci;
using vm2oci::test::MemoryDevice;

namespace {

DiskImage raw_image(char fill, std::size_t size) {
    DiskImage image;
    image.format = DiskFormat::raw;
    const auto bytes = std::make_shared<MemoryDevice>(size);
    bytes->fill(0, size, static_cast<std::uint8_t>(fill));
    image.bytes = bytes;
    return image;
}

std::string machine(const std::string& disks, const std::string& volumes) {
    return R"({"apiVersion":"kubevirt.io/v1","kind":"VirtualMachine","metadata":{"name":"web"},"spec":{"template":{"spec":{"domain":{"devices":{"disks":[)" +
           disks + R"(]}},"volumes":[)" + volumes + "]}}}}";
}

struct Store {
    std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
    MemoryDestination destination{store};
    std::vector<StoredLayer> disks;

    void add(const std::string& name, char fill, std::size_t size = 64 * 1024) {
        disks.push_back(write_machine_disk(raw_image(fill, size), name, {}, destination, {}));
    }
    MachineInImage read(const std::string& config) {
        ImageOptions options;
        options.architecture = "amd64";
        destination.publish(assemble_vm_artifact(config, disks, options, destination));
        MemorySource source(store);
        return find_machine(source, read_image(source, ""), {});
    }
};

char first_byte(const DiskInImage& disk) {
    std::byte byte{};
    disk.bytes->read_at(0, {&byte, 1});
    return static_cast<char>(byte);
}

std::string volume(const std::string& name, const std::string& claim) {
    return fmt::format(R"({{"name":"{}","persistentVolumeClaim":{{"claimName":"{}"}}}})", name, claim);
}

} // namespace

TEST_CASE("disks come in the order in which the machine starts from them") {
    Store store;
    store.add("data", 'd');
    store.add("root", 'r');
    store.add("unmounted", 'u');
    store.add("other", 'o');
    const MachineInImage found =
        store.read(machine(R"({"name":"b","bootOrder":2},{"name":"a","bootOrder":1},{"name":"c"})",
                           volume("c", "other") + "," + volume("b", "data") + "," + volume("a", "root")));
    REQUIRE(found.disks.size() == 4);
    CHECK(first_byte(found.disks[0]) == 'r');
    CHECK(first_byte(found.disks[1]) == 'd');
    CHECK(first_byte(found.disks[2]) == 'o');
    CHECK(first_byte(found.disks[3]) == 'u');
    CHECK(found.disks[0].format == DiskFormat::raw);
    REQUIRE(found.hardware);
    CHECK(found.hardware->name == "web");
}

TEST_CASE("claims with dots are disks with dashes, and data volumes are claims") {
    Store store;
    store.add("web-example-root", 'w');
    store.add("dv", 'v');
    const MachineInImage found =
        store.read(machine(R"({"name":"one","bootOrder":1})",
                           R"({"name":"two","dataVolume":{"name":"dv"}},)" + volume("one", "web.example.root")));
    CHECK(first_byte(found.disks.at(0)) == 'w');
    CHECK(first_byte(found.disks.at(1)) == 'v');
}

TEST_CASE("a machine artifact says its disks as KubeVirt does") {
    Store store;
    store.add("rootdisk", 'x', 3 * MiB);
    const Descriptor& layer = store.disks.front().descriptor;
    CHECK(layer.media_type == "application/vnd.kubevirt.disk.raw+zstd");
    CHECK(layer.annotations.at("io.kubevirt.disk.name") == "rootdisk");
    CHECK(layer.annotations.at("io.kubevirt.disk.size") == "3Mi");
    CHECK(layer.annotations.at("org.opencontainers.image.title") == "rootdisk.raw.zst");
    CHECK(store.disks.front().diff_id.empty());
    Store odd;
    odd.add("rootdisk", 'x', 1536);
    CHECK(odd.disks.front().descriptor.annotations.at("io.kubevirt.disk.size") == "1536");
}

TEST_CASE("artifacts that contradict themselves are refused") {
    const std::string plain = machine("", volume("a", "root"));
    SECTION("a size that lies") {
        Store store;
        store.add("root", 'r');
        store.disks.front().descriptor.annotations["io.kubevirt.disk.size"] = "1Gi";
        CHECK_THROWS_WITH(store.read(plain), Catch::Contains("65536 bytes, and the artifact says 1073741824"));
    }
    SECTION("a size that is none") {
        Store store;
        store.add("root", 'r');
        store.disks.front().descriptor.annotations["io.kubevirt.disk.size"] = "large";
        CHECK_THROWS_WITH(store.read(plain), Catch::Contains("no size"));
    }
    SECTION("a name twice") {
        Store store;
        store.add("root", 'r');
        store.add("root", 's');
        CHECK_THROWS_WITH(store.read(plain), Catch::Contains("two disks called 'root'"));
    }
    SECTION("no disk") {
        Store store;
        CHECK_THROWS_WITH(store.read(plain), Catch::Contains("holds no disk"));
    }
    for (const char* config : {"{}", "[]", "{\"kind\":\"Secret\"}", "{\"kind\":7}", "not json"}) {
        Store store;
        store.add("root", 'r');
        INFO(config);
        CHECK_THROWS_AS(store.read(config), Error);
    }
}

TEST_CASE("the machine's hardware is what its VirtualMachine says") {
    const MachineHardware hardware = hardware_of_virtual_machine(R"({"kind":"VirtualMachine","metadata":{"name":"n"},
        "spec":{"template":{"spec":{"domain":{"cpu":{"sockets":2,"cores":3,"threads":2},"memory":{"guest":"6Gi"},
        "firmware":{"bootloader":{"efi":{}}},
        "devices":{"interfaces":[{"name":"default","model":"e1000e","macAddress":"02-00-00-AA-BB-CC"}]}}}}}})");
    CHECK(hardware.cpus == 12);
    CHECK(hardware.cores_per_socket == 6);
    CHECK(hardware.memory == 6 * GiB);
    CHECK(hardware.firmware == MachineFirmware::uefi);
    CHECK(hardware.secure_boot == true); // KubeVirt's default
    REQUIRE(hardware.nics.size() == 1);
    CHECK(hardware.nics.front().mac == "02:00:00:aa:bb:cc");
    const MachineHardware odd = hardware_of_virtual_machine(
        R"({"kind":"VirtualMachine","spec":{"template":{"spec":{"domain":{"cpu":{"cores":-1},"memory":7}}}}})");
    CHECK_FALSE(odd.cpus);
    CHECK_FALSE(odd.memory);
    CHECK_FALSE(odd.firmware);
}

TEST_CASE("quantities are read as Kubernetes writes them") {
    CHECK(parse_quantity("10Gi") == 10 * GiB);
    CHECK(parse_quantity("1500M") == 1'500'000'000);
    CHECK(parse_quantity("1073741824") == GiB);
    CHECK(parse_quantity("1.5Gi") == 3 * GiB / 2);
    CHECK(parse_quantity("5e3") == 5000);
    CHECK(parse_quantity("0") == 0);
    for (const char* text : {"", "Gi", "10GB", "1.5.5Gi", "-1", "10 Gi", "99999999999Ti", "1e30", "1e", "0x10"}) {
        INFO(text);
        CHECK_FALSE(parse_quantity(text));
    }
}

TEST_CASE("other compressions than zstd are not what the importer undoes") {
    Store store;
    CHECK_THROWS_AS(
        write_machine_disk(raw_image('a', 512), "root", LayerOptions{{Compression::gzip, 0}}, store.destination, {}),
        Error);
}
