#include "formats/base/base64.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/manifest/document.hpp"
#include "libconvert/manifest/targets.hpp"
#include "libconvert/manifest/virtual_machine.hpp"
#include "libconvert/manifest/writers.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <set>

using namespace vm2oci;

namespace {

using Json = nlohmann::ordered_json;

RunnableMachine machine() {
    RunnableMachine machine;
    machine.name = "web01";
    machine.architecture = "amd64";
    machine.guest = {"linux", "debian", "12", "Debian GNU/Linux 12 (bookworm)"};
    machine.memory = 2 * GiB;
    RunnableDisk disk;
    disk.name = "rootdisk";
    disk.image = "registry.example/vm/web01@sha256:aa";
    disk.tagged = "registry.example/vm/web01:1";
    disk.path = "/disk/disk.qcow2";
    disk.size = 10 * GiB;
    machine.disks = {disk};
    machine.nics = {RunnableNic{}};
    return machine;
}

Json written(const RunnableMachine& machine, VolumeSource source = VolumeSource::container_disk) {
    return virtual_machine(machine, source).content;
}

const Json& domain(const Json& content) {
    return content["spec"]["template"]["spec"]["domain"];
}

// The fields that KubeVirt's API knows of what we write (its swagger.json); a misspelt one would be refused there.
const std::map<std::string, std::set<std::string>> kFields = {
    {"", {"apiVersion", "kind", "metadata", "spec"}},
    {"/spec", {"runStrategy", "instancetype", "preference", "template", "dataVolumeTemplates"}},
    {"/spec/template", {"metadata", "spec"}},
    {"/spec/template/spec", {"architecture", "domain", "networks", "volumes"}},
    {"/spec/template/spec/domain", {"cpu", "memory", "firmware", "features", "machine", "clock", "devices"}},
    {"/spec/template/spec/domain/devices",
     {"disks", "interfaces", "rng", "useVirtioTransitional", "autoattachPodInterface"}},
};

void check_fields(const Json& content) {
    for (const auto& [pointer, names] : kFields)
        if (const Json::json_pointer place(pointer); content.contains(place))
            for (const auto& [name, value] : content[place].items()) {
                INFO(pointer << "/" << name);
                CHECK(names.count(name) == 1);
            }
}

} // namespace

TEST_CASE("a machine of a containerDisk") {
    const Json content = written(machine());
    check_fields(content);
    CHECK(content["spec"]["runStrategy"] == "Always");
    CHECK_FALSE(content["spec"].contains("running"));
    CHECK(domain(content)["cpu"] == Json({{"sockets", 1}, {"cores", 2}, {"threads", 1}}));
    CHECK(domain(content)["memory"]["guest"] == "2Gi");
    CHECK(domain(content)["firmware"] == Json({{"bootloader", {{"bios", Json::object()}}}}));
    CHECK(domain(content)["machine"]["type"] == "q35");
    CHECK(domain(content)["devices"]["disks"] ==
          Json::array({{{"name", "rootdisk"}, {"bootOrder", 1}, {"disk", {{"bus", "virtio"}}}}}));
    const Json& pod = content["spec"]["template"]["spec"];
    CHECK(pod["volumes"] ==
          Json::array({{{"name", "rootdisk"}, {"containerDisk", {{"image", "registry.example/vm/web01@sha256:aa"}}}}}));
    CHECK(pod["networks"] == Json::array({{{"name", "default"}, {"pod", Json::object()}}}));
}

TEST_CASE("UEFI says that Secure Boot is off, for KubeVirt's default is on") {
    RunnableMachine uefi = machine();
    uefi.firmware = StartFirmware::uefi;
    CHECK(domain(written(uefi))["firmware"]["bootloader"] == Json({{"efi", {{"secureBoot", false}}}}));
    CHECK_FALSE(domain(written(uefi)).contains("features"));
    uefi.firmware = StartFirmware::uefi_secure;
    CHECK(domain(written(uefi))["firmware"]["bootloader"]["efi"]["secureBoot"] == true);
    CHECK(domain(written(uefi))["features"]["smm"]["enabled"] == true);
}

TEST_CASE("an instance type stands alone") {
    RunnableMachine typed = machine();
    typed.instance_type = "u1.small";
    typed.preference = "debian";
    const Json content = written(typed);
    check_fields(content);
    CHECK(content["spec"]["instancetype"] == Json({{"name", "u1.small"}}));
    CHECK(content["spec"]["preference"] == Json({{"name", "debian"}}));
    CHECK_FALSE(domain(content).contains("cpu"));
    CHECK_FALSE(domain(content).contains("memory"));
    // The preference's firmware would be UEFI: the machine's own is said all the same.
    CHECK(domain(content)["firmware"]["bootloader"].contains("bios"));
}

TEST_CASE("a bundle starts its kernel, without boot order, from one image") {
    RunnableMachine bundle = machine();
    bundle.form = RunnableForm::bundle;
    bundle.disks.front().path = "/disk/rootfs.qcow2";
    bundle.kernel = RunnableKernel{"/boot/vmlinuz", "/boot/initramfs", "root=/dev/vda ro console=ttyS0"};
    bundle.pull_secret = "registry-login";
    const Json content = written(bundle);
    const Json& boot = domain(content)["firmware"]["kernelBoot"];
    CHECK(boot["kernelArgs"] == "root=/dev/vda ro console=ttyS0");
    CHECK(boot["container"]["kernelPath"] == "/boot/vmlinuz");
    CHECK(boot["container"]["initrdPath"] == "/boot/initramfs");
    CHECK(boot["container"]["imagePullSecret"] == "registry-login");
    const Json& volume = content["spec"]["template"]["spec"]["volumes"][0]["containerDisk"];
    CHECK(volume["image"] == boot["container"]["image"]);
    CHECK(volume["path"] == "/disk/rootfs.qcow2");
    CHECK_FALSE(domain(content)["firmware"].contains("bootloader"));
    CHECK_FALSE(domain(content)["devices"]["disks"][0].contains("bootOrder"));
    bundle.kernel->initramfs.reset();
    CHECK_FALSE(domain(written(bundle))["firmware"]["kernelBoot"]["container"].contains("initrdPath"));
}

TEST_CASE("cloud-init's data lie in a Secret, whatever their size") {
    RunnableMachine seeded = machine();
    seeded.name = std::string(63, 'n');
    seeded.seed = RunnableSeed{"#cloud-config\n" + std::string(10 * 1024, 'x') + "\n", "version: 2\n"};
    const Json content = written(seeded);
    const Json& volume = content["spec"]["template"]["spec"]["volumes"][1];
    const auto documents = seed_secret(seeded);
    REQUIRE(documents.size() == 1);
    const Json& secret = documents.front().content;
    CHECK(secret["kind"] == "Secret");
    CHECK(secret["stringData"]["userdata"] == seeded.seed->user_data);
    CHECK(secret["stringData"]["networkdata"] == "version: 2\n");
    CHECK(secret["metadata"]["name"].get<std::string>().size() <= 63);
    CHECK(volume["cloudInitNoCloud"]["secretRef"]["name"] == secret["metadata"]["name"]);
    CHECK(volume["cloudInitNoCloud"]["networkDataSecretRef"]["name"] == secret["metadata"]["name"]);
    CHECK(domain(content)["devices"]["disks"][1]["name"] == volume["name"]);

    seeded.seed->form = SeedForm::config_drive;
    seeded.seed->network_data.reset();
    const Json drive = written(seeded)["spec"]["template"]["spec"]["volumes"][1];
    CHECK(drive.contains("cloudInitConfigDrive"));
    CHECK_FALSE(drive["cloudInitConfigDrive"].contains("networkDataSecretRef"));

    // Compressed data are no text.
    seeded.seed->user_data = std::string("\x1f\x8b\x08\x00\xff", 5);
    const Json binary = seed_secret(seeded).front().content;
    CHECK(binary["data"]["userdata"] == encode_base64(seeded.seed->user_data));
    CHECK_FALSE(binary.contains("stringData"));
}

TEST_CASE("interfaces, disks and their networks go together") {
    RunnableMachine several = machine();
    RunnableDisk second = several.disks.front();
    second.name = "disk2";
    second.sector_size = 4096;
    several.disks.push_back(second);
    several.nics = {{NicModel::e1000e, "00:50:56:aa:bb:cc", "", "'VM Network'"},
                    {NicModel::e1000e, "", "lab/vlan20", {}}};
    several.attachment = DiskAttachment::sata;
    const Json content = written(several);
    const Json& devices = domain(content)["devices"];
    CHECK(devices["disks"][0]["bootOrder"] == 1);
    CHECK(devices["disks"][1]["bootOrder"] == 2);
    CHECK(devices["disks"][1]["disk"]["bus"] == "sata");
    CHECK(devices["disks"][1]["blockSize"]["custom"] == Json({{"logical", 4096}, {"physical", 4096}}));
    CHECK(devices["interfaces"][0]["macAddress"] == "00:50:56:aa:bb:cc");
    CHECK(devices["interfaces"][0].contains("masquerade"));
    CHECK(devices["interfaces"][1].contains("bridge"));
    const Json& networks = content["spec"]["template"]["spec"]["networks"];
    CHECK(networks[1]["multus"]["networkName"] == "lab/vlan20");
    for (std::size_t i = 0; i < 2; ++i)
        CHECK(networks[i]["name"] == devices["interfaces"][i]["name"]);
    several.nics.clear();
    const Json alone = written(several);
    CHECK(domain(alone)["devices"]["autoattachPodInterface"] == false);
    CHECK_FALSE(alone["spec"]["template"]["spec"].contains("networks"));
}

TEST_CASE("volumes of CDI are large enough, and templates name what the machine mounts") {
    RunnableMachine imported = machine();
    imported.disks.front().size = 10 * GiB + 1;
    RunnableDisk second = imported.disks.front();
    second.name = "disk2";
    imported.disks.push_back(second);
    CHECK(claim_size(imported.disks.front()) == 10 * GiB + MiB);
    const Json content = written(imported, VolumeSource::data_volume);
    CHECK(content["spec"]["template"]["spec"]["volumes"][0]["dataVolume"]["name"] == "web01-rootdisk");
    CHECK(content["spec"]["template"]["spec"]["volumes"][1]["dataVolume"]["name"] == "web01-disk2");
    const std::string text = datavolume_manifest(imported);
    CHECK(text.find("url: docker://registry.example/vm/web01@sha256:aa") != std::string::npos);
    CHECK(text.find("storage: \"10241Mi\"") != std::string::npos);
    CHECK(text.find("name: web01-disk2") != std::string::npos);
    const std::string cron = import_cron_manifest(imported);
    CHECK(cron.find("kind: DataImportCron") != std::string::npos);
    CHECK(cron.find("url: docker://registry.example/vm/web01:1") != std::string::npos);
    imported.disks.front().tagged.clear();
    CHECK_THROWS_AS(import_cron_manifest(imported), Error);
}

TEST_CASE("other architectures have their own machine types") {
    for (const char* architecture : {"arm64", "s390x"}) {
        RunnableMachine other = machine();
        other.architecture = architecture;
        other.firmware = StartFirmware::uefi;
        CHECK(written(other)["spec"]["template"]["spec"]["architecture"] == architecture);
        CHECK_FALSE(domain(written(other)).contains("machine"));
    }
}

TEST_CASE("Windows keeps its clock and idles") {
    RunnableMachine windows = machine();
    windows.guest = {"windows", "windows", "10", "Windows Server 2019"};
    const Json content = written(windows);
    check_fields(content);
    CHECK(domain(content)["features"]["hyperv"]["spinlocks"]["spinlocks"] == 8191);
    CHECK(domain(content)["clock"]["timer"]["hpet"]["present"] == false);
    CHECK(domain(content)["clock"].contains("utc"));
}

TEST_CASE("what KubeVirt does not run is refused") {
    RunnableMachine rootfs = machine();
    rootfs.form = RunnableForm::rootfs;
    rootfs.disks.clear();
    rootfs.image = "registry.example/app@sha256:aa";
    CHECK_THROWS_AS(kubevirt_manifest(rootfs), Error);
    RunnableMachine disk = machine();
    disk.disks.front().image.clear();
    CHECK_THROWS_AS(kubevirt_manifest(disk), Error);
}

TEST_CASE("labels of machines are valid names") {
    CHECK(dns_label("Web Server_01.example", "vm") == "web-server-01-example");
    CHECK(dns_label("--x--", "vm") == "x");
    CHECK(dns_label("\xc3\xa4\xc3\xb6", "vm") == "vm");
    CHECK(dns_label(std::string(62, 'a') + "-b", "vm") == std::string(62, 'a'));
    CHECK(quantity(3 * GiB / 2) == "1536Mi");
    CHECK(quantity(GiB + 1) == "1073741825");
}
