// Machines in images: labels there and back, KubeVirt's artifact, quantities.
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/oci/memory_store.hpp"
#include "libconvert/package/guest_labels.hpp"
#include "libconvert/package/machine_labels.hpp"
#include "libconvert/package/vm_artifact.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace vm2oci;
using Json = nlohmann::json;
using Words = std::vector<std::string>;

namespace {

std::string machine(const std::string& spec) {
    return R"({"kind": "VirtualMachine", "metadata": {"name": "web"}, "spec": {"template": {"spec": )" + spec + "}}}";
}

template <class Action>
std::string refusal_of(Action&& action, ErrorKind kind = ErrorKind::corrupt) {
    try {
        action();
    } catch (const Error& error) {
        return error.kind() == kind ? error.what() : std::string("another kind: ") + error.what();
    }
    return {};
}

ImageManifest artifact_of(const std::vector<std::pair<const char*, const char*>>& disks) {
    ImageManifest manifest;
    manifest.layers.resize(1); // of another kind, in front
    manifest.layers[0].media_type = "application/octet-stream";
    for (const auto& [name, size] : disks) {
        Descriptor layer;
        layer.media_type = "application/vnd.kubevirt.disk.raw+zstd";
        layer.annotations["io.kubevirt.disk.name"] = name;
        if (*size != '\0')
            layer.annotations["io.kubevirt.disk.size"] = size;
        manifest.layers.push_back(layer);
    }
    return manifest;
}

DiskImage raw_disk(std::uint64_t size) {
    auto device = std::make_shared<test::MemoryDevice>(size);
    device->put(0, "boot");
    return {device, DiskFormat::raw, size, size, nullptr};
}

} // namespace

TEST_CASE("quantities as Kubernetes writes them, in whole bytes") {
    struct Row {
        const char* text;
        std::optional<std::uint64_t> bytes;
    };
    // apimachinery, pkg/api/resource: binary and decimal suffixes, exponents, fractions (which are rounded up).
    const Row rows[] = {{"0", 0u},
                        {"1", 1u},
                        {"1073741824", 1073741824u},
                        {"1Ki", 1024u},
                        {"10Gi", 10737418240u},
                        {"512Mi", 536870912u},
                        {"2Ti", 2199023255552u},
                        {"1Pi", 1125899906842624u},
                        {"3Ei", 3458764513820540928u},
                        {"1k", 1000u},
                        {"1500M", 1500000000u},
                        {"5G", 5000000000u},
                        {"1T", 1000000000000u},
                        {"2P", 2000000000000000u},
                        {"1E", 1000000000000000000u},
                        {"1e9", 1000000000u},
                        {"12E3", 12000u},
                        {"1e0", 1u},
                        {"1.5Gi", 1610612736u},
                        {"0.5Mi", 524288u},
                        {"1.25k", 1250u},
                        {"1.0", 1u},
                        {"0.1", 1u},
                        {"2.5Ki", 2560u},
                        {"18446744073709551615", 18446744073709551615u},
                        {"18446744073709551616", std::nullopt},
                        {"16Ei", std::nullopt},
                        {"19E", std::nullopt},
                        {"99999999Ti", std::nullopt},
                        {"1e20", std::nullopt},
                        {"1e4294967296", std::nullopt},
                        {"", std::nullopt},
                        {"Gi", std::nullopt},
                        {"-1", std::nullopt},
                        {" 1", std::nullopt},
                        {"1 Gi", std::nullopt},
                        {"1gi", std::nullopt},
                        {"1K", std::nullopt},
                        {"1GiB", std::nullopt},
                        {"1e", std::nullopt},
                        {"1e-3", std::nullopt},
                        {"1e9Gi", std::nullopt},
                        {"1.", std::nullopt},
                        {".5Gi", std::nullopt},
                        {"1..5Gi", std::nullopt},
                        {"1.5.5Gi", std::nullopt},
                        {"1x", std::nullopt}};
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(parse_quantity(row.text) == row.bytes);
    }
}

TEST_CASE("the hardware of a machine by its labels is what it was, whatever its words") {
    MachineHardware hardware;
    hardware.source = "OVF";
    hardware.name = "a \"name\" with \xc3\xa4";
    hardware.annotation = "notes";
    hardware.os_type = "rhel9_64Guest";
    hardware.cpus = 8;
    hardware.cores_per_socket = 4;
    hardware.memory = 17179869184;
    hardware.firmware = MachineFirmware::uefi;
    hardware.secure_boot = true;
    hardware.nics = {{"VmxNet3", "VM Network", "00:50:56:aa:bb:cc"}, {"", "", ""}};
    MachineDisk disk;
    disk.id = "disk-1";
    disk.file = "a.vmdk";
    disk.capacity = 42949672960;
    hardware.disks = {disk, MachineDisk{}};
    ImageOptions image;
    image.labels["org.vm2oci.machine.name"] = "the user's";
    add_machine_labels(hardware, image);
    CHECK(image.labels["org.vm2oci.machine.name"] == "the user's");
    CHECK(image.annotations["org.vm2oci.machine.source"] == "OVF");
    CHECK(image.labels["org.vm2oci.machine.memory"] == "17179869184");
    CHECK(image.labels["org.vm2oci.machine.secure-boot"] == "true");
    CHECK(image.labels["org.vm2oci.machine.annotation"] == "notes");
    CHECK(Json::parse(image.labels["org.vm2oci.machine.nics"]) ==
          Json::parse(R"([{"model": "VmxNet3", "network": "VM Network", "mac": "00:50:56:aa:bb:cc"}, {}])"));
    CHECK(Json::parse(image.labels["org.vm2oci.machine.disks"]) ==
          Json::parse(R"([{"id": "disk-1", "file": "a.vmdk", "capacity": 42949672960}, {"id": ""}])"));
    CHECK(image.labels.count("org.vm2oci.machine.controllers") == 0);
    const auto back = hardware_of_labels(image.annotations);
    REQUIRE(back.has_value());
    CHECK(back->source == "OVF");
    CHECK(back->os_type == "rhel9_64Guest");
    CHECK(back->cpus == 8u);
    CHECK(back->cores_per_socket == 4u);
    CHECK(back->memory == 17179869184u);
    CHECK(back->firmware == MachineFirmware::uefi);
    CHECK(back->secure_boot == true);
    REQUIRE(back->nics.size() == 2);
    CHECK(back->nics[0].mac == "00:50:56:aa:bb:cc");
    REQUIRE(back->disks.size() == 2);
    CHECK(back->disks[0].capacity == 42949672960u);
    CHECK_FALSE(back->disks[1].capacity.has_value());
    CHECK(hardware_of_labels(image.labels)->name == "the user's");
}

TEST_CASE("what is not said of a machine has no label, and notes have 4096 bytes") {
    MachineHardware hardware;
    hardware.source = "VMX";
    hardware.secure_boot = false;
    hardware.annotation = std::string(5000, 'n');
    ImageOptions image;
    add_machine_labels(hardware, image);
    CHECK(image.labels.size() == 3);
    CHECK(image.labels["org.vm2oci.machine.secure-boot"] == "false");
    CHECK(image.labels["org.vm2oci.machine.annotation"].size() <= 4100);
    CHECK(image.labels["org.vm2oci.machine.annotation"].size() >= 4096);
    CHECK(image.labels == image.annotations);
}

TEST_CASE("labels that somebody else wrote are believed as far as they make sense") {
    const auto of = [](std::map<std::string, std::string> labels) {
        std::map<std::string, std::string> named;
        for (const auto& [name, value] : labels)
            named["org.vm2oci.machine." + name] = value;
        return hardware_of_labels(named);
    };
    CHECK_FALSE(hardware_of_labels({}).has_value());
    CHECK_FALSE(of({{"name", "x"}, {"cpus", "4"}}).has_value());
    for (const char* text : {"", "0x4", "4.0", "-4", " 4", "4 ", "99999999999", "4097"})
        CHECK_FALSE(of({{"source", "x"}, {"cpus", text}})->cpus.has_value());
    CHECK(of({{"source", "x"}, {"cpus", "4096"}})->cpus == 4096u);
    CHECK(of({{"source", "x"}, {"memory", "70368744177664"}})->memory == 70368744177664u);
    CHECK_FALSE(of({{"source", "x"}, {"memory", "70368744177665"}})->memory.has_value());
    CHECK_FALSE(of({{"source", "x"}, {"memory", "18446744073709551616"}})->memory.has_value());
    CHECK(of({{"source", "x"}, {"firmware", "bios"}})->firmware == MachineFirmware::bios);
    CHECK_FALSE(of({{"source", "x"}, {"firmware", "UEFI"}})->firmware.has_value());
    CHECK(of({{"source", "x"}, {"secure-boot", "yes"}})->secure_boot == false);
    CHECK_FALSE(of({{"source", "x"}})->secure_boot.has_value());
    for (const char* text : {"", "{", "{}", "null", "7", "\"text\"", "[1, \"a\", null]"}) {
        CAPTURE(text);
        CHECK(of({{"source", "x"}, {"nics", text}})->nics.empty());
        CHECK(of({{"source", "x"}, {"disks", text}})->disks.empty());
    }
    const auto odd = of({{"source", "x"},
                         {"nics", R"([{"model": 7, "mac": "no mac"}])"},
                         {"disks", R"([{"id": "a", "capacity": -1}])"}});
    REQUIRE(odd->nics.size() == 1);
    CHECK(odd->nics[0].model.empty());
    CHECK(odd->nics[0].mac.empty());
    CHECK_FALSE(odd->disks.at(0).capacity.has_value());
    std::string many = "[{}";
    for (int i = 1; i < 1024; ++i)
        many += ",{}";
    CHECK(of({{"source", "x"}, {"nics", many + "]"}})->nics.size() == 1024);
    CHECK(of({{"source", "x"}, {"nics", many + ",{}]"}})->nics.empty());
}

TEST_CASE("a guest's labels are what is known of it, escaped, and its name is the image's title") {
    GuestSummary guest;
    guest.os.product = "Debian\n12";
    guest.os.distribution = "debian";
    guest.os.version = "12";
    guest.os.architecture = "amd64";
    guest.init = "systemd";
    guest.firmware = "bios uefi";
    ImageContents contents;
    contents.title = "disk.qcow2";
    add_guest_labels(guest, contents);
    CHECK(contents.labels == std::map<std::string, std::string>{{"org.vm2oci.guest.product", "Debian\\x0a12"},
                                                                {"org.vm2oci.guest.distribution", "debian"},
                                                                {"org.vm2oci.guest.version", "12"},
                                                                {"org.vm2oci.guest.architecture", "amd64"},
                                                                {"org.vm2oci.guest.init", "systemd"},
                                                                {"org.vm2oci.guest.firmware", "bios uefi"}});
    CHECK(contents.annotations == contents.labels);
    CHECK(contents.title == "Debian\\x0a12");
    guest.machine = "web1\t";
    add_guest_labels(guest, contents);
    CHECK(contents.title == "web1\\x09");
    ImageContents unknown;
    unknown.title = "disk.qcow2";
    add_guest_labels({}, unknown);
    CHECK(unknown.title == "disk.qcow2");
    CHECK(unknown.labels.empty());
}

TEST_CASE("a VirtualMachine says how large it is, in KubeVirt's words") {
    struct Row {
        const char* domain;
        std::optional<unsigned> cpus;
        std::optional<unsigned> per_socket;
        std::optional<std::uint64_t> memory;
    };
    for (const Row& row :
         {Row{R"({"cpu": {"cores": 4}, "memory": {"guest": "2Gi"}})", 4, 4, 2147483648u},
          {R"({"cpu": {"sockets": 2, "cores": 4, "threads": 2}})", 16, 8, std::nullopt},
          {R"({"cpu": {"sockets": 3}})", 3, 1, std::nullopt},
          {R"({"cpu": {"cores": 0, "sockets": 0}})", 1, 1, std::nullopt},
          {R"({"cpu": {"cores": 4096, "sockets": 4096}})", 4096, 4096, std::nullopt},
          {R"({"cpu": {"cores": 4097}})", std::nullopt, std::nullopt, std::nullopt},
          {R"({"cpu": {"cores": "4"}, "memory": {"guest": 1024}})", std::nullopt, std::nullopt, std::nullopt},
          {R"({"cpu": {"cores": -1}, "memory": {"guest": "0"}})", std::nullopt, std::nullopt, std::nullopt},
          {R"({"memory": {"guest": "1Ei"}})", std::nullopt, std::nullopt, 70368744177664u},
          {"{}", {}, {}, {}},
          {"[]", {}, {}, {}}}) {
        CAPTURE(row.domain);
        const MachineHardware hardware =
            hardware_of_virtual_machine(machine(std::string(R"({"domain": )") + row.domain + "}"));
        CHECK(hardware.source == "KubeVirt");
        CHECK(hardware.name == "web");
        CHECK(hardware.cpus == row.cpus);
        CHECK(hardware.cores_per_socket == row.per_socket);
        CHECK(hardware.memory == row.memory);
    }
}

TEST_CASE("a VirtualMachine's firmware and interfaces, with KubeVirt's defaults") {
    struct Row {
        const char* loader;
        std::optional<MachineFirmware> firmware;
        std::optional<bool> secure;
    };
    for (const Row& row : {Row{R"({"efi": {}})", MachineFirmware::uefi, true},
                           {R"({"efi": {"secureBoot": false}})", MachineFirmware::uefi, false},
                           {R"({"efi": {"secureBoot": true}})", MachineFirmware::uefi, true},
                           {R"({"efi": {"secureBoot": "no"}})", MachineFirmware::uefi, true},
                           {R"({"bios": {}})", MachineFirmware::bios, std::nullopt},
                           {R"({"efi": {}, "bios": {}})", MachineFirmware::uefi, true},
                           {R"({"efi": true})", std::nullopt, std::nullopt},
                           {"{}", {}, {}}}) {
        CAPTURE(row.loader);
        const MachineHardware hardware = hardware_of_virtual_machine(
            machine(std::string(R"({"domain": {"firmware": {"bootloader": )") + row.loader + "}}}"));
        CHECK(hardware.firmware == row.firmware);
        CHECK(hardware.secure_boot == row.secure);
    }
    const MachineHardware nics = hardware_of_virtual_machine(machine(
        R"({"domain": {"devices": {"interfaces": [{"name": "default", "model": "e1000", "macAddress": "52-54-00-AA-BB-CC"}, {"name": 7}]}}})"));
    REQUIRE(nics.nics.size() == 2);
    CHECK(nics.nics[0].model == "e1000");
    CHECK(nics.nics[0].network == "default");
    CHECK(nics.nics[0].mac == "52:54:00:aa:bb:cc");
    CHECK(nics.nics[1].network.empty());
    constexpr const char* kNone = "the artifact's config is no VirtualMachine";
    for (const char* text : {"{}", "[]", R"({"kind": "Pod"})", R"({"kind": 1})"})
        CHECK(refusal_of([&] { hardware_of_virtual_machine(text); }) == kNone);
    CHECK_FALSE(refusal_of([] { hardware_of_virtual_machine("{"); }).empty());
}

TEST_CASE("claims are mounted by boot order, then as they are listed, and spelled as the importer does") {
    const std::string text =
        machine(R"({"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "first.claim"}},
        {"name": "b", "dataVolume": {"name": "second"}}, {"name": "c", "cloudInitNoCloud": {}},
        {"name": "d", "persistentVolumeClaim": {"claimName": "boot"}}, {"name": "e", "dataVolume": {"name": "last"}}],
        "domain": {"devices": {"disks": [{"name": "d", "bootOrder": 1}, {"name": "e", "bootOrder": "2"}, {"name": "b", "bootOrder": 7}]}}})");
    CHECK(claims_of_virtual_machine(text) == Words{"boot", "second", "first-claim", "last"});
    CHECK(claims_of_virtual_machine(machine("{}")).empty());
}

TEST_CASE("an artifact's disks come as the machine mounts them, and others behind") {
    const std::string text = machine(
        R"({"volumes": [{"name": "a", "dataVolume": {"name": "data"}}, {"name": "r", "dataVolume": {"name": "root"}}],
        "domain": {"devices": {"disks": [{"name": "r", "bootOrder": 1}]}}})");
    const ImageManifest manifest = artifact_of({{"extra", "1Gi"}, {"data", "1073741824"}, {"root", ""}});
    Words told;
    for (const MachineDiskLayer& disk : disks_of_vm_artifact(manifest, text))
        told.push_back(disk.name + " " + std::to_string(disk.layer) + " " +
                       (disk.size ? std::to_string(*disk.size) : "-"));
    CHECK(told == Words{"root 3 -", "data 2 1073741824", "extra 1 1073741824"});
    CHECK(refusal_of([&] { disks_of_vm_artifact(artifact_of({}), text); }) ==
          "the artifact of a machine holds no disk");
    CHECK(refusal_of([&] {
              disks_of_vm_artifact(artifact_of({{"a", ""}, {"a", ""}}), text);
          }) == "the artifact has two disks called 'a'");
    CHECK(refusal_of([&] {
              disks_of_vm_artifact(artifact_of({{"a", "big"}}), text);
          }) == "the artifact says that a disk has 'big', which is no size");
}

TEST_CASE("an artifact is known by its own type or its config's") {
    ImageManifest manifest;
    CHECK_FALSE(is_vm_artifact(manifest));
    manifest.artifact_type = "application/vnd.kubevirt.virtualmachine.v1";
    CHECK(is_vm_artifact(manifest));
    manifest.artifact_type = "other";
    manifest.config.media_type = "application/vnd.kubevirt.virtualmachine.config.v1+json";
    CHECK(is_vm_artifact(manifest));
}

TEST_CASE("a machine's disk is written with its name and its size in KubeVirt's words") {
    struct Row {
        std::uint64_t size;
        const char* text;
    };
    for (const Row& row : {Row{1 << 20, "1Mi"}, {3 << 20, "3Mi"}, {1536, "1536"}, {2048, "2Ki"}, {513, "513"}}) {
        CAPTURE(row.size);
        MemoryDestination destination(std::make_shared<MemoryStore>());
        const StoredLayer layer = write_machine_disk(raw_disk(row.size), "rootdisk", {}, destination, {});
        CHECK(layer.descriptor.media_type == "application/vnd.kubevirt.disk.raw+zstd");
        CHECK(layer.descriptor.annotations == Annotations{{"io.kubevirt.disk.name", "rootdisk"},
                                                          {"io.kubevirt.disk.size", row.text},
                                                          {"org.opencontainers.image.title", "rootdisk.raw.zst"}});
        CHECK(parse_quantity(row.text) == row.size);
    }
    MemoryDestination destination(std::make_shared<MemoryStore>());
    LayerOptions gzip;
    gzip.compression.algorithm = Compression::gzip;
    CHECK(refusal_of([&] { write_machine_disk(raw_disk(512), "a", gzip, destination, {}); }, ErrorKind::usage) ==
          "a machine's disks are compressed with zstd");
}

TEST_CASE("an artifact's manifest holds the machine as its config and says when it was made to the index alone") {
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    const StoredLayer layer = write_machine_disk(raw_disk(4096), "rootdisk", {}, destination, {});
    ImageOptions options;
    options.architecture = "arm64";
    options.created = 86400;
    options.annotations["a"] = "b";
    const std::string text = machine("{}");
    const Descriptor top = assemble_vm_artifact(text, {layer}, options, destination);
    CHECK(top.artifact_type == "application/vnd.kubevirt.virtualmachine.v1");
    REQUIRE(top.platform.has_value());
    CHECK(top.platform->architecture == "arm64");
    CHECK(top.platform->os == "linux");
    CHECK(top.annotations.at("org.opencontainers.image.created") == "1970-01-02T00:00:00Z");
    const Json manifest = Json::parse(*store->find_blob(top.digest));
    CHECK(manifest["artifactType"] == "application/vnd.kubevirt.virtualmachine.v1");
    CHECK(manifest["config"]["mediaType"] == "application/vnd.kubevirt.virtualmachine.config.v1+json");
    CHECK(manifest["config"]["size"] == text.size());
    CHECK(manifest["annotations"] == Json({{"a", "b"}}));
    CHECK(manifest["layers"].size() == 1);
    CHECK(*store->find_blob(Digest::parse(manifest["config"]["digest"].get<std::string>())) == text);
}
