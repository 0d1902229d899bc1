#include "formats/base/error.hpp"
#include "formats/oci/bundle.hpp"
#include "libconvert/check/consumers.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;

namespace {

// A containerDisk as vm2oci writes it.
ImageFacts good_facts() {
    ImageFacts facts;
    facts.content.config.emplace();
    facts.content.config->platform.architecture = "amd64";
    facts.content.config->entrypoint = {"no-entrypoint"};
    facts.layers = {{"gzip", std::nullopt}};
    facts.files["disk"] = {TarType::directory, 0555, 107, 107, 0};
    facts.files["disk/disk.qcow2"] = {TarType::regular, 0444, 107, 107, 1000};
    facts.disk.emplace();
    facts.disk->info.format = DiskFormat::qcow2;
    facts.disk->info.virtual_size = 1 << 30;
    facts.disk->format_known = true;
    facts.disk->info.details.emplace<Qcow2Info>().compression = "zlib";
    facts.imported = ImportedDisk{"disk/disk.qcow2", "disk/disk.qcow2", 0, TarType::regular, 1000, true, facts.disk};
    return facts;
}

Qcow2Info& qcow2_of(ImageFacts& facts) {
    return std::get<Qcow2Info>(facts.disk->info.details);
}

// A bundle as vm2oci writes it.
ImageFacts good_bundle() {
    BundleDescription bundle;
    bundle.initramfs = bundle_path::initramfs;
    bundle.command_line = "root=/dev/vda ro console=ttyS0";
    ImageFacts facts = good_facts();
    facts.content.parsed_manifest.annotations = bundle_annotations(bundle);
    facts.files["disk/rootfs.qcow2"] = facts.files["disk/disk.qcow2"];
    facts.files.erase("disk/disk.qcow2");
    facts.imported->name = facts.imported->path = "disk/rootfs.qcow2";
    facts.files["boot"] = {TarType::directory, 0555, 107, 107, 0};
    facts.files["boot/vmlinuz"] = {TarType::regular, 0444, 107, 107, 1000};
    facts.files["boot/initramfs"] = {TarType::regular, 0444, 107, 107, 1000};
    return facts;
}

bool has(ProblemSeverity severity, std::string_view consumer, const ImageFacts& facts, std::string_view rule) {
    const std::vector<Problem> problems = find_consumer(consumer).check(facts);
    return std::any_of(problems.begin(), problems.end(),
                       [&](const Problem& problem) { return problem.rule == rule && problem.severity == severity; });
}

bool has_error(std::string_view consumer, const ImageFacts& facts, std::string_view rule) {
    return has(ProblemSeverity::error, consumer, facts, rule);
}

bool has_warning(std::string_view consumer, const ImageFacts& facts, std::string_view rule) {
    return has(ProblemSeverity::warning, consumer, facts, rule);
}

} // namespace

TEST_CASE("our own containerDisk has no problem anywhere") {
    for (const Consumer& consumer : consumers())
        if (consumer.concerns(good_facts()))
            CHECK(consumer.check(good_facts()).empty());
    CHECK_THROWS_AS(find_consumer("xen"), Error);
}

TEST_CASE("KubeVirt wants exactly one entry in /disk, whatever it is") {
    ImageFacts facts = good_facts();
    facts.files["disk/.hidden"] = {TarType::directory, 0755, 0, 0, 0};
    CHECK(has_error("kubevirt", facts, "one-file-in-disk"));
    CHECK_FALSE(has_error("image-volume", facts, "one-file-in-disk")); // folders do not count there
    CHECK_FALSE(has_error("crun-vm", facts, "one-file"));
    facts.files.erase("disk/.hidden");
    facts.files.erase("disk/disk.qcow2");
    CHECK(has_error("kubevirt", facts, "one-file-in-disk"));
    facts.files["disk/disk.qcow2"] = {TarType::symlink, 0777, 0, 0, 0};
    CHECK(has_error("kubevirt", facts, "one-file-in-disk"));
}

TEST_CASE("the disk must be readable by uid 107") {
    ImageFacts facts = good_facts();
    facts.files["disk/disk.qcow2"].permissions = 0040; // the owner's bits count for the owner
    CHECK(has_error("kubevirt", facts, "readable-by-qemu"));
    facts.files["disk/disk.qcow2"] = {TarType::regular, 0640, 0, 107, 1000};
    CHECK_FALSE(has_error("kubevirt", facts, "readable-by-qemu"));
    facts.files["disk/disk.qcow2"] = {TarType::regular, 0600, 0, 0, 1000};
    CHECK(has_error("kubevirt", facts, "readable-by-qemu"));
    facts = good_facts();
    facts.files["disk"] = {TarType::directory, 0700, 0, 0, 0};
    CHECK(has_error("kubevirt", facts, "readable-by-qemu"));
}

TEST_CASE("disks that only some can open are named") {
    ImageFacts facts = good_facts();
    qcow2_of(facts).backing_file_name = "base.qcow2";
    CHECK(has_error("kubevirt", facts, "no-backing-file"));
    facts = good_facts();
    qcow2_of(facts).data_file_name = "elsewhere";
    CHECK(has_error("kubevirt", facts, "no-data-file"));
    facts = good_facts();
    qcow2_of(facts).compression = "zstd";
    CHECK(has_warning("kubevirt", facts, "qcow2-features"));
    facts = good_facts();
    facts.disk->foreign_format = "VMDK";
    CHECK(has_error("crun-vm", facts, "disk-format"));
    facts = good_facts();
    facts.disk->info.format = DiskFormat::vhdx; // which is read here, and not there
    facts.disk->info.details = RawInfo{};
    CHECK(has_error("crun-vm", facts, "disk-format"));
    CHECK(has_error("kubevirt", facts, "disk-format"));
}

TEST_CASE("the importer takes the first file that begins with disk") {
    ImageFacts facts = good_facts();
    for (const char* name : {"diskinfo.json", "disk.img", "disk/more/x.img", "diskette/x"}) {
        facts.imported->name = facts.imported->path = name;
        CHECK(has_error("cdi", facts, "first-file"));
    }
    facts.imported.reset();
    CHECK(has_error("cdi", facts, "first-file"));
    facts = good_facts();
    facts.imported->is_seen = false;
    CHECK(has_error("cdi", facts, "first-file"));
    facts = good_facts();
    CHECK_FALSE(has_warning("cdi", facts, "first-file"));
    facts.files["disk/readme"] = facts.files["disk/disk.qcow2"];
    CHECK(has_warning("cdi", facts, "first-file"));
    facts = good_facts();
    facts.imported->type = TarType::hard_link;
    CHECK(has_error("cdi", facts, "first-file"));
    facts = good_facts();
    facts.imported->size = 0;
    CHECK(has_error("cdi", facts, "first-file"));
    facts = good_facts();
    facts.imported->findings->foreign_format = "VDI";
    CHECK_FALSE(has_error("cdi", facts, "disk-format"));
    facts.imported->findings->foreign_format = "bzip2-compressed data";
    CHECK(has_error("cdi", facts, "disk-format"));
    facts = good_facts();
    facts.files["ostree/repo"] = {};
    CHECK(has_error("cdi", facts, "no-bootc"));
    facts = good_facts();
    facts.content.config->labels["containers.bootc"] = "1";
    CHECK(has_error("cdi", facts, "no-bootc"));
    facts = good_facts();
    facts.layers = {{"zstd", 100}};
    CHECK(has_warning("cdi", facts, "zstd-head"));
    facts.layers = {{"zstd", 1024}};
    CHECK_FALSE(has_warning("cdi", facts, "zstd-head"));
    CHECK(has_warning("kubevirt", facts, "zstd-layers"));
}

TEST_CASE("crun-vm counts files of the root too, and wants no entrypoint") {
    ImageFacts facts = good_facts();
    facts.files["README"] = {};
    CHECK(has_error("crun-vm", facts, "one-file"));
    CHECK_FALSE(has_error("kubevirt", facts, "one-file-in-disk"));
    facts = good_facts();
    facts.files[".dockerenv"] = {};
    CHECK_FALSE(has_error("crun-vm", facts, "one-file"));
    facts.content.config->entrypoint = {"/bin/sh"};
    CHECK(has_error("crun-vm", facts, "no-entrypoint"));
}

TEST_CASE("an image without architecture or configuration is no image for a node") {
    ImageFacts facts = good_facts();
    facts.content.config->platform.architecture.clear();
    CHECK(has_error("kubevirt", facts, "architecture"));
    facts.content.config.reset();
    CHECK(has_error("kubevirt", facts, "image-config"));
    CHECK_FALSE(has_error("image-volume", facts, "image-config"));
}

TEST_CASE("our own bundle has no problem anywhere, and kernelBoot finds its files") {
    for (const char* name :
         {"kubevirt", "image-volume", "kernel-boot", "cdi", "crun-vm", "firecracker", "cloud-hypervisor"}) {
        INFO(name);
        CHECK(find_consumer(name).concerns(good_bundle()));
        CHECK(find_consumer(name).check(good_bundle()).empty());
    }
    CHECK_FALSE(find_consumer("kernel-boot").concerns(good_facts()));
    CHECK(has_error("kernel-boot", good_facts(), "bundle-annotations"));

    ImageFacts facts = good_bundle();
    facts.files.erase("boot/vmlinuz");
    CHECK(has_error("kernel-boot", facts, "boot-files"));
    facts = good_bundle();
    facts.files["boot/initramfs"] = {TarType::regular, 0600, 0, 0, 1000};
    CHECK(has_error("kernel-boot", facts, "readable-by-qemu"));
    facts = good_bundle();
    facts.files["boot/other/vmlinuz"] = facts.files["boot/initramfs"];
    facts.content.parsed_manifest.annotations[bundle_annotation::initramfs] = "boot/other/vmlinuz";
    CHECK(has_error("kernel-boot", facts, "bundle-annotations")); // both would be mounted under one name
    facts = good_bundle();
    facts.content.parsed_manifest.annotations[bundle_annotation::command_line] = "console=ttyS0";
    CHECK(has_error("kernel-boot", facts, "boot-arguments"));
    facts = good_bundle();
    facts.content.parsed_manifest.annotations[bundle_annotation::version] = "7";
    CHECK(has_error("kernel-boot", facts, "bundle-annotations"));
}

TEST_CASE("an image that cannot be unpacked works nowhere, wherever the fault is") {
    ImageFacts facts = good_facts();
    facts.layers.push_back({"none", std::nullopt, "etc/motd"});
    for (const char* consumer : {"kubevirt", "image-volume", "cdi", "crun-vm"})
        CHECK(has_error(consumer, facts, "whole-layers"));
    facts = good_facts();
    facts.content_problem = "the image's layer sha256:00 unpacks to something else";
    for (const char* consumer : {"kubevirt", "image-volume", "cdi", "crun-vm"})
        CHECK(has_error(consumer, facts, "content"));
    CHECK(has_error(
        "kernel-boot",
        [] {
            ImageFacts bundle = good_bundle();
            bundle.content_problem = "x";
            return bundle;
        }(),
        "content"));
    facts = good_facts();
    facts.layers[0].compression = "xz";
    CHECK(has_error("kubevirt", facts, "xz-layers"));
}

TEST_CASE("empty, unreadable and odd disks are named") {
    for (const char* consumer : {"kubevirt", "image-volume", "cdi", "crun-vm"}) {
        INFO(consumer);
        const auto with_disk = [](auto change) {
            ImageFacts facts = good_facts();
            facts.disk->info.format = DiskFormat::raw;
            facts.disk->info.virtual_size = 8192;
            change(*facts.disk);
            facts.imported->findings = facts.disk;
            return facts;
        };
        CHECK(find_consumer(consumer).check(with_disk([](DiskFindings&) {})).empty());
        CHECK(has_error(consumer, with_disk([](DiskFindings& disk) { disk.info.virtual_size = 0; }), "empty-disk"));
        CHECK(has_error(consumer, with_disk([](DiskFindings& disk) { disk.refusal = "cut"; }), "disk-readable"));
        for (const std::uint64_t size : {std::uint64_t{512}, std::uint64_t{8192 + 2048}, std::uint64_t{100}})
            CHECK(has_warning(consumer, with_disk([&](DiskFindings& disk) { disk.info.virtual_size = size; }),
                              "sector-size"));
    }
}

TEST_CASE("sectors of 4096 bytes need KubeVirt's blockSize") {
    ImageFacts facts = good_facts();
    CHECK_FALSE(has_warning("kubevirt", facts, "disk-block-size"));
    facts.sector_size = 4096;
    CHECK(has_warning("kubevirt", facts, "disk-block-size"));
    const auto problems = find_consumer("kubevirt").check(facts);
    CHECK(std::any_of(problems.begin(), problems.end(), [](const Problem& problem) {
        return problem.remedy.find("logical: 4096") != std::string::npos;
    }));
}

TEST_CASE("a bundle's kernel must run the guest's programs") {
    ImageFacts facts = good_bundle();
    const auto errors = [&] { return has(ProblemSeverity::error, "kernel-boot", facts, "kernel-architecture"); };
    CHECK_FALSE(errors());
    facts.kernel_architecture = "amd64";
    CHECK_FALSE(errors());
    facts.content.config->platform.architecture = "386";
    CHECK_FALSE(errors());
    facts.content.config->platform.architecture = "arm64";
    CHECK(errors());
    facts.kernel_architecture = "riscv64";
    CHECK(errors());
}
