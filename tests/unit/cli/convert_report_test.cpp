// What is said of each kind of result, for people and as JSON.
#include "formats/base/size.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/unit/cli/said.hpp"
#include "tools/vm2oci/convert_report.hpp"

#include <nlohmann/json.hpp>

using namespace vm2oci;
using namespace vm2oci::cli;
using nlohmann::json;

namespace {

Digest digest(char c) {
    return Digest::parse("sha256:" + std::string(64, c));
}

std::string text(char c) {
    return "sha256:" + std::string(64, c);
}

StoredLayer layer(char c, std::uint64_t size, std::uint64_t content) {
    StoredLayer made;
    made.descriptor.digest = digest(c);
    made.descriptor.media_type = media_type::oci_layer_zstd;
    made.descriptor.size = size;
    made.diff_id = digest('f');
    made.content_size = content;
    return made;
}

json layer_json(char c, std::uint64_t size, std::uint64_t content) {
    return {{"digest", text(c)},
            {"diff_id", text('f')},
            {"media_type", media_type::oci_layer_zstd},
            {"size", size},
            {"content_size", content}};
}

ImageReport image_report() {
    ImageReport report;
    report.manifest.digest = digest('a');
    report.manifest.media_type = media_type::oci_manifest;
    report.manifest.size = 900;
    report.layer = layer('b', 3 * MiB, 10 * MiB);
    report.layer.frames.resize(5);
    report.layer.reused_frames = 2;
    report.disk_path = "/disk/disk.qcow2";
    report.virtual_size = 20 * GiB;
    report.allocated_size = 9 * MiB;
    return report;
}

ConvertRequest request_for(const char* destination) {
    ConvertRequest request;
    request.source_name = "web.qcow2";
    request.destination_name = destination;
    return request;
}

struct Reported {
    int code = 0;
    std::string out;
};

Reported reported(const ConvertRequest& request, const ConvertResult& result, OutputFormat output) {
    GlobalOptions global;
    global.output = output;
    std::ostringstream out;
    std::ostringstream err;
    Invocation call{global, out, err, {}};
    const ExitCode code = report_conversion(request, result, call);
    CHECK(err.str().empty());
    return {static_cast<int>(code), out.str()};
}

json json_of(const ConvertRequest& request, const ConvertResult& result) {
    return json::parse(reported(request, result, OutputFormat::json).out);
}

std::string text_of(const ConvertRequest& request, const ConvertResult& result) {
    return reported(request, result, OutputFormat::text).out;
}

ConvertResult made(decltype(ConvertResult::made) what) {
    ConvertResult result;
    result.made = std::move(what);
    return result;
}

BootReport booted(Outcome outcome) {
    BootReport report;
    report.source = "oci:i:web";
    report.accelerator = Accelerator::kvm;
    report.verdict = Verdict{};
    report.verdict->outcome = outcome;
    report.verdict->rule = outcome == Outcome::failed ? find_rule("no-init") : nullptr;
    return report;
}

} // namespace

TEST_CASE("an image with a disk has its digests, sizes and frames") {
    ConvertRequest request = request_for("oci:i:web");
    ConvertResult result = made(image_report());
    result.remarks = {"one"};
    CHECK(text_of(request, result) == "oci:i:web\n  image   " + text('a') + "\n  layer   " + text('b') +
                                          " (3 MiB)\n  disk    /disk/disk.qcow2, qcow2, 9 MiB of data in 20 GiB\n");
    json expected = {{"destination", "oci:i:web"},
                     {"digest", text('a')},
                     {"media_type", media_type::oci_manifest},
                     {"size", 900},
                     {"layer", layer_json('b', 3145728, 10485760)},
                     {"disk",
                      {{"path", "/disk/disk.qcow2"},
                       {"format", "qcow2"},
                       {"virtual_size", 21474836480},
                       {"allocated_size", 9437184}}},
                     {"remarks", {"one"}}};
    expected["layer"]["frames"] = 5;
    expected["layer"]["reused_frames"] = 2;
    json document = json_of(request, result);
    CHECK(document["edits"]["backend"] == "none");
    CHECK(document.contains("schema_version"));
    document.erase("edits");
    document.erase("schema_version");
    CHECK(document == expected);
    request.reuse = LayoutReference{"old", "1"};
    CHECK(text_of(request, result).find("  reused  2 of 5 frames\n") != std::string::npos);
}

TEST_CASE("further images are told by their disk, with their tag or without one") {
    const ConvertRequest request = request_for("oci:i:web");
    ConvertResult result = made(image_report());
    ImageReport second = image_report();
    second.manifest.digest = digest('c');
    result.further_images = {{"web-disk2.vmdk", "web-disk2", second}, {"web-disk3.vmdk", "", second}};
    const std::string page = text_of(request, result);
    CHECK(page.ends_with("  and     web-disk2 of web-disk2.vmdk: " + text('c') +
                         "\n  and     an image of web-disk3.vmdk: " + text('c') + "\n"));
    const json further = json_of(request, result)["further_images"];
    REQUIRE(further.size() == 2);
    CHECK(further[0]["source_disk"] == "web-disk2.vmdk");
    CHECK(further[0]["tag"] == "web-disk2");
    CHECK(further[1]["tag"].is_null());
    CHECK(further[0]["digest"] == text('c'));
    CHECK_FALSE(further[0].contains("destination"));
}

TEST_CASE("what did not come up is told, and nothing of what is not there") {
    const ConvertRequest request = request_for("oci:i:web");
    ConvertResult result = made(image_report());
    ImageReport second = image_report();
    result.further_images = {{"d2", "web-disk2", second}};
    result.boot = booted(Outcome::failed);
    const Reported failed = reported(request, result, OutputFormat::text);
    CHECK(failed.code == 4);
    CHECK(failed.out.find("oci:i:web was not written") != std::string::npos);
    CHECK(failed.out.find(text('a')) == std::string::npos);
    CHECK(failed.out.find("  and ") == std::string::npos);
    const Reported document = reported(request, result, OutputFormat::json);
    CHECK(document.code == 4);
    CHECK(json::parse(document.out)["published"] == false);
    CHECK(json::parse(document.out)["boot"]["verdict"]["rule"] == "no-init");
    result.boot = booted(Outcome::ready);
    CHECK(reported(request, result, OutputFormat::text).code == 0);
    CHECK(text_of(request, result).find(text('a')) != std::string::npos);
    CHECK(json_of(request, result)["published"] == true);
    CHECK_FALSE(json_of(request, made(image_report())).contains("published"));
    // A seed that was not kept is not named.
    PlainDiskResult disk;
    disk.seed_disk = "web-seed.img";
    result = made(disk);
    CHECK(json_of(request, result)["seed_disk"] == "web-seed.img");
    result.boot = booted(Outcome::failed);
    CHECK_FALSE(json_of(request, result).contains("seed_disk"));
    result.boot = booted(Outcome::stopped);
    CHECK(reported(request, result, OutputFormat::text).code == 130);
}

TEST_CASE("a plan is told as one, whatever would be made of it") {
    const ConvertRequest request = request_for("oci:i:web");
    ConvertResult result;
    result.mode = EditMode::plan_only;
    result.edits.plan.edits.resize(1);
    result.edits.plan.edits[0].path = "/etc/hostname";
    CHECK(text_of(request, result).ends_with("1 changes; nothing was written\n"));
    const json document = json_of(request, result);
    CHECK(document["source"] == "web.qcow2");
    CHECK(document["edits"]["changed"][0]["path"] == "/etc/hostname");
    CHECK_FALSE(document.contains("destination"));
    CHECK_FALSE(document.contains("remarks"));
}

TEST_CASE("a root file system tells what tar could not hold") {
    const ConvertRequest request = request_for("oci:i:root");
    RootfsImage image;
    image.manifest.digest = digest('a');
    image.manifest.media_type = media_type::oci_manifest;
    image.manifest.size = 77;
    image.layers = {layer('b', 1024, 4096), layer('c', 2048, 8192)};
    image.report.entries = 12345;
    image.report.sockets = {2, {"/run/a.sock", "/run/b\n"}};
    image.report.devices = {1, {"/dev/null"}};
    image.report.set_id = {300, {"/usr/bin/sudo"}};
    image.remarks = {"the kernel is left out"};
    const ConvertResult result = made(image);
    CHECK(text_of(request, result) == "oci:i:root\n  image   " + text('a') + "\n  layer   " + text('b') +
                                          " (1 KiB)\n  layer   " + text('c') +
                                          " (2 KiB)\n  files   12345\n  note    the kernel is left out\n");
    const json document = json_of(request, result);
    CHECK(document["size"] == 77);
    CHECK(document["layers"] == json::array({layer_json('b', 1024, 4096), layer_json('c', 2048, 8192)}));
    CHECK(document["files"] == json{{"entries", 12345},
                                    {"sockets_left_out", {{"count", 2}, {"first", {"/run/a.sock", "/run/b\\x0a"}}}},
                                    {"devices_left_out", {{"count", 1}, {"first", json::array({"/dev/null"})}}},
                                    {"set_id", {{"count", 300}, {"first", json::array({"/usr/bin/sudo"})}}}});
    CHECK(document["remarks"] == json::array({"the kernel is left out"}));
}

TEST_CASE("artifacts have no diff_id, and say whose they are") {
    const ConvertRequest request = request_for("oci:i:vm");
    VmResult vm;
    vm.manifest.digest = digest('a');
    vm.manifest.media_type = media_type::oci_manifest;
    vm.manifest.size = 5;
    vm.machine = "web01";
    vm.disks = {layer('b', MiB, 4 * MiB), layer('c', 512, 1024)};
    CHECK(text_of(request, made(vm)) == "oci:i:vm\n  image   " + text('a') + "\n  machine web01\n  disk    " +
                                            text('b') + " (1 MiB of 4 MiB)\n  disk    " + text('c') +
                                            " (512 B of 1 KiB)\n");
    const json document = json_of(request, made(vm));
    CHECK(document["machine"] == "web01");
    REQUIRE(document["disks"].size() == 2);
    CHECK(document["disks"][1]["content_size"] == 1024);
    CHECK_FALSE(document["disks"][0].contains("diff_id"));

    PodmanMachineResult podman;
    podman.image.index.digest = digest('d');
    podman.image.index.media_type = media_type::oci_index;
    podman.image.index.size = 6;
    podman.image.layer = layer('e', 2 * MiB, 4 * MiB);
    podman.image.disk_type = "applehv";
    podman.image.title = "web.raw.zst";
    CHECK(text_of(request, made(podman)) ==
          "oci:i:vm\n  index   " + text('d') + "\n  disk    " + text('e') + " (2 MiB, web.raw.zst for applehv)\n");
    const json machine = json_of(request, made(podman));
    CHECK(machine["digest"] == text('d'));
    CHECK(machine["media_type"] == media_type::oci_index);
    CHECK(machine["disk_type"] == "applehv");
    CHECK(machine["layer"]["title"] == "web.raw.zst");
    CHECK_FALSE(machine["layer"].contains("diff_id"));
}

TEST_CASE("plain disks are told with those beside them") {
    const ConvertRequest request = request_for("qcow2:web.qcow2");
    PlainDiskResult disk;
    disk.disk = {DiskFormat::qcow2, 5 * MiB, 20 * GiB, 4 * MiB};
    disk.further_disks = {{"web-2.vmdk", "web-disk2.qcow2", {DiskFormat::raw, 1024, 2048, 512}}};
    CHECK(text_of(request, made(disk)) == "qcow2:web.qcow2\n  disk    qcow2, 4 MiB of data in 20 GiB\n"
                                          "  and     web-disk2.qcow2 of web-2.vmdk: raw, 512 B of data in 2 KiB\n");
    const json document = json_of(request, made(disk));
    CHECK(
        document["disk"] ==
        json{{"format", "qcow2"}, {"file_size", 5242880}, {"virtual_size", 21474836480}, {"allocated_size", 4194304}});
    CHECK(document["further_disks"] ==
          json::array(
              {{{"source_disk", "web-2.vmdk"},
                {"destination", "web-disk2.qcow2"},
                {"disk", {{"format", "raw"}, {"file_size", 1024}, {"virtual_size", 2048}, {"allocated_size", 512}}}}}));
    CHECK_FALSE(document.contains("seed_disk"));
}

TEST_CASE("folders of files are told by file and purpose") {
    const ConvertRequest request = request_for("out");
    const std::vector<UnpackedFile> files = {{"vmlinuz", 5 * MiB, "the kernel"},
                                             {"a-name-that-is-longer-than-the-column", 1, "long"}};
    const std::string lines = "  vmlinuz                      the kernel (5 MiB)\n"
                              "  a-name-that-is-longer-than-the-column long (1 B)\n";
    const json listed =
        json::array({{{"name", "vmlinuz"}, {"size", 5242880}, {"purpose", "the kernel"}},
                     {{"name", "a-name-that-is-longer-than-the-column"}, {"size", 1}, {"purpose", "long"}}});
    UnpackedBundle bundle;
    bundle.files = files;
    bundle.description.command_line = "root=/dev/vda";
    CHECK(text_of(request, made(bundle)) == "out\n" + lines);
    const json unpacked = json_of(request, made(bundle));
    CHECK(unpacked["files"] == listed);
    CHECK(unpacked["command_line"] == "root=/dev/vda");
    CHECK_FALSE(unpacked.contains("edits"));
    CHECK(text_of(request, made(VirtletResult{files})) == "out\n" + lines);
    CHECK(json_of(request, made(VirtletResult{files}))["files"] == listed);
    KataReport kata;
    kata.files = files;
    kata.drop_in = "[hypervisor.qemu]\n";
    kata.remarks = {"no SELinux"};
    CHECK(text_of(request, made(kata)) == "out\n" + lines + "  note    no SELinux\n\n[hypervisor.qemu]\n");
    CHECK_FALSE(json_of(request, made(kata)).contains("verity"));
    kata.verity = VerityRoot();
    const json proven = json_of(request, made(kata));
    CHECK(proven["verity"]["root_hash"] == std::string(64, '0'));
    CHECK(proven["drop_in"] == "[hypervisor.qemu]\n");
    CHECK(proven["remarks"] == json::array({"no SELinux"}));
}

TEST_CASE("a bundle tells its kernel, its root and what proves it") {
    const ConvertRequest request = request_for("oci:i:web-vm");
    const auto result = [](bool whole) {
        BundleResult made_bundle;
        PreparedBundle& bundle = made_bundle.bundle;
        bundle.kernel.image = std::string(2048, 'k');
        bundle.description.command_line = "root=/dev/vda rw";
        bundle.root_disk.type = "ext4";
        bundle.root_disk.origin = "partition 1";
        bundle.root.emplace();
        bundle.root->bytes = std::make_shared<test::MemoryDevice>(3 * MiB);
        bundle.root->virtual_size = GiB;
        bundle.root->allocated_size = 2 * MiB;
        made_bundle.image.manifest.digest = digest('a');
        made_bundle.image.manifest.media_type = media_type::oci_manifest;
        made_bundle.image.disk_layer = layer('b', MiB, 2 * MiB);
        made_bundle.image.boot_layer = layer('c', 1024, 4096);
        if (whole) {
            bundle.description.kernel_origin = KernelOrigin::minimal;
            bundle.description.kernel_release = "6.12.1";
            bundle.description.initramfs = "boot/initramfs";
            bundle.kernel.initramfs = std::string(100, 'i');
            bundle.description.verity = BundleVerity{std::string(64, 'e'), 4096};
            bundle.root_disk.shape = RootShape::joined;
            bundle.remarks = {"swap is left out"};
        }
        return made(std::move(made_bundle));
    };
    const std::string head = "oci:i:web-vm\n  image   " + text('a') + "\n  layer   " + text('b') +
                             " (1 MiB)\n  layer   " + text('c') + " (1 KiB)\n";
    CHECK(text_of(request, result(false)) ==
          head + "  kernel  boot/vmlinuz, guest, 2 KiB\n"
                 "  root    disk/rootfs.qcow2, ext4 from partition 1, 2 MiB of data in 1 GiB\n"
                 "  told    root=/dev/vda rw\n");
    CHECK(text_of(request, result(true)) ==
          head +
              "  kernel  boot/vmlinuz, minimal 6.12.1, 2 KiB\n  initrd  boot/initramfs, 100 B\n"
              "  root    disk/rootfs.qcow2, ext4 from joined partition 1, 2 MiB of data in 1 GiB\n"
              "  verity  " +
              std::string(64, 'e') +
              ", its superblock at 4096\n  told    root=/dev/vda rw\n  note    swap is left out\n");
    const json plain = json_of(request, result(false));
    CHECK(plain["kernel"] == json{{"path", "boot/vmlinuz"}, {"origin", "guest"}, {"size", 2048}});
    CHECK(plain["root"] == json{{"path", "disk/rootfs.qcow2"},
                                {"format", "qcow2"},
                                {"file_system", "ext4"},
                                {"from", "partition 1"},
                                {"joined", false},
                                {"virtual_size", 1073741824},
                                {"file_size", 3145728}});
    CHECK_FALSE(plain.contains("initramfs"));
    const json whole = json_of(request, result(true));
    CHECK(whole["kernel"]["release"] == "6.12.1");
    CHECK(whole["initramfs"] == json{{"path", "boot/initramfs"}, {"size", 100}});
    CHECK(whole["root"]["joined"] == true);
    CHECK(whole["root"]["verity"] == json{{"root_hash", std::string(64, 'e')}, {"superblock_at", 4096}});
    CHECK(whole["layers"] == json::array({layer_json('b', 1048576, 2097152), layer_json('c', 1024, 4096)}));
    CHECK(whole["command_line"] == "root=/dev/vda rw");
    CHECK(whole["remarks"] == json::array({"swap is left out"}));
}
