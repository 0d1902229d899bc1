#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/manifest/targets.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>

using namespace vm2oci;

namespace {

RunnableMachine machine() {
    RunnableMachine machine;
    machine.name = "db1";
    machine.architecture = "amd64";
    machine.form = RunnableForm::disk;
    machine.guest = {"linux", "rhel", "9.4", "Red Hat -- Enterprise Linux"};
    machine.memory = 4 * GiB;
    machine.sockets = 2;
    machine.cores = 4;
    RunnableDisk disk;
    disk.file = "/images/db1.vmdk";
    disk.format = "vmdk";
    machine.disks = {disk};
    machine.nics = {{NicModel::virtio, "52:54:00:01:02:03", "", {}}};
    return machine;
}

struct Domain {
    explicit Domain(const RunnableMachine& machine) {
        REQUIRE(document.load_string(find_manifest_target("libvirt").write(machine).c_str()));
    }
    std::string text(const char* path) const { return document.select_node(path).node().text().get(); }
    std::string value(const char* path) const { return document.select_node(path).attribute().value(); }
    pugi::xml_document document;
};

RunnableMachine bundle() {
    RunnableMachine bundle = machine();
    bundle.form = RunnableForm::bundle;
    bundle.kernel = RunnableKernel{"/boot/vmlinuz", "/boot/initramfs", "root=/dev/vda", false};
    bundle.disks.front().file.clear();
    return bundle;
}

} // namespace

TEST_CASE("libvirt's domain has the machine's sizes, disks and addresses") {
    const Domain domain(machine());
    CHECK(domain.text("/domain/vcpu") == "8");
    CHECK(domain.value("/domain/cpu/topology/@sockets") == "2");
    CHECK(domain.text("/domain/memory") == "4194304");
    CHECK(domain.value("/domain/devices/disk/driver/@type") == "vmdk");
    CHECK(domain.value("/domain/devices/disk/source/@file") == "/images/db1.vmdk");
    CHECK(domain.value("/domain/devices/interface/mac/@address") == "52:54:00:01:02:03");
    CHECK(domain.value("/domain/os/type/@machine") == "q35");
    CHECK(domain.value("/domain/os/@firmware").empty());
}

TEST_CASE("libvirt chooses firmware by what is asked of it") {
    RunnableMachine uefi = machine();
    uefi.firmware = StartFirmware::uefi_secure;
    CHECK(Domain(uefi).value("/domain/os/firmware/feature/@enabled") == "yes");
    CHECK(Domain(uefi).value("/domain/features/smm/@state") == "on");
    uefi.firmware = StartFirmware::uefi;
    CHECK(Domain(uefi).value("/domain/os/@firmware") == "efi");
    CHECK(Domain(uefi).value("/domain/os/firmware/feature/@enabled") == "no");
}

TEST_CASE("old guests get old devices in libvirt") {
    RunnableMachine old = machine();
    old.old_machine = true;
    old.transitional_virtio = true;
    CHECK(Domain(old).value("/domain/os/type/@machine") == "pc");
    CHECK(Domain(old).value("/domain/devices/interface/model/@type") == "virtio-transitional");
    old.attachment = DiskAttachment::sata;
    old.nics.front().model = NicModel::e1000;
    CHECK(Domain(old).value("/domain/devices/disk/target/@bus") == "sata");
    CHECK(Domain(old).value("/domain/devices/interface/model/@type") == "e1000");
}

TEST_CASE("a bundle's files start by libvirt, Firecracker and Cloud Hypervisor") {
    const Domain domain(bundle());
    CHECK(domain.text("/domain/os/cmdline") == "root=/dev/vda");
    CHECK(domain.value("/domain/devices/disk/driver/@type") == "raw");
    const auto fire = nlohmann::json::parse(find_manifest_target("firecracker").write(bundle()));
    CHECK(fire["machine-config"]["vcpu_count"] == 8);
    CHECK(fire["machine-config"]["mem_size_mib"] == 4096);
    CHECK(fire["boot-source"]["initrd_path"] == "initramfs");
    const auto cloud = nlohmann::json::parse(find_manifest_target("cloud-hypervisor").write(bundle()));
    CHECK(cloud["disks"][0]["image_type"] == "Raw");
    CHECK(cloud["cpus"]["boot_vcpus"] == 8);
    CHECK_THROWS_AS(find_manifest_target("firecracker").write(machine()), Error);
}

TEST_CASE("Virtlet is told of a qcow2 by a name of its own") {
    RunnableMachine runnable = machine();
    runnable.disks.front().format = "qcow2";
    runnable.seed = RunnableSeed{"#cloud-config\nusers: []\n", std::nullopt, SeedForm::config_drive};
    const std::string text = find_manifest_target("virtlet").write(runnable);
    for (const char* line :
         {"kind: VirtletImageMapping\n", "  namespace: kube-system\n", "    - name: db1\n", "/db1.qcow2\n",
          "kubernetes.io/target-runtime: virtlet.cloud\n", "VirtletVCPUCount: \"8\"\n", "image: virtlet.cloud/db1\n",
          "memory: \"4Gi\"\n", "VirtletCloudInitUserDataOverwrite: \"true\"\n",
          "VirtletCloudInitImageType: configdrive\n"}) {
        INFO(line << text);
        CHECK(text.find(line) != std::string::npos);
    }
    runnable.seed->user_data = "#!/bin/sh\n";
    runnable.seed->form = SeedForm::no_cloud;
    const std::string script = find_manifest_target("virtlet").write(runnable);
    CHECK(script.find("VirtletCloudInitUserDataScript: ") != std::string::npos);
    CHECK(script.find("Overwrite") == std::string::npos);
    CHECK(script.find("ImageType") == std::string::npos);
}

TEST_CASE("What Virtlet cannot run is refused") {
    const ManifestTarget& virtlet = find_manifest_target("virtlet");
    const auto with = [](void (*change)(RunnableMachine&)) {
        RunnableMachine runnable = machine();
        runnable.disks.front().format = "qcow2";
        change(runnable);
        return runnable;
    };
    CHECK_NOTHROW(virtlet.write(with([](RunnableMachine&) {})));
    CHECK_THROWS_AS(virtlet.write(machine()), Error); // a VMDK
    CHECK_THROWS_AS(virtlet.write(with([](RunnableMachine& m) { m.form = RunnableForm::container_disk; })), Error);
    CHECK_THROWS_AS(virtlet.write(with([](RunnableMachine& m) { m.disks.push_back(m.disks.front()); })), Error);
    CHECK_THROWS_AS(virtlet.write(with([](RunnableMachine& m) { m.architecture = "arm64"; })), Error);
    CHECK_THROWS_AS(virtlet.write(with([](RunnableMachine& m) { m.firmware = StartFirmware::uefi; })), Error);
    CHECK_THROWS_AS(virtlet.write(with([](RunnableMachine& m) { m.attachment = DiskAttachment::sata; })), Error);
    CHECK_THROWS_AS(virtlet.write(with([](RunnableMachine& m) { m.seed = RunnableSeed{"", "version: 2\n"}; })), Error);
}
