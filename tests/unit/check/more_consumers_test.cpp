#include "formats/oci/bundle.hpp"
#include "libconvert/check/consumers.hpp"
#include "libconvert/package/vm_artifact.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;

namespace {

bool has_error(const std::vector<Problem>& problems, std::string_view rule) {
    return std::any_of(problems.begin(), problems.end(), [&](const Problem& problem) {
        return problem.rule == rule && problem.severity == ProblemSeverity::error;
    });
}
bool has_any_error(const std::vector<Problem>& problems) {
    return std::any_of(problems.begin(), problems.end(),
                       [](const Problem& problem) { return problem.severity == ProblemSeverity::error; });
}

std::vector<Problem> judged(std::string_view consumer, const ImageFacts& facts) {
    return find_consumer(consumer).check(facts);
}

ImageFacts machine() {
    ImageFacts facts;
    facts.content.parsed_manifest.artifact_type = vm_artifact::artifact_type;
    facts.content.parsed_manifest.config.media_type = vm_artifact::config_type;
    facts.layers = {{"zstd", std::nullopt}};
    facts.machine = MachineArtifactFacts{"", {{0, "root", 1024}}, {"root"}};
    return facts;
}

ImageFacts podman() {
    ImageFacts facts;
    facts.index = {{{"qemu", "x86_64", "linux", true, {"web.qcow2.zst"}}}};
    return facts;
}

ImageFacts image(std::initializer_list<const char*> files) {
    ImageFacts facts;
    facts.content.config.emplace().platform = {.architecture = "amd64", .os = "linux"};
    for (const char* file : files)
        facts.files[file] = {};
    return facts;
}

} // namespace

TEST_CASE("a machine artifact is judged as KubeVirt's importer reads it") {
    CHECK_FALSE(has_any_error(judged("kubevirt-vm", machine())));
    ImageFacts facts = machine();
    facts.content.parsed_manifest.artifact_type = "application/x";
    CHECK(has_error(judged("kubevirt-vm", facts), "artifact-type"));
    facts = machine();
    facts.content.parsed_manifest.config.media_type = "application/json";
    CHECK(has_error(judged("kubevirt-vm", facts), "config-type"));
    facts = machine();
    facts.machine->disks.front().name = "root.disk";
    CHECK(has_error(judged("kubevirt-vm", facts), "disk-name"));
    facts = machine();
    facts.machine->claims = {"other"};
    CHECK(has_error(judged("kubevirt-vm", facts), "disk-name"));
    facts = machine();
    facts.machine->disks.front().size.reset();
    CHECK(has_error(judged("kubevirt-vm", facts), "disk-size"));
    facts = machine();
    facts.layers.front().compression = "gzip";
    CHECK(has_error(judged("kubevirt-vm", facts), "disk-compression"));
    facts = machine();
    facts.machine->problem = "the artifact's config is no VirtualMachine";
    CHECK(has_error(judged("kubevirt-vm", facts), "machine"));
    facts = machine();
    facts.machine->claims = {"root", "elsewhere"};
    CHECK_FALSE(has_any_error(judged("kubevirt-vm", facts)));
    CHECK(judged("kubevirt-vm", facts).size() == 1);
}

TEST_CASE("an index is judged as podman machine looks into it") {
    CHECK_FALSE(has_any_error(judged("podman-machine", podman())));
    ImageFacts facts = podman();
    facts.index.reset();
    CHECK(has_error(judged("podman-machine", facts), "index"));
    facts = podman();
    facts.index->front().disk_type.clear();
    CHECK(has_error(judged("podman-machine", facts), "disk-type"));
    facts = podman();
    facts.index->front().architecture = "amd64";
    CHECK(has_error(judged("podman-machine", facts), "platform"));
    facts = podman();
    facts.index->front().titles = {};
    CHECK(has_error(judged("podman-machine", facts), "one-layer"));
    facts = podman();
    facts.index->front().titles = {""};
    CHECK(has_error(judged("podman-machine", facts), "title"));
    facts = podman();
    facts.index->front().titles = {"web.raw.gz"};
    CHECK(has_error(judged("podman-machine", facts), "title"));
    facts.index->front().disk_type = "applehv";
    CHECK_FALSE(has_any_error(judged("podman-machine", facts)));
    facts.index->front().disk_type = "hyperv";
    facts.index->front().titles = {"web.vhdx.zst"};
    CHECK_FALSE(has_any_error(judged("podman-machine", facts)));
    facts.index->front().is_read = false;
    CHECK(has_error(judged("podman-machine", facts), "manifest"));
}

TEST_CASE("what is meant for one consumer is not judged for the others") {
    const auto concerned = [](const ImageFacts& facts) {
        std::vector<std::string> names;
        for (const Consumer& consumer : consumers())
            if (consumer.concerns(facts))
                names.emplace_back(consumer.name);
        return names;
    };
    CHECK(concerned(machine()) == std::vector<std::string>{"kubevirt-vm"});
    CHECK(concerned(podman()) == std::vector<std::string>{"podman-machine"});
    CHECK(concerned(image({"base_image/x.qcow2"})) == std::vector<std::string>{"rancher-vm"});
    CHECK(concerned(image({"boot/vmlinuz", "boot/initrd.img", "sbin/init"})) == std::vector<std::string>{"runv"});
    CHECK(concerned(image({"disk/disk.img"})) ==
          std::vector<std::string>{"kubevirt", "image-volume", "cdi", "crun-vm"});
    ImageFacts root = image({"sbin/init", "etc/os-release"});
    CHECK(concerned(root) == std::vector<std::string>{"kubevirt", "image-volume", "cdi", "crun-vm"});
    root.content.parsed_manifest.annotations["org.vm2oci.guest.os"] = "debian";
    CHECK(concerned(root) == std::vector<std::string>{"kata"});
    root.files["disk/disk.img"] = {};
    CHECK(concerned(root) == std::vector<std::string>{"kubevirt", "image-volume", "cdi", "crun-vm"});
}

TEST_CASE("a disk is nothing that a container runtime starts, and is told once") {
    for (const char* file : {"disk/disk.qcow2", "base_image/disk.qcow2"}) {
        CHECK(has_error(judged("krun", image({file})), "settings"));
        CHECK(has_error(judged("kata", image({file})), "container-image"));
        CHECK(judged("runv", image({file, "boot/vmlinuz"})).size() == 1);
    }
    CHECK_FALSE(has_any_error(judged("krun", image({"sbin/init"}))));
    const std::vector<Problem> plain = judged("kubevirt-vm", image({"disk/disk.img"}));
    REQUIRE(plain.size() == 1);
    CHECK(plain.front().text.find("''") == std::string::npos);
    CHECK(plain.front().remedy == "make a machine artifact of the disk");
}

TEST_CASE("RancherVM takes one file of /base_image") {
    CHECK_FALSE(has_any_error(judged("rancher-vm", image({"base_image/web.qcow2"}))));
    CHECK(has_error(judged("rancher-vm", image({"disk/web.qcow2"})), "one-base-image"));
    CHECK(has_error(judged("rancher-vm", image({"base_image/a", "base_image/b"})), "one-base-image"));
    ImageFacts link = image({"base_image/a"});
    link.files["base_image/a"].type = TarType::symlink;
    CHECK(has_error(judged("rancher-vm", link), "one-base-image"));
}

TEST_CASE("krun, Firecracker and Cloud Hypervisor need the kernel that they start") {
    ImageFacts bundle = image({"boot/vmlinuz", "boot/vmlinux", "disk/rootfs.img", ".krun_vm.json"});
    BundleDescription description;
    description.root = "disk/rootfs.img";
    description.root_format = BundleRootFormat::raw;
    description.command_line = "root=/dev/vda console=ttyS0";
    bundle.content.parsed_manifest.annotations = bundle_annotations(description);
    CHECK_FALSE(has_any_error(judged("krun", bundle)));
    for (const char* monitor : {"firecracker", "cloud-hypervisor"})
        CHECK(judged(monitor, bundle).empty());
    bundle.files.erase("boot/vmlinux");
    bundle.files.erase("boot/vmlinuz");
    CHECK(has_error(judged("krun", bundle), "kernel"));
    for (const char* monitor : {"firecracker", "cloud-hypervisor"})
        CHECK(has_error(judged(monitor, bundle), "bundle-files"));
    bundle.files["boot/vmlinux"] = bundle.files["disk/rootfs.qcow2"] = {};
    CHECK(has_error(judged("krun", bundle), "root-format"));
    CHECK(has_error(judged("firecracker", image({"disk/disk.img"})), "bundle-annotations"));
}

TEST_CASE("runV takes kernel and initrd from the image together, or neither") {
    const ImageFacts own = image({"sbin/init", "boot/vmlinuz", "boot/initrd.img"});
    CHECK_FALSE(has_any_error(judged("runv", own)));
    CHECK_FALSE(has_any_error(judged("runv", image({"sbin/init", "boot/vmlinuz-6.1"}))));
    CHECK(has_error(judged("runv", image({"sbin/init", "boot/vmlinuz"})), "boot-files"));
    CHECK(has_error(judged("runv", image({"sbin/init", "boot/initrd.img"})), "boot-files"));
    ImageFacts link = own;
    link.files["boot/vmlinuz"].type = TarType::symlink;
    CHECK(has_error(judged("runv", link), "boot-files"));
    CHECK(has_error(judged("runv", image({"disk/disk.img"})), "container-image"));
}

TEST_CASE("Virtlet pulls no image at all") {
    CHECK(has_error(judged("virtlet", image({"disk/disk.qcow2"})), "no-image"));
}

TEST_CASE("Kata runs files and no disks") {
    CHECK(has_error(judged("kata", image({"disk/disk.img"})), "container-image"));
    ImageFacts root = image({"sbin/init"});
    CHECK_FALSE(has_any_error(judged("kata", root)));
    CHECK(judged("kata", root).size() == 1);
    root.content.config->entrypoint = {"/sbin/init"};
    CHECK(judged("kata", root).empty());
}
