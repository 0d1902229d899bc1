// A guest's root as an image: what goes in, what stays out, in which layer, and what the image says of it.
#include "formats/base/error.hpp"
#include "formats/codec/layer_content.hpp"
#include "formats/oci/memory_store.hpp"
#include "formats/tree/tar_reader.hpp"
#include "libconvert/guest/mounted_guest.hpp"
#include "libconvert/package/package_files.hpp"
#include "libconvert/package/rootfs.hpp"
#include "tests/support/memory_file_system.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace vm2oci;
using Json = nlohmann::json;
using Words = std::vector<std::string>;

namespace {

struct Packed {
    std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
    RootfsImage image;

    Words paths(std::size_t layer = 0) const {
        MemorySource source(store);
        const auto content = open_layer_content(source.open_blob(image.layers.at(layer).descriptor), {});
        Words all;
        TarReader reader(*content);
        while (const auto member = reader.next())
            if (!member->path.empty())
                all.push_back(member->path);
        return all;
    }
    Json manifest() const { return Json::parse(*store->find_blob(image.manifest.digest)); }
    Json config() const {
        return Json::parse(*store->find_blob(Digest::parse(manifest()["config"]["digest"].get<std::string>())));
    }
};

OpenedGuest opened_of(test::MemoryFileSystem files) {
    OpenedGuest opened;
    opened.guest = std::make_unique<MountedGuest>(std::vector<MountedFileSystem>{
        {{"/", "", "", "", "", std::nullopt}, std::make_shared<test::MemoryFileSystem>(std::move(files))}});
    return opened;
}

RootfsOptions amd64() {
    RootfsOptions options;
    options.image.architecture = "amd64";
    return options;
}

Packed pack(const OpenedGuest& opened, const RootfsOptions& options = amd64(), const GuestInfo& info = {}) {
    Packed packed;
    MemoryDestination destination(packed.store);
    packed.image = write_rootfs(opened, info, options, destination, {});
    return packed;
}
Packed pack(test::MemoryFileSystem files, const RootfsOptions& options = amd64(), const GuestInfo& info = {}) {
    return pack(opened_of(std::move(files)), options, info);
}

template <class Action>
std::string refusal_of(Action&& action) {
    try {
        action();
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::unsupported);
        return error.what();
    }
    return {};
}

Words contained(const PackageFiles& files, const Words& asked) {
    Words there;
    for (const std::string& path : asked)
        if (files.contains(path))
            there.push_back(path);
    return there;
}

} // namespace

TEST_CASE("what only a running or a booting machine has stays out") {
    test::MemoryFileSystem files;
    for (const char* path : {"proc/1/x", "sys/x", "dev/null", "run/x", "tmp/x", "boot/vmlinuz", "efi/x", "lost+found/x",
                             "lib/modules/6.1/x", "lib/firmware/x", "usr/lib/modules/6.1/x", "usr/lib/firmware/x",
                             "swap.img", "etc/hostname", "var/tmp/x", "home/lost+found/x", "usr/lib/modules.conf"})
        files.file(path, "x");
    for (const char* link : {"vmlinuz", "vmlinuz.old", "initrd.img", "initrd.img.old"})
        files.symlink(link, "boot/x");
    OpenedGuest opened = opened_of(files);
    opened.fstab = parse_fstab("/swap.img none swap sw 0 0\n/dev/sda2 none swap sw 0 0\n");
    const Words left = {
        "boot", "dev",     "efi",      "etc", "etc/hostname", "home", "home/lost+found", "home/lost+found/x",
        "lib",  "proc",    "run",      "sys", "tmp",          "usr",  "usr/lib",         "usr/lib/modules.conf",
        "var",  "var/tmp", "var/tmp/x"};
    CHECK(pack(opened).paths() == left);
    RootfsOptions keep = amd64();
    keep.kernel_files = KernelFiles::keep;
    const Words kept = pack(opened, keep).paths();
    for (const char* path :
         {"boot/vmlinuz", "efi/x", "lib/modules/6.1/x", "usr/lib/firmware/x", "vmlinuz", "initrd.img.old"})
        CHECK(std::count(kept.begin(), kept.end(), path) == 1);
    for (const char* path : {"proc/1", "dev/null", "swap.img", "lost+found", "tmp/x"})
        CHECK(std::count(kept.begin(), kept.end(), path) == 0);
}

TEST_CASE("an image starts what the guest's kernel would, and stops systemd as it wants") {
    GuestInfo info;
    info.init = "systemd";
    const Json systemd = pack(test::MemoryFileSystem().file("sbin/init", "x"), amd64(), info).config()["config"];
    CHECK(systemd["Entrypoint"] == Json::array({"/sbin/init"}));
    CHECK(systemd["StopSignal"] == "SIGRTMIN+3");
    CHECK(systemd["Env"][1] == "container=oci");
    CHECK_FALSE(systemd.contains("Cmd"));
    info.init = "openrc";
    const Json openrc = pack(test::MemoryFileSystem().file("sbin/init", "x"), amd64(), info).config()["config"];
    CHECK(openrc["Entrypoint"] == Json::array({"/sbin/init"}));
    CHECK_FALSE(openrc.contains("StopSignal"));
    CHECK(openrc["Env"].size() == 1);
    const Json none = pack(test::MemoryFileSystem().file("bin/sh", "x")).config()["config"];
    CHECK(none["Cmd"] == Json::array({"/bin/sh"}));
    CHECK_FALSE(none.contains("Entrypoint"));
}

TEST_CASE("the search path is the guest's own, where one is said that can be carried") {
    constexpr const char* kDefault = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    struct Row {
        const char* environment;
        const char* login_defs;
        const char* path;
    };
    for (const Row& row : {Row{"PATH=\"/usr/bin:/bin\"\n", "", "PATH=/usr/bin:/bin"},
                           {"# PATH=/no\nLANG=C\nPATH='/a:/b' \r\n", "ENV_SUPATH PATH=/c\n", "PATH=/a:/b"},
                           {"", "#ENV_SUPATH PATH=/no\nENV_SUPATH\tPATH=/sbin:/bin\n", "PATH=/sbin:/bin"},
                           {"PATH=\n", "ENV_PATH PATH=/no\n", kDefault},
                           {"PATH=/a\x1b[31m\n", "", kDefault},
                           {"PATH=/first\nPATH=/second", "", "PATH=/first"},
                           {"", "", kDefault}}) {
        CAPTURE(row.environment, row.login_defs);
        test::MemoryFileSystem files;
        files.file("etc/environment", row.environment).file("etc/login.defs", row.login_defs);
        CHECK(pack(std::move(files)).config()["config"]["Env"][0] == row.path);
    }
}

TEST_CASE("an image says what it was made of, and what users say wins") {
    GuestInfo info;
    info.os.product = "Debian GNU/Linux 12";
    info.os.architecture = "arm64";
    RootfsOptions options;
    options.image.created = 3600;
    options.image.labels["org.vm2oci.guest.product"] = "ours";
    options.image.annotations["org.opencontainers.image.title"] = "our title";
    options.image.environment = {"PATH=/opt/bin", "A=b", "A=c", "PATHS=/x"};
    const Packed packed = pack(test::MemoryFileSystem().file("etc/x", ""), options, info);
    const Json config = packed.config();
    CHECK(config["architecture"] == "arm64");
    CHECK(config["os"] == "linux");
    CHECK(config["created"] == "1970-01-01T01:00:00Z");
    CHECK(config["config"]["Env"] == Json::array({"PATH=/opt/bin", "A=c", "PATHS=/x"}));
    CHECK(config["config"]["Labels"]["org.vm2oci.guest.product"] == "ours");
    CHECK(config["config"]["Labels"]["org.vm2oci.guest.architecture"] == "arm64");
    CHECK(config["history"].size() == 1);
    CHECK(config["history"][0]["created_by"] == "vm2oci convert --as rootfs");
    CHECK(config["rootfs"]["diff_ids"].size() == 1);
    const Json annotations = packed.manifest()["annotations"];
    CHECK(annotations["org.opencontainers.image.title"] == "our title");
    CHECK(annotations["org.opencontainers.image.created"] == "1970-01-01T01:00:00Z");
    CHECK(annotations["org.vm2oci.guest.product"] == "Debian GNU/Linux 12");
    options.image.annotations.clear();
    CHECK(pack(test::MemoryFileSystem(), options, info).manifest()["annotations"]["org.opencontainers.image.title"] ==
          "Debian GNU/Linux 12");
    CHECK(pack(test::MemoryFileSystem()).manifest()["annotations"]["org.opencontainers.image.title"] ==
          "root file system");
    CHECK(refusal_of([] { pack(test::MemoryFileSystem(), RootfsOptions()); }) ==
          "the guest's architecture is not known");
}

TEST_CASE("without a guest, or without a part of it, there is no image, and the reason is told") {
    OpenedGuest none;
    none.reason = "nothing was found\n";
    CHECK(refusal_of([&] { pack(none); }) == "there is no guest to package: nothing was found\\x0a");
    none.remarks = {"a disk is missing", "another"};
    CHECK(refusal_of([&] { pack(none); }) ==
          "there is no guest to package: nothing was found\\x0a (a disk is missing)");
    OpenedGuest part = opened_of(test::MemoryFileSystem().file("etc/x", ""));
    part.missing = {{"/srv", "UUID=1", "it is not there", MountNeed::optional}};
    CHECK(pack(part).image.remarks ==
          Words{"what the guest mounts on '/srv' from 'UUID=1' is not in the image: it is not there"});
    part.missing.push_back({"/var", "UUID=2", "it is encrypted", MountNeed::required});
    CHECK(refusal_of([&] { pack(part); }) == "'/var' of the guest, on 'UUID=2', cannot be read: it is encrypted");
}

TEST_CASE("what a tar cannot or should not hold is counted, with an example") {
    test::MemoryFileSystem files;
    files.special("var/a.sock", FileType::socket).special("var/b.sock", FileType::socket);
    files.special("var/device", FileType::block_device).file("bin/su", "x").permissions("bin/su", 04755);
    OpenedGuest opened = opened_of(std::move(files));
    opened.remarks = {"remark\x1b"};
    const Words remarks = pack(opened).image.remarks;
    REQUIRE(remarks.size() == 4);
    CHECK(remarks[0] == "2 sockets were left out, such as 'var/a.sock'");
    CHECK(remarks[1] == "1 device nodes were left out, such as 'var/device'");
    CHECK(remarks[2] == "1 files run with another user's or group's rights, such as 'bin/su'");
    CHECK(remarks[3] == "remark\\x1b");
}

TEST_CASE("split layers: the packages' files, what lies beside them, and the machine's own") {
    test::MemoryFileSystem files;
    files.file("var/lib/dpkg/status", "s")
        .file("var/lib/dpkg/info/a.list", "/.\n/bin\n/bin/tool\n/etc\n/etc/a.conf\n/usr/bin/linked\n");
    files.file("var/lib/dpkg/info/a.conffiles", "/etc/a.conf\n").symlink("bin", "usr/bin").file("usr/bin/tool", "t");
    files.file("usr/bin/linked", "l")
        .hard_link("home/linked", "usr/bin/linked")
        .file("usr/lib/x.pyc", "p")
        .file("usr/local/own", "o");
    files.file("var/cache/c", "c")
        .file("var/lib/apt/x", "a")
        .file("etc/a.conf", "e")
        .file("etc/hostname", "h")
        .file("var/log/l", "l");
    RootfsOptions options = amd64();
    options.layers = RootfsLayers::split;
    options.image.created = 60;
    options.added = {{"boot/vmlinuz", "kernel"}, {"boot/initrd", "initrd"}};
    const Packed packed = pack(std::move(files), options);
    REQUIRE(packed.image.layers.size() == 4);
    // A file is in the layer of the first of its names.
    const Words all[] = {packed.paths(0), packed.paths(1), packed.paths(2), packed.paths(3)};
    const auto layer_of = [&](const std::string& path) {
        Words found;
        for (std::size_t i = 0; i < 4; ++i)
            if (std::count(all[i].begin(), all[i].end(), path) != 0)
                found.push_back(std::to_string(i));
        std::string joined;
        for (const std::string& each : found)
            joined += each;
        return joined;
    };
    CHECK(layer_of("usr/bin/tool") == "0");
    CHECK(layer_of("usr/lib/x.pyc") == "1");
    CHECK(layer_of("var/cache/c") == "1");
    CHECK(layer_of("var/lib/apt/x") == "1");
    CHECK(layer_of("var/lib/dpkg/status") == "1");
    CHECK(layer_of("usr/local/own") == "2");
    CHECK(layer_of("etc/a.conf") == "2");
    CHECK(layer_of("etc/hostname") == "2");
    CHECK(layer_of("var/log/l") == "2");
    CHECK(layer_of("usr/bin/linked") == layer_of("home/linked"));
    CHECK(layer_of("usr") == "012"); // folders stand below only to hold files
    CHECK(layer_of("var/log") == "2");
    CHECK(layer_of("etc") == "2");
    CHECK(all[3] == Words{"boot", "boot/vmlinuz", "boot/initrd"});
    CHECK(packed.config()["rootfs"]["diff_ids"].size() == 4);
    CHECK(packed.config()["history"].size() == 4);
    CHECK(refusal_of([&] { pack(test::MemoryFileSystem().folder("var/lib/pacman/local"), options); }) ==
          "layers can be split for dpkg, rpm and apk only");
}

TEST_CASE("files of dpkg's packages are told by where they lie, and configuration is not among them") {
    test::MemoryGuest guest;
    guest.symlink("/bin", "usr/bin").symlink("/lib", "/usr/lib").file("/usr/bin/x", "");
    guest.file("/var/lib/dpkg/info/a.list", "/.\n/bin/ls\n/lib/x.so\n/usr/bin/env\n/etc/a.conf\n/etc/b.conf\n/bin");
    guest.file("/var/lib/dpkg/info/a:amd64.list", "/opt/tool\n")
        .file("/var/lib/dpkg/info/a.listing", "/no\n")
        .file("/var/lib/dpkg/info/.list", "/nor\n");
    guest.file("/var/lib/dpkg/info/a.conffiles", "/etc/a.conf\nremove-on-upgrade /etc/b.conf\nnothing\n");
    const PackageFiles files = read_package_files(guest);
    CHECK(contained(files, {"usr/bin/ls", "usr/lib/x.so", "usr/bin/env", "etc/a.conf", "etc/b.conf", "opt/tool", "no",
                            "nor", "bin/ls", "/usr/bin/env"}) ==
          Words{"usr/bin/ls", "usr/lib/x.so", "usr/bin/env", "opt/tool"});
    CHECK_FALSE(files.empty());
}

TEST_CASE("files of apk's packages are those that are no configuration") {
    const std::string text = "P:a\nF:bin\nR:busybox\nF:etc\nR:passwd\nF:etc/"
                             "init.d\nR:boot\nF:etcetera\nR:x\nF:\nR:.top\nF:lib\nZ:R:no\nR:ld.so\n";
    for (const char* path : {"/lib/apk/db/installed", "/usr/lib/apk/db/installed"}) {
        test::MemoryGuest guest;
        guest.file(path, text);
        CHECK(contained(read_package_files(guest), {"bin/busybox", "etc/passwd", "etc/init.d/boot", "etcetera/x",
                                                    ".top", "lib/ld.so", "lib/no"}) ==
              Words{"bin/busybox", "etcetera/x", ".top", "lib/ld.so"});
    }
}
