// Public bug reports about VirtualMachines that were written by hand or by other tools: each names the repository and
// the number, and shows that the manifest has it right.
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/manifest/targets.hpp"
#include "tools/flows/runnable.hpp"

#include <catch2/catch.hpp>

#include <sstream>

using namespace vm2oci;

namespace {

MachineFacts reported_guest(const std::string& distribution, const std::string& version, DriverPlace virtio) {
    MachineFacts facts;
    facts.form = RunnableForm::container_disk;
    facts.name = "web01";
    facts.architecture = "amd64";
    facts.disks.resize(1);
    facts.disks.front().image = "registry.example/web@sha256:" + std::string(64, 'a');
    GuestInfo info;
    info.os = {};
    info.os.type = "linux";
    info.os.distribution = distribution;
    info.os.version = version;
    info.os.product = distribution + " " + version;
    info.boot.bios = true;
    KernelInfo kernel;
    kernel.version = "5.14.0";
    kernel.has_modules = true;
    kernel.drivers = {{"virtio_blk", virtio}, {"virtio_net", virtio}};
    kernel.boots_on_virtio = virtio != DriverPlace::missing;
    kernel.older_drivers = {{"ahci", DriverPlace::initrd}, {"e1000e", DriverPlace::disk}};
    info.kernels = {kernel};
    facts.guest = info;
    return facts;
}

MachineFacts modern() {
    return reported_guest("centos", "9", DriverPlace::initrd);
}

// Without its comments: what is asked here is what the cluster reads.
std::string yaml(const MachineFacts& facts, const MachineWishes& wishes = {}, const char* target = "kubevirt") {
    std::istringstream text(find_manifest_target(target).write(make_runnable(facts, wishes)));
    std::string read;
    for (std::string line; std::getline(text, line);)
        if (const std::size_t first = line.find_first_not_of(' '); first == std::string::npos || line[first] != '#')
            read += line + "\n";
    return read;
}

bool has(const std::string& text, const std::string& part) {
    INFO(part << "\n" << text);
    return text.find(part) != std::string::npos;
}

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++found;
    return found;
}

} // namespace

TEST_CASE("kubevirt 4897: UEFI means Secure Boot, and that SMM, unless it is switched off") {
    MachineFacts facts = modern();
    facts.guest->boot.bios = false;
    facts.guest->boot.uefi = true;
    const std::string plain = yaml(facts);
    CHECK(has(plain, "secureBoot: false"));
    CHECK(!has(plain, "smm:"));
}

TEST_CASE("forklift 1269, virt-v2v 118: a machine that had Secure Boot gets SMM, too") {
    MachineWishes wishes;
    wishes.firmware = StartFirmware::uefi_secure;
    const std::string secure = yaml(modern(), wishes);
    CHECK(has(secure, "secureBoot: true"));
    CHECK(has(secure, "smm:\n"));
}

TEST_CASE("common-instancetypes 101: a preference with UEFI does not reach a guest that starts by BIOS alone") {
    MachineWishes wishes;
    wishes.preference = "centos.stream9";
    const std::string text = yaml(modern(), wishes);
    CHECK(has(text, "name: centos.stream9"));
    CHECK(has(text, "bios: {}"));
}

TEST_CASE("harvester 760, kubevirt 2559 and 2602: data of more than 2048 bytes lie in a Secret") {
    MachineWishes wishes;
    wishes.seed = RunnableSeed{"#cloud-config\n#" + std::string(10000, 'x') + "\n", "version: 2\n"};
    const std::string text = yaml(modern(), wishes);
    CHECK(has(text, "kind: Secret"));
    CHECK(has(text, "secretRef:"));
    CHECK(!has(text, "userData:"));
    CHECK(!has(text, "userDataBase64:"));
}

TEST_CASE("kubevirt 10180: the Secret names the network's data as KubeVirt looks for them") {
    MachineWishes wishes;
    wishes.seed = RunnableSeed{"#cloud-config\n{}\n", "version: 2\nethernets: {}\n"};
    const std::string text = yaml(modern(), wishes);
    CHECK(has(text, "networkDataSecretRef:"));
    CHECK(count(text, "networkdata:") == 1);
    CHECK(count(text, "userdata:") == 1);
}

TEST_CASE("cozystack 2909, packer-plugin-kubevirt 31: with an instance type there are no sizes beside it") {
    MachineWishes wishes;
    wishes.instance_type = "u1.medium";
    const std::string text = yaml(modern(), wishes);
    for (const char* field : {"cores:", "sockets:", "threads:", "guest:", "requests:", "limits:"})
        CHECK(!has(text, field));
    wishes.cpus = 2;
    CHECK_THROWS_AS(yaml(modern(), wishes), Error);
}

TEST_CASE("kubevirt 8171: without an instance type the machine has memory, whatever is known") {
    MachineFacts facts = modern();
    facts.guest.reset();
    CHECK(has(yaml(facts), "guest: \"2Gi\""));
    facts.hardware.emplace();
    CHECK(has(yaml(facts), "guest: \"2Gi\""));
}

TEST_CASE("kubevirt 9775, 16757: a kernel that is started is told its root and its console") {
    MachineFacts facts = modern();
    facts.form = RunnableForm::bundle;
    BundleDescription bundle;
    bundle.kernel = "boot/vmlinuz";
    bundle.root = "disk/rootfs.qcow2";
    bundle.command_line = "root=/dev/vda rw console=ttyS0";
    facts.bundle = bundle;
    const std::string text = yaml(facts);
    CHECK(has(text, "kernelArgs: \"root=/dev/vda rw console=ttyS0\""));
    CHECK(has(text, "kernelPath: /boot/vmlinuz"));
    CHECK(!has(text, "initrdPath:"));
    CHECK(has(text, "bus: virtio"));
}

TEST_CASE("forklift 90, kubevirt 10296, vm-import-operator 312: one interface alone is on the pod's network") {
    MachineFacts facts = modern();
    facts.hardware.emplace();
    facts.hardware->nics = {{}, {}, {}};
    const std::string text = yaml(facts);
    CHECK(count(text, "masquerade: {}") == 1);
    CHECK(count(text, "pod: {}") == 1);
    MachineWishes wishes;
    wishes.networks = {"pod", "lan", "storage"};
    const std::string placed = yaml(facts, wishes);
    CHECK(count(placed, "pod: {}") == 1);
    CHECK(count(placed, "networkName: ") == 2);
}

TEST_CASE("kubevirt 16703, 11332, 5110: Windows that never started on virtio starts on SATA first, and from its disk") {
    MachineFacts facts = modern();
    facts.guest->kernels.clear();
    facts.guest->os.type = facts.guest->os.distribution = "windows";
    facts.guest->os.product = "Windows Server 2016";
    const std::string text = yaml(facts);
    CHECK(has(text, "bus: sata"));
    CHECK(!has(text, "bus: virtio"));
    CHECK(has(text, "bootOrder: 1"));
    CHECK(has(text, "model: e1000e"));
}

TEST_CASE("forklift 1608: a guest without drivers for virtio gets a bus and a card that it knows") {
    const std::string text = yaml(reported_guest("rhel", "7.9", DriverPlace::missing));
    CHECK(has(text, "bus: sata"));
    CHECK(has(text, "model: e1000e"));
}

TEST_CASE("kubevirt 14240: the disk beside a kernel is a volume of its own, which an import keeps") {
    const std::string text = yaml(modern(), {}, "kubevirt-datavolume");
    CHECK(has(text, "dataVolumeTemplates:"));
    CHECK(has(text, "docker://registry.example/web@sha256:"));
    CHECK(!has(text, "containerDisk:"));
}

TEST_CASE("kubevirt 2206: the firmware is told which disk to start, and the data of cloud-init are none of them") {
    MachineFacts facts = modern();
    facts.disks.resize(3);
    for (RunnableDisk& disk : facts.disks)
        disk.image = facts.disks.front().image;
    MachineWishes wishes;
    wishes.seed = RunnableSeed{"#cloud-config\n{}\n", std::nullopt};
    const std::string text = yaml(facts, wishes);
    CHECK(has(text, "- name: rootdisk\n              bootOrder: 1\n"));
    CHECK(has(text, "- name: disk2\n              bootOrder: 2\n"));
    CHECK(has(text, "- name: disk3\n              bootOrder: 3\n"));
    CHECK(has(text, "- name: cloudinit\n              disk:\n"));
    CHECK(count(text, "bootOrder:") == 3);
}

TEST_CASE("kubevirt 5556: whatever volume there is has its disk, that of cloud-init, too") {
    MachineFacts facts = modern();
    facts.disks.resize(2);
    facts.disks.back().image = facts.disks.front().image;
    MachineWishes wishes;
    wishes.seed = RunnableSeed{"#cloud-config\n{}\n", std::nullopt};
    for (const char* target : {"kubevirt", "kubevirt-datavolume"}) {
        const std::string text = yaml(facts, wishes, target);
        const std::size_t volumes = text.find("volumes:\n");
        REQUIRE(volumes != std::string::npos);
        for (const char* name : {"- name: rootdisk\n", "- name: disk2\n", "- name: cloudinit\n"}) {
            INFO(name << text);
            CHECK(count(text.substr(0, volumes), name) == 1);
            CHECK(count(text.substr(volumes), name) == 1);
        }
    }
}

TEST_CASE("kubevirt.github.io 693, 351: the claim holds the whole disk, and CDI adds what a file system takes") {
    MachineFacts facts = modern();
    facts.disks.front().size = 4 * GiB;
    const std::string text = yaml(facts, {}, "kubevirt-datavolume");
    CHECK(has(text, "storage:\n"));
    CHECK(!has(text, "pvc:"));
    CHECK(has(text, "requests:\n"));
    CHECK(has(text, "storage: \"4Gi\"\n"));
    facts.disks.front().size = 4 * GiB + 512;
    CHECK(has(yaml(facts, {}, "kubevirt-datavolume"), "storage: \"4097Mi\"\n"));
}

TEST_CASE("kubevirt 8551, user-guide 706: a config drive carries OpenStack's network data and nothing else") {
    MachineWishes wishes;
    wishes.seed = RunnableSeed{"#cloud-config\n{}\n", "version: 2\nethernets: {}\n"};
    wishes.seed_form = SeedForm::config_drive;
    CHECK_THROWS_AS(yaml(modern(), wishes), Error);
    wishes.seed->network_data = R"({"links": [], "networks": [], "services": []})";
    const std::string text = yaml(modern(), wishes);
    CHECK(has(text, "cloudInitConfigDrive:"));
    CHECK(has(text, "networkDataSecretRef:"));
    CHECK(!has(text, "cloudInitNoCloud:"));
}

TEST_CASE("kubevirt 1646: a guest whose network settings name an address keeps it from one start to the next") {
    MachineFacts facts = modern();
    facts.hardware.emplace();
    facts.hardware->nics = {{"VmxNet3", "VM Network", "00:50:56:0a:0b:0c"}};
    CHECK(has(yaml(facts), "macAddress: \"00:50:56:0a:0b:0c\"\n"));
    facts.hardware->nics.front().mac.clear();
    CHECK(!has(yaml(facts), "macAddress:"));
}

TEST_CASE(
    "kubevirt 6244, NVIDIA/kubevirt-gpu-device-plugin 6: what is said to be Windows starts on SATA, read or not") {
    for (const char* type : {"windows2019srv_64Guest", "Microsoft Windows Server 2012 (64-bit)", "winLonghorn64Guest",
                             "http://microsoft.com/win/2k22"}) {
        MachineFacts facts = modern();
        facts.guest.reset();
        facts.hardware.emplace();
        facts.hardware->os_type = type;
        facts.hardware->nics.resize(1);
        const std::string text = yaml(facts);
        CHECK(has(text, "bus: sata"));
        CHECK(has(text, "model: e1000e"));
        CHECK(has(text, "hyperv:"));
        CHECK(!has(text, "virtio"));
    }
}
