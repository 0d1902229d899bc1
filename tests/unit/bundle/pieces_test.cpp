// The small pieces of bundles: initramfs, VMMs' settings, proofs, Kata's agent, files in EROFS.
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/sha256.hpp"
#include "libconvert/bundle/kata_sandbox.hpp"
#include "libconvert/bundle/own_initramfs.hpp"
#include "libconvert/bundle/proven_root.hpp"
#include "libconvert/bundle/root_disk.hpp"
#include "libconvert/bundle/vmm_configuration.hpp"
#include "libconvert/guest/mounted_guest.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/support/memory_file_system.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/erofs/erofs_image.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fstream>
#include <map>

using namespace vm2oci;

namespace {

using Json = nlohmann::json;

// "path mode content" of every member of a plain newc archive, or several behind each other.
std::vector<std::string> members_of(const std::string& archive) {
    std::vector<std::string> all;
    for (std::size_t at = 0; at + 110 <= archive.size();) {
        REQUIRE(archive.substr(at, 6) == "070701");
        const auto field = [&](std::size_t index) {
            return static_cast<std::size_t>(std::stoul(archive.substr(at + 6 + index * 8, 8), nullptr, 16));
        };
        const std::size_t size = field(6);
        const std::size_t name_size = field(11);
        const std::string name = archive.substr(at + 110, name_size - 1);
        const std::size_t content_at = (at + 110 + name_size + 3) / 4 * 4;
        char mode[16];
        std::snprintf(mode, sizeof mode, "%o", static_cast<unsigned>(field(1)));
        all.push_back(name + " " + mode + " " + archive.substr(content_at, size));
        at = (content_at + size + 3) / 4 * 4;
    }
    return all;
}

std::string hex(std::span<const std::byte> bytes) {
    return to_hex(bytes);
}

// An ELF file of 64 bits with one program header: the interpreter's name, or none.
std::string program(unsigned machine, const std::string& interpreter) {
    std::string bytes(64 + 56, '\0');
    const auto put = [&](std::size_t at, std::uint64_t value, unsigned size) {
        for (unsigned i = 0; i < size; ++i)
            bytes.at(at + i) = static_cast<char>(value >> 8 * i);
    };
    bytes.replace(0, 4,
                  "\x7f"
                  "ELF");
    put(4, 2, 1);
    put(5, 1, 1);
    put(6, 1, 1);
    put(16, 2, 2);
    put(18, machine, 2);
    put(20, 1, 4);
    put(32, 64, 8); // e_phoff
    put(52, 64, 2);
    put(54, 56, 2);
    put(56, interpreter.empty() ? 0 : 1, 2);
    put(58, 64, 2);
    if (!interpreter.empty()) {
        put(64, 3, 4); // PT_INTERP
        put(64 + 8, bytes.size(), 8);
        put(64 + 32, interpreter.size() + 1, 8);
        put(64 + 40, interpreter.size() + 1, 8);
        bytes += interpreter + '\0';
    }
    return bytes;
}

} // namespace

TEST_CASE("our own initramfs has its init, the folders that it mounts on, and what lies beside") {
    const test::TemporaryFolder folder;
    const auto init = folder.path() / "init";
    std::ofstream(init, std::ios::binary) << "the program";
    const std::vector<std::string> plain = {"dev 40755 ",   "proc 40755 ", "root 40755 ",
                                            "run 40755 ",   "sys 40755 ",  "init 100755 the program",
                                            "TRAILER!!! 0 "};
    CHECK(members_of(make_own_initramfs(init)) == plain);
    std::vector<std::string> with = plain;
    with.insert(with.end() - 1, "settings.json 100644 {}");
    CHECK(members_of(make_own_initramfs(init, InitFile{"settings.json", "{}"})) == with);
    // A file for an archive that is there already comes in one of its own, which begins where the kernel looks for it.
    for (std::size_t extra = 0; extra < 4; ++extra) {
        const std::string odd = make_own_initramfs(init) + std::string(extra, '\0');
        const std::string joined = with_init_file(odd, {"settings.json", "{}"});
        const std::size_t begin = (odd.size() + 3) / 4 * 4;
        CHECK(members_of(joined.substr(begin)) == std::vector<std::string>{"settings.json 100644 {}", "TRAILER!!! 0 "});
        CHECK(joined.substr(0, odd.size()) == odd);
        CHECK(joined.substr(odd.size(), begin - odd.size()) == std::string(begin - odd.size(), '\0'));
    }
    CHECK_THROWS_AS(make_own_initramfs(folder.path() / "gone"), Error);
}

TEST_CASE("Firecracker and Cloud Hypervisor are told of kernel, disk, processors and memory") {
    VmmMachine machine;
    machine.command_line = "root=/dev/vda quiet -- single";
    machine.root = "rootfs.img";
    machine.processors = 3;
    machine.memory = 1536ull << 20;
    const Json fire = Json::parse(firecracker_configuration(machine));
    CHECK(fire == Json::parse(R"({"boot-source": {"kernel_image_path": "vmlinux",
        "boot_args": "root=/dev/vda quiet reboot=k panic=1 pci=off -- single"},
        "drives": [{"drive_id": "root", "path_on_host": "rootfs.img", "is_root_device": false, "is_read_only": false}],
        "machine-config": {"vcpu_count": 3, "mem_size_mib": 1536}})"));
    const Json cloud = Json::parse(cloud_hypervisor_configuration(machine));
    CHECK(cloud == Json::parse(R"({"cpus": {"boot_vcpus": 3, "max_vcpus": 3}, "memory": {"size": 1610612736},
        "payload": {"kernel": "vmlinux", "cmdline": "root=/dev/vda quiet -- single"},
        "disks": [{"path": "rootfs.img", "image_type": "Raw", "readonly": false}],
        "rng": {"src": "/dev/urandom"}, "serial": {"mode": "Tty"}, "console": {"mode": "Off"}})"));
    machine.initramfs = "initramfs";
    machine.root = "rootfs.erofs";
    machine.read_only_root = true;
    const Json fire_again = Json::parse(firecracker_configuration(machine));
    CHECK(fire_again["boot-source"]["initrd_path"] == "initramfs");
    CHECK(fire_again["drives"][0]["is_read_only"] == true);
    const Json cloud_again = Json::parse(cloud_hypervisor_configuration(machine));
    CHECK(cloud_again["payload"]["initramfs"] == "initramfs");
    CHECK(cloud_again["disks"][0]["readonly"] == true);
    CHECK(firecracker_configuration(machine).ends_with("}\n"));
    CHECK(cloud_hypervisor_configuration(machine).ends_with("}\n"));
}

TEST_CASE("a proven root of one block has the salted hash of that block") {
    auto root = std::make_shared<test::MemoryDevice>(4096);
    root->put(0, "the only block");
    const ProvenRoot proven = prove_root(root, "an-identity", {});
    const Sha256Sum salt = sha256(as_bytes("vm2oci verity salt an-identity"));
    std::string salted(as_text(salt));
    std::string block(4096, '\0');
    block.replace(0, 14, "the only block");
    CHECK(hex(proven.verity.salt) == hex(salt));
    CHECK(hex(proven.verity.hash) == hex(sha256(as_bytes(salted + block)))); // verity.rst: hash type 1, salt first
    CHECK(proven.verity.data_blocks == 1);
    CHECK(proven.superblock_at == 4096);
    CHECK(proven.verity.tree_block == 2);
    CHECK(proven.device->size() == 8192);
    // Another identity, another salt; the same, the same.
    CHECK(hex(prove_root(root, "an-identity", {}).verity.hash) == hex(proven.verity.hash));
    CHECK(hex(prove_root(root, "another", {}).verity.hash) != hex(proven.verity.hash));
}

TEST_CASE("a proven root is filled up to a whole block, and its tree lies behind the superblock or by itself") {
    auto root = std::make_shared<test::MemoryDevice>(3 * 4096 + 1);
    for (std::uint64_t i = 0; i < 4; ++i)
        root->put(i * 4096, std::string(1, static_cast<char>('a' + i)));
    const ProvenRoot proven = prove_root(root, "x", {});
    CHECK(proven.verity.data_blocks == 4);
    CHECK(proven.superblock_at == 4 * 4096);
    CHECK(proven.device->size() == 6 * 4096);
    std::string head(8, '\0');
    proven.device->read_at(proven.superblock_at, std::as_writable_bytes(std::span(head)));
    CHECK(head == std::string("verity\0\0", 8));
    std::string uuid(16, '\0');
    proven.device->read_at(proven.superblock_at + 16, std::as_writable_bytes(std::span(uuid)));
    CHECK((static_cast<unsigned char>(uuid[6]) >> 4) == 8); // RFC 9562
    CHECK((static_cast<unsigned char>(uuid[8]) >> 6) == 2);
    // The tree's one block: four salted hashes, zeros behind; its own hash is the root's.
    const std::string salt(as_text(proven.verity.salt));
    std::string tree;
    for (std::uint64_t i = 0; i < 4; ++i) {
        std::string block(4096, '\0');
        block[0] = static_cast<char>('a' + i);
        tree += as_text(sha256(as_bytes(salt + block)));
    }
    tree.resize(4096);
    std::string stored(4096, '\0');
    proven.device->read_at(5 * 4096, std::as_writable_bytes(std::span(stored)));
    CHECK((stored == tree));
    CHECK(hex(proven.verity.hash) == hex(sha256(as_bytes(salt + tree))));

    const ProvenPartitions apart = prove_partition(root, "x", {});
    CHECK(apart.root->size() == 4 * 4096);
    CHECK(apart.tree->size() == 4096);
    CHECK(apart.verity.tree_block == 0);
    CHECK(hex(apart.verity.hash) == hex(proven.verity.hash));
    apart.tree->read_at(0, std::as_writable_bytes(std::span(stored)));
    CHECK((stored == tree));
    CHECK(prove_partition(std::make_shared<test::MemoryDevice>(4096), "x", {}).tree->size() == 4096);
}

TEST_CASE("kernels and Kata are told of a proven root in their own words") {
    VerityRoot verity;
    verity.hash.fill(std::byte{0xab});
    verity.salt.fill(std::byte{0x01});
    verity.data_blocks = 70;
    verity.tree_block = 71;
    std::string hash;
    std::string salt;
    for (int i = 0; i < 32; ++i) {
        hash += "ab";
        salt += "01";
    }
    CHECK(verity_words(verity) ==
          std::vector<std::string>{
              "dm-mod.create=\"vm2oci-root,,,ro,0 560 verity 1 /dev/vda /dev/vda 4096 4096 70 71 sha256 " + hash + " " +
                  salt + " 1 panic_on_corruption\"",
              "root=/dev/dm-0"});
    CHECK(kata_verity_parameters(verity) ==
          "root_hash=" + hash + ",salt=" + salt + ",data_blocks=70,data_block_size=4096,hash_block_size=4096");
}

TEST_CASE("a sandbox has an agent, places to mount on, and with systemd what the runtime starts") {
    for (const SandboxInit init : {SandboxInit::systemd, SandboxInit::agent}) {
        std::map<std::string, SandboxFile> files;
        for (const SandboxFile& file : sandbox_files(init)) {
            CHECK(files.count(file.path) == 0);
            CHECK_FALSE(file.reason.empty());
            files[file.path] = file;
        }
        for (const char* folder : {"/proc", "/sys", "/dev", "/run"}) {
            CHECK(files.at(folder).kind == SandboxFile::Kind::folder);
            CHECK(files.at(folder).permissions == 0755);
        }
        CHECK(files.at("/tmp").permissions == 01777);
        CHECK(files.at("/etc/resolv.conf").kind == SandboxFile::Kind::mount_point);
        CHECK(files.at("/etc/machine-id").text.empty());
        const bool systemd = init == SandboxInit::systemd;
        CHECK(files.at(systemd ? "/usr/bin/kata-agent" : "/sbin/init").kind == SandboxFile::Kind::agent);
        CHECK(files.at(systemd ? "/usr/bin/kata-agent" : "/sbin/init").permissions == 0755);
        CHECK(files.count("/sbin/init") == (systemd ? 0 : 1));
        CHECK(files.count("/etc/systemd/system/kata-containers.target") == (systemd ? 1 : 0));
        if (!systemd)
            continue;
        CHECK(files.at("/etc/systemd/system/kata-agent.service").text.find("ExecStart=/usr/bin/kata-agent\n") !=
              std::string::npos);
        CHECK(files.at("/etc/systemd/system/kata-containers.target")
                  .text.find("Requires=basic.target kata-agent.service\n") != std::string::npos);
        for (const char* unit :
             {"systemd-udevd.service", "systemd-journald.socket", "systemd-tmpfiles-setup.service"}) {
            const SandboxFile& masked = files.at(std::string("/etc/systemd/system/") + unit);
            CHECK(masked.kind == SandboxFile::Kind::link);
            CHECK(masked.text == "/dev/null");
        }
    }
    const auto init_of = [](const std::string& there) {
        return sandbox_init_of([&](std::string_view path) { return path == there; });
    };
    CHECK(init_of("/usr/lib/systemd/systemd") == SandboxInit::systemd);
    CHECK(init_of("/lib/systemd/systemd") == SandboxInit::systemd);
    CHECK(init_of("/sbin/init") == SandboxInit::agent);
}

TEST_CASE("an agent that cannot run in the guest is refused with what it lacks") {
    const test::TemporaryFolder folder;
    const auto agent = folder.path() / "kata-agent";
    const auto refusal = [&](const std::string& bytes, std::string_view architecture,
                             const std::string& there) -> std::string {
        std::ofstream(agent, std::ios::binary) << bytes;
        try {
            refuse_unfit_agent(agent, architecture, [&](std::string_view path) { return path == there; });
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::unsupported);
            return std::string(error.what()).substr(agent.string().size());
        }
        return {};
    };
    constexpr unsigned kAmd64 = 62;
    constexpr unsigned kArm64 = 183;
    const std::string loader = "/lib64/ld-linux-x86-64.so.2";
    CHECK(refusal(program(kAmd64, ""), "amd64", "").empty());
    CHECK(refusal(program(kArm64, ""), "arm64", "").empty());
    CHECK(refusal(program(kArm64, ""), "amd64", "") == " is a program for another architecture than amd64");
    CHECK(refusal(program(kAmd64, ""), "arm64", "") == " is a program for another architecture than arm64");
    CHECK(refusal(program(kArm64, ""), "", "").empty());      // not known
    CHECK(refusal(program(kArm64, ""), "s390x", "").empty()); // not known here
    CHECK(refusal(program(kAmd64, loader), "amd64", loader).empty());
    CHECK(refusal(program(kAmd64, loader), "amd64", "/lib/ld-musl-x86_64.so.1") ==
          " is started by '" + loader + "', which this root does not have; take an agent that is linked statically");
    CHECK(refusal("#!/bin/sh\n", "amd64", "").empty());
    CHECK(refusal("", "amd64", "").empty());
}

TEST_CASE("a guest's files come into an EROFS with the name and the number of its root") {
    struct Row {
        const char* uuid;
        const char* stored; // null: made of a short one
    };
    for (const Row& row : {Row{"01234567-89ab-cdef-0123-456789ABCDEF", "0123456789abcdef0123456789abcdef"},
                           {"ABCD-1234", nullptr},
                           {"", nullptr}}) {
        CAPTURE(row.uuid);
        test::MemoryFileSystem files;
        files.file("etc/hostname", "a\n")
            .file("lost+found/piece", "x")
            .file("proc/left", "x")
            .file("big", std::string(9000, 'b'));
        files.symlink("link", "etc/hostname").permissions("etc/hostname", 0600);
        const MountedGuest guest({{{"/", "partition 1", "ext4", row.uuid, "a label", std::nullopt},
                                   std::make_shared<test::MemoryFileSystem>(std::move(files))}});
        ExportOptions left_out;
        left_out.emptied = {"/proc"};
        const RootFiles root = make_erofs_root(guest, left_out, 1234567, {});
        const test::ErofsImage image(*root.device);
        CHECK(root.attributes_left_out == 0);
        CHECK(image.blocks() * 4096 == root.device->size());
        CHECK(image.u64(1024 + 24) == 1234567);
        CHECK(image.text(1024 + 64, 16) == std::string("a label\0\0\0\0\0\0\0\0\0", 16));
        const std::string uuid = image.text(1024 + 48, 16);
        const Sha256Sum made = sha256(as_bytes("vm2oci root of " + std::string(row.uuid)));
        CHECK(hex(as_bytes(uuid)) ==
              (row.stored != nullptr ? std::string(row.stored) : hex(std::span(made).first(16))));
        CHECK(image.content(image.inode(image.find("big"))) == std::string(9000, 'b'));
        CHECK(image.content(image.inode(image.find("link"))) == "etc/hostname");
        CHECK(image.inode(image.find("etc/hostname")).mode == 0100600);
        std::vector<std::string> names;
        for (const test::ErofsName& name : image.names(image.inode(image.root())))
            names.push_back(name.name);
        CHECK(names == std::vector<std::string>{".", "..", "big", "etc", "link", "proc"});
        CHECK(image.names(image.inode(image.find("proc"))).size() == 2);
    }
}
