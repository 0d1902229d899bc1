// The words of `convert` as the request that they make.
#include "formats/base/size.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/cli/said.hpp"
#include "tools/vm2oci/convert_options.hpp"

#include <sstream>

using namespace vm2oci;
using namespace vm2oci::cli;
using test::refusal_of;
using test::Words;

namespace {

// Words in one line; SOURCE and DEST are the last two.
ConvertRequest request_of(const std::string& line) {
    CommandTable table;
    ConvertArguments arguments;
    CLI::App& command = table.add("convert", "", {}, [](Invocation&) { return ExitCode::done; });
    add_convert_options(command, arguments);
    Words words = {"convert"};
    std::istringstream text(line);
    for (std::string word; text >> word;)
        words.push_back(word);
    table.parse(words);
    return convert_request(arguments, command);
}

template <class Shape>
Shape shape_of(const std::string& line) {
    const ConvertRequest request = request_of(line);
    REQUIRE(std::holds_alternative<Shape>(request.shape));
    return std::get<Shape>(request.shape);
}

} // namespace

TEST_CASE("a source and a destination alone are a containerDisk as consumers want it") {
    const ConvertRequest request = request_of("web01.qcow2 oci:images:web01");
    CHECK(request.source_name == "web01.qcow2");
    CHECK(request.destination_name == "oci:images:web01");
    CHECK(std::get<DiskReference>(request.source).path == "web01.qcow2");
    CHECK(std::get<LayoutReference>(std::get<ImageReference>(request.destination)).folder == "images");
    const auto& shape = std::get<ContainerDiskRequest>(request.shape);
    CHECK(shape.form == ContainerDiskForm::kubevirt);
    CHECK((shape.file_name.empty() && shape.instancetype.empty() && shape.preference.empty()));
    CHECK(request.disk.format == DiskOutputFormat::qcow2);
    CHECK(request.disk.cluster_compression == ClusterCompression::none);
    CHECK_FALSE(request.disk.virtual_size);
    CHECK(request.layer.compression.algorithm == Compression::zstd);
    CHECK(request.layer.form == LayerForm::plain);
    CHECK(request.growth == GuestGrowth::fill);
    CHECK(request.unused_blocks == UnusedBlocks::keep);
    CHECK(request.mode == EditMode::apply);
    CHECK((request.edits.empty() && request.sbom.empty() && request.manifest.empty() && request.digest_file.empty()));
    CHECK_FALSE((request.boot_test || request.reuse || request.against));
    CHECK(request.manifest_wishes.target->name == "kubevirt");
}

TEST_CASE("each kind of result is a shape of its own") {
    CHECK(shape_of<ContainerDiskRequest>("--as rancher a oci:b:c").form == ContainerDiskForm::rancher_vm);
    CHECK(shape_of<ContainerDiskRequest>("--name web.img --instancetype u1.small --preference rhel.9 a oci:b:c")
              .file_name == "web.img");
    CHECK(shape_of<ContainerDiskRequest>("--instancetype u1.small a oci:b:c").instancetype == "u1.small");
    CHECK(shape_of<ContainerDiskRequest>("--preference rhel.9 a oci:b:c").preference == "rhel.9");
    CHECK(shape_of<RootfsRequest>("--as rootfs a oci:b:c").kernel_files == KernelFiles::leave_out);
    CHECK(shape_of<RootfsRequest>("--as rootfs --keep-kernel a oci:b:c").kernel_files == KernelFiles::keep);
    CHECK(shape_of<RootfsRequest>("--as rootfs --layers split a oci:b:c").layers == RootfsLayers::split);
    CHECK_FALSE(shape_of<RootfsRequest>("--as rootfs a oci:b:c").runv);
    CHECK(shape_of<VmRequest>("--as vm --instancetype u1.large --preference fedora a oci:b:c").machine.instance_type ==
          "u1.large");
    shape_of<PodmanMachineRequest>("--as podman-machine a oci:b:c");
    shape_of<PlainDiskRequest>("a qcow2:b");
    shape_of<PlainDiskRequest>("oci:a:b folder");
    CHECK(shape_of<VirtletRequest>("--as virtlet a folder").wishes.target->name == "virtlet");
    const KataRequest kata = shape_of<KataRequest>("--as kata --agent kata-agent=/opt/agent --verity a folder");
    CHECK(kata.agent == "/opt/agent");
    CHECK(kata.proof == RootProof::verity);
    CHECK(kata.root == BundleRootKind::disk);
    CHECK(shape_of<KataRequest>("--as kata --agent kata-agent=a --root erofs a folder").root == BundleRootKind::erofs);
    CHECK(makes_image(ContainerDiskRequest()));
    CHECK_FALSE(makes_image(PlainDiskRequest()));
}

TEST_CASE("a bundle has a kernel, an initramfs, a root and a proof of it") {
    const auto bundle = [](const std::string& line) {
        return shape_of<BundleRequest>("--as bundle " + line + " a oci:b:c");
    };
    CHECK_FALSE(bundle("").kernel);
    CHECK(bundle("--kernel guest").kernel == KernelOrigin::guest);
    CHECK(bundle("--kernel minimal").kernel == KernelOrigin::minimal);
    CHECK(bundle("--kernel /boot/vmlinuz").kernel == KernelOrigin::file);
    CHECK(bundle("--kernel /boot/vmlinuz").kernel_file == "/boot/vmlinuz");
    CHECK(bundle("").initramfs == InitramfsChoice::automatic);
    CHECK(bundle("--initrd none").initramfs == InitramfsChoice::none);
    CHECK(bundle("--initrd my.img").initramfs == InitramfsChoice::file);
    CHECK(bundle("--initrd my.img").initramfs_file == "my.img");
    CHECK_FALSE(bundle("").command_line);
    CHECK(bundle("--cmdline=quiet").command_line == "quiet");
    CHECK(bundle("").root == BundleRootKind::disk);
    CHECK(bundle("--root erofs").root == BundleRootKind::erofs);
    CHECK(bundle("").krun == KrunSupport::no);
    CHECK(bundle("--krun").krun == KrunSupport::yes);
    CHECK(bundle("").proof == RootProof::none);
    CHECK(bundle("--verity").proof == RootProof::verity);
    CHECK(bundle("--instancetype u1.nano").instancetype == "u1.nano");
    CHECK(bundle("--preference alpine").preference == "alpine");
    // libkrun reads no qcow2.
    CHECK(request_of("--as bundle --krun a oci:b:c").disk.format == DiskOutputFormat::raw);
    CHECK(request_of("--as bundle a oci:b:c").disk.format == DiskOutputFormat::qcow2);
    CHECK(refusal_of([&] { bundle("--krun --cluster-compression zstd"); }) ==
          "--cluster-compression makes a qcow2 file, and --krun needs a raw one");
    for (const char* option : {"--size 4G", "--disk-format raw", "--cluster-compression zlib", "--sparsify"}) {
        CAPTURE(option);
        const std::string name = std::string(option).substr(0, std::string(option).find(' '));
        CHECK(refusal_of([&] { bundle(std::string("--root erofs ") + option); }) ==
              name + " is for roots that are disks; leave it away with --root erofs");
        CHECK(refusal_of([&] { bundle(option); }).empty());
    }
}

TEST_CASE("runV is given its own initrd, and a kernel that needs no modules") {
    const auto runv = [](const std::string& line) {
        return shape_of<RootfsRequest>("--as runv " + line + " a oci:b:c").runv.value();
    };
    CHECK(runv("--initrd hyper.img").initramfs_file == "hyper.img");
    CHECK(runv("--initrd hyper.img").kernel == KernelOrigin::minimal);
    CHECK(runv("--initrd hyper.img --kernel minimal").kernel == KernelOrigin::minimal);
    CHECK(runv("--initrd hyper.img --kernel vmlinuz").kernel == KernelOrigin::file);
    CHECK(runv("--initrd hyper.img --kernel vmlinuz").kernel_file == "vmlinuz");
    CHECK(refusal_of([&] { runv("--initrd hyper.img --kernel guest"); }) ==
          "runV's initrd holds no modules of the guest's kernel; give --kernel minimal, or a file");
    for (const char* line : {"", "--initrd none"})
        CHECK(refusal_of([&] { runv(line); }) ==
              "--as runv needs the initrd that goes with your runV: --initrd hyper-initrd.img");
}

TEST_CASE("a disk is written in the format of its destination, at its size") {
    struct Row {
        const char* line;
        DiskOutputFormat format;
    };
    const Row rows[] = {{"a oci:b:c", DiskOutputFormat::qcow2},
                        {"--disk-format raw a oci:b:c", DiskOutputFormat::raw},
                        {"--disk-format keep a oci:b:c", DiskOutputFormat::keep},
                        {"a qcow2:b", DiskOutputFormat::qcow2},
                        {"a raw:b", DiskOutputFormat::raw},
                        {"--disk-format raw oci:a:b b", DiskOutputFormat::raw},
                        {"oci:a:b b", DiskOutputFormat::qcow2}};
    for (const Row& row : rows) {
        CAPTURE(row.line);
        CHECK(request_of(row.line).disk.format == row.format);
    }
    CHECK(request_of("--size 1.5G a qcow2:b").disk.virtual_size == 1536 * MiB);
    CHECK(request_of("--size 4G --no-grow a qcow2:b").growth == GuestGrowth::leave);
    CHECK(refusal_of([] { request_of("--no-grow a qcow2:b"); }) == "--no-grow is for disks that --size makes larger");
    CHECK(request_of("--cluster-compression zlib a qcow2:b").disk.cluster_compression == ClusterCompression::zlib);
    CHECK(request_of("--cluster-compression zstd a oci:b:c").disk.cluster_compression == ClusterCompression::zstd);
    for (const char* line :
         {"--cluster-compression zstd a raw:b", "--cluster-compression zstd --disk-format raw a oci:b:c",
          "--cluster-compression zlib --disk-format keep a oci:b:c"})
        CHECK(refusal_of([&] { request_of(line); }) == "--cluster-compression is for --disk-format qcow2");
    CHECK(request_of("--sparsify a oci:b:c").unused_blocks == UnusedBlocks::leave_out);
    CHECK(refusal_of([] { request_of("--sparsify --disk-format keep a oci:b:c"); }) ==
          "--sparsify writes the disk anew; leave --disk-format keep away");
    for (const char* line : {"--disk-format keep --hostname web a oci:b:c", "--disk-format keep --dry-run a oci:b:c"})
        CHECK(refusal_of([&] { request_of(line); }) ==
              "--disk-format keep leaves the disk as it is; it cannot go with edits");
}

TEST_CASE("a layer is compressed as it is asked for, and shared only in frames of zstd") {
    CHECK(request_of("--compression gzip a oci:b:c").layer.compression.algorithm == Compression::gzip);
    CHECK(request_of("--compression none a oci:b:c").layer.compression.algorithm == Compression::none);
    CHECK(request_of("--compression zstd:19 a oci:b:c").layer.compression.level == 19);
    CHECK(request_of("--chunked a oci:b:c").layer.form == LayerForm::chunked);
    const ConvertRequest reused = request_of("--reuse oci:old:v1 a oci:b:c");
    REQUIRE(reused.reuse);
    CHECK(std::get<LayoutReference>(*reused.reuse).tag == "v1");
    CHECK(request_of("--against oci-archive:old.tar a oci:b:c").against.has_value());
    for (const char* line : {"--chunked --compression gzip a oci:b:c", "--chunked --compression none a oci:b:c",
                             "--reuse oci:old:v1 --compression gzip a oci:b:c"})
        CHECK(refusal_of([&] { request_of(line); }) == "--chunked and --reuse are for layers compressed with zstd");
    CHECK(refusal_of([] { request_of("--reuse old.qcow2 a oci:b:c"); }) ==
          "--reuse takes an image, and 'old.qcow2' is a disk; write it like oci:images:web01 or "
          "docker://registry.example/team/web01:v1");
    CHECK(refusal_of([] { request_of("--against raw:x a oci:b:c"); }).starts_with("--against takes an image"));
}

TEST_CASE("labels, annotations and variables have a key, and the last one of it counts") {
    const ImageOptions image =
        request_of("--label a=b --label c=d=e --label a= --annotation x=y --env PATH=/bin --env E= a oci:b:c").image;
    CHECK(image.labels == std::map<std::string, std::string>{{"a", ""}, {"c", "d=e"}});
    CHECK(image.annotations == std::map<std::string, std::string>{{"x", "y"}});
    CHECK(image.environment == Words{"PATH=/bin", "E="});
    for (const char* option : {"--label", "--annotation", "--env"})
        for (const char* word : {"novalue", "=value"})
            CHECK(refusal_of([&] { request_of(std::string(option) + " " + word + " a oci:b:c"); }) ==
                  std::string(option) + " takes KEY=VALUE, not '" + word + "'");
}

TEST_CASE("a time of creation is told where something bears it") {
    CHECK(request_of("--created 86400 a oci:b:c").image.created ==
          request_of("--created 1970-01-02T00:00:00Z a oci:b:c").image.created);
    CHECK(request_of("--created 86400 a oci:b:c").image.created !=
          request_of("--created 86401 a oci:b:c").image.created);
    for (const char* line : {"a oci:b:c", "--as bundle a oci:b:c", "--as rootfs a null:", "--as vm a oci:b:c",
                             "--as vm a oci-archive:b.tar", "--as kata --agent kata-agent=x a folder",
                             "--hostname web a qcow2:b", "--as podman-machine --hostname w a oci:b:c"})
        CHECK(refusal_of([&] { request_of(std::string("--created 86400 ") + line); }).empty());
    for (const char* line : {"a qcow2:b", "--as vm a docker://registry.example/vm/web:1",
                             "--as vm a null:", "--as podman-machine a oci:b:c", "--as virtlet a folder"})
        CHECK(refusal_of([&] {
                  request_of(std::string("--created 86400 ") + line);
              }).starts_with("--created stands in an image's configuration and in changes of the guest"));
    CHECK(!refusal_of([] { request_of("--created yesterday a oci:b:c"); }).empty());
}

TEST_CASE("an architecture is said of what has one") {
    CHECK(request_of("--arch arm64 a oci:b:c").architecture == "arm64");
    CHECK(request_of("--arch aarch64 a oci:b:c").architecture == "arm64");
    CHECK(request_of("--arch x86_64 oci:a:b qcow2:c").architecture == "amd64");
    CHECK(refusal_of([] {
              request_of("--arch arm64 a qcow2:c");
          }).starts_with("--arch is for images, as a source or as a result"));
    CHECK(!refusal_of([] { request_of("--arch z80 a oci:b:c"); }).empty());
}

TEST_CASE("Kata and Virtlet read folders of this host, and Kata needs its agent") {
    for (const char* destination : {"oci:b:c", "qcow2:b", "raw:b", "null:"}) {
        CAPTURE(destination);
        CHECK(refusal_of([&] { request_of(std::string("--as kata --agent kata-agent=x a ") + destination); }) ==
              "Kata reads its guest images from the host's disk: name a folder as DEST");
        CHECK(refusal_of([&] { request_of(std::string("--as virtlet a ") + destination); }) ==
              "Virtlet downloads a disk from a web server: name a folder as DEST");
    }
    CHECK(refusal_of([] { request_of("--as kata a folder"); }) ==
          "--as kata needs the agent that goes with your Kata: --agent kata-agent=FILE");
    CHECK(refusal_of([] { request_of("--as kata --agent kata-agent=x --root erofs --size 1G a folder"); }) ==
          "--size is for roots that are disks; leave it away with --root erofs");
}

TEST_CASE("what is only for images is remembered for a destination that turns out to be a disk") {
    const auto told = [](const std::string& line) { return shape_of<PlainDiskRequest>(line).not_for_disks; };
    CHECK(told("a qcow2:b").empty());
    CHECK(told("--as bundle a qcow2:b") == "--as bundle makes an image, and the destination is a disk");
    CHECK(told("--disk-format raw a qcow2:b") == "the destination says its format already; leave --disk-format away");
    CHECK(told("--disk-format raw oci:a:b folder").empty());
    CHECK(told("--label a=b a qcow2:b").starts_with("--label"));
    CHECK(shape_of<PlainDiskRequest>("--size 4G oci:a:b folder").not_for_bundles.starts_with("--size"));
}

TEST_CASE("files beside the result, and what would be ignored") {
    const ConvertRequest request =
        request_of("--digest-file d --sbom s.json --manifest m.yaml --manifest-for libvirt a oci:b:c");
    CHECK(request.digest_file == "d");
    CHECK(request.sbom == "s.json");
    CHECK(request.manifest == "m.yaml");
    CHECK(request.manifest_wishes.target->name == "libvirt");
    CHECK(refusal_of([] { request_of("--manifest-for libvirt a oci:b:c"); }) == "--manifest-for needs --manifest FILE");
    CHECK(refusal_of([] { request_of("--boot-test a null:"); }) ==
          "--boot-test boots what was written, and null: keeps nothing");
    const ConvertRequest booted = request_of("--boot-test --root-partition 3 a oci:b:c");
    REQUIRE(booted.boot_test);
    CHECK(booted.boot_test->root == "3");
    CHECK(refusal_of([] { request_of("--mount-from team/base a oci:b:c"); }) ==
          "--mount-from is for destinations in a registry; leave it away");
    CHECK(
        request_of("--mount-from a/b --mount-from c/d a docker://registry.example/vm/web:1").from.registry.mount_from ==
        Words{"a/b", "c/d"});
}

TEST_CASE("how a source is read: its parts, its limits, and what is tolerated of it") {
    const SourceRequest plain = request_of("a oci:b:c").from;
    CHECK(plain.policy.corrupt_bit == Tolerance::refuse);
    CHECK(plain.policy.in_use == Tolerance::refuse);
    CHECK(plain.policy.truncation == Tolerance::refuse);
    CHECK(plain.policy.max_virtual_size == 2 * TiB);
    CHECK(plain.registry.tls_verify != registry::TlsVerify::always);
    CHECK(plain.registry.tls_verify != registry::TlsVerify::never);
    CHECK_FALSE(plain.authorities);
    CHECK(request_of("--allow-corrupt a oci:b:c").from.policy.corrupt_bit == Tolerance::allow);
    CHECK(request_of("--allow-in-use a oci:b:c").from.policy.in_use == Tolerance::allow);
    CHECK(request_of("--allow-truncated a oci:b:c").from.policy.truncation == Tolerance::allow);
    CHECK(request_of("--allow-truncated a oci:b:c").from.policy.corrupt_bit == Tolerance::refuse);
    CHECK(request_of("--max-virtual-size 8T a oci:b:c").from.policy.max_virtual_size == 8 * TiB);
    CHECK(request_of("--tls-verify true a oci:b:c").from.registry.tls_verify == registry::TlsVerify::always);
    CHECK(request_of("--tls-verify=false a oci:b:c").from.registry.tls_verify == registry::TlsVerify::never);
    CHECK(request_of("--authfile f a oci:b:c").from.registry.auth_file == "f");
    CHECK(request_of("--cert-dir d a oci:b:c").from.registry.certificate_folder == "d");
    CHECK(request_of("--ca ca.pem a oci:b:c").from.authorities == "ca.pem");
    CHECK(request_of("--disk b.raw --disk c.raw a oci:b:c").from.disks == Words{"b.raw", "c.raw"});

    const SourceRequest parts =
        request_of("--backing mid.qcow2 --backing base.raw:raw --backing 2=other.qcow2:qcow2 --data-file 3=data.raw "
                   "--extent a-s001.vmdk --extent a-s002.vmdk a oci:b:c")
            .from;
    REQUIRE(parts.parts.backing.size() == 2);
    CHECK(parts.parts.backing[0].path == "mid.qcow2");
    CHECK_FALSE(parts.parts.backing[0].format);
    CHECK(parts.parts.backing[1].path == "base.raw");
    CHECK(parts.parts.backing[1].format == DiskFormat::raw);
    CHECK(parts.parts.extents == std::vector<std::filesystem::path>{"a-s001.vmdk", "a-s002.vmdk"});
    CHECK_FALSE(parts.parts.data_file);
    REQUIRE(parts.further_parts.contains(2));
    CHECK(parts.further_parts.at(2).backing.at(0).format == DiskFormat::qcow2);
    REQUIRE(parts.further_parts.contains(3));
    CHECK(parts.further_parts.at(3).data_file == "data.raw");
    CHECK(!refusal_of([] { request_of("--backing 0=x a oci:b:c"); }).empty());
}

TEST_CASE("who reads the guest, with which keys") {
    CHECK(request_of("--guest-backend native a oci:b:c").access.backend == GuestBackend::native);
    CHECK(request_of("--guest-backend appliance a oci:b:c").access.backend == GuestBackend::appliance);
    CHECK(request_of("--guest-backend libguestfs a oci:b:c").access.backend == GuestBackend::libguestfs);
    CHECK(request_of("a oci:b:c").access.backend == GuestBackend::automatic);
    CHECK(request_of("--root-partition vg/root a oci:b:c").access.root == "vg/root");
    CHECK(!refusal_of([] { request_of("--guest-backend guestfish a oci:b:c"); }).empty());
    const test::TemporaryFolder folder;
    const std::string key = test::write_text(folder.path() / "key", "secret\nmore\n");
    CHECK(request_of("--key all:file:" + key + " a oci:b:c").access.keys.size() == 1);
    CHECK(!refusal_of([&] { request_of("--key all:" + key + " a oci:b:c"); }).empty());
}
