#include "libconvert/guest/mounted_guest.hpp"
#include "libconvert/guest/selinux_config.hpp"
#include "libconvert/inspect/guest_info.hpp"
#include "libconvert/inspect/initrd.hpp"
#include "libconvert/inspect/parts.hpp"
#include "tests/support/memory_file_system.hpp"
#include "tests/support/packed.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>

using namespace vm2oci;
using test::gzip;
using test::xz;
using test::zstd;

namespace {

GuestInfo inspect_tree(test::MemoryFileSystem root, LargeFiles large_files = LargeFiles::read) {
    OpenedGuest opened;
    opened.guest = std::make_unique<MountedGuest>(std::vector<MountedFileSystem>{
        {{"/", "", "", "", "", std::nullopt}, std::make_shared<test::MemoryFileSystem>(std::move(root))}});
    return inspect_guest(opened, {}, large_files);
}

// A guest that knows which of its paths were asked for.
class AskedGuest final : public Guest {
  public:
    AskedGuest(test::MemoryFileSystem root, std::vector<std::string>& asked)
        : guest_(std::vector<MountedFileSystem>{
              {{"/", "", "", "", "", std::nullopt}, std::make_shared<test::MemoryFileSystem>(std::move(root))}}),
          asked_(asked) {}
    std::optional<FileStatus> status(std::string_view path, FinalLink final_link) const override {
        return guest_.status(note(path), final_link);
    }
    std::optional<std::vector<std::string>> list(std::string_view path) const override {
        return guest_.list(note(path));
    }
    std::optional<std::string> read_file(std::string_view path, std::size_t limit) const override {
        return guest_.read_file(note(path), limit);
    }
    std::optional<std::string> read_range(std::string_view path, std::uint64_t offset,
                                          std::size_t length) const override {
        return guest_.read_range(note(path), offset, length);
    }
    std::optional<std::string> read_link(std::string_view path) const override { return guest_.read_link(note(path)); }
    std::vector<ExtendedAttribute> attributes(std::string_view path) const override {
        return guest_.attributes(note(path));
    }
    void export_tree(const ExportOptions&, TreeSink&, const OperationContext&) const override {}
    std::vector<GuestMount> mounts() const override { return guest_.mounts(); }

  private:
    std::string_view note(std::string_view path) const {
        asked_.emplace_back(path);
        return path;
    }
    MountedGuest guest_;
    std::vector<std::string>& asked_;
};

// How many of the paths that an inspection asks for begin with `prefix`.
std::size_t asked_below(const std::string& prefix, test::MemoryFileSystem root, LargeFiles large_files) {
    std::vector<std::string> asked;
    OpenedGuest opened;
    opened.guest = std::make_unique<AskedGuest>(std::move(root), asked);
    inspect_guest(opened, {}, large_files);
    return static_cast<std::size_t>(std::count_if(asked.begin(), asked.end(), [&](const std::string& path) {
        return path.compare(0, prefix.size(), prefix) == 0;
    }));
}

std::string cpio_entry(const std::string& name, const std::string& content) {
    std::string entry = "070701";
    for (const std::size_t field : {std::size_t{1}, std::size_t{0100644}, std::size_t{0}, std::size_t{0},
                                    std::size_t{1}, std::size_t{0}, content.size(), std::size_t{0}, std::size_t{0},
                                    std::size_t{0}, std::size_t{0}, name.size() + 1, std::size_t{0}})
        entry += fmt::format("{:08x}", field);
    entry += name + '\0';
    entry.resize((entry.size() + 3) / 4 * 4);
    entry += content;
    entry.resize((entry.size() + 3) / 4 * 4);
    return entry;
}

std::string cpio(const std::vector<std::string>& names) {
    std::string archive;
    for (const std::string& name : names)
        archive += cpio_entry(name, "content of " + name);
    archive += cpio_entry("TRAILER!!!", "");
    archive.resize((archive.size() + 511) / 512 * 512);
    return archive;
}

// The kernel's form of lz4, one block of one sequence: all of it literals.
std::string lz4(std::string_view text) {
    std::string block(1, '\xf0');
    std::size_t rest = text.size() - 15;
    for (; rest >= 255; rest -= 255)
        block += '\xff';
    block += static_cast<char>(rest);
    block += text;
    std::string size;
    for (unsigned shift = 0; shift < 32; shift += 8)
        size += static_cast<char>(block.size() >> shift);
    return "\x02\x21\x4c\x18" + size + block;
}

DriverPlace place_of(const KernelInfo& kernel, const std::string& name) {
    for (const DriverInfo& driver : kernel.drivers)
        if (driver.name == name)
            return driver.place;
    return DriverPlace::missing;
}

} // namespace

TEST_CASE("an initrd is read through microcode in front and an archive behind") {
    const std::string blk = "usr/lib/modules/6.1/kernel/drivers/block/virtio_blk.ko.xz";
    const std::string pci = "lib/modules/6.1/kernel/drivers/virtio/virtio_pci.ko";
    test::MemoryFileSystem root;
    root.file("initrd", cpio({"kernel/x86/microcode/AuthenticAMD.bin"}) + zstd(cpio({blk, "init"})) +
                            std::string(3, '\0') + cpio({pci}));
    root.file("cut", zstd(cpio({blk})).substr(0, 40)).file("other", "what is this").file("nothing", "");
    const MountedGuest guest(
        {{{"/", "", "", "", "", std::nullopt}, std::make_shared<test::MemoryFileSystem>(std::move(root))}});
    const inspect::InitrdFindings found = inspect::read_initrd(guest, "/initrd", {});
    CHECK(found.problem.empty());
    CHECK(found.compression == "zstd");
    CHECK(found.files == 4);
    CHECK(found.modules == std::vector<std::string>{blk, pci});
    CHECK_FALSE(inspect::read_initrd(guest, "/cut", {}).problem.empty());
    CHECK_FALSE(inspect::read_initrd(guest, "/other", {}).problem.empty());
    CHECK(inspect::read_initrd(guest, "/nothing", {}).problem.empty());
}

TEST_CASE("every compression of initrds is read, in pieces, twice in a row, and its damage told") {
    struct Packer {
        const char* name;
        std::string (*pack)(std::string_view);
    };
    // More than one buffer's worth of names that do not compress away.
    std::vector<std::string> names;
    for (unsigned i = 0; i < 9000; ++i)
        names.push_back(fmt::format("lib/modules/6.1/kernel/{:08x}.ko", i * 2654435761u));
    const std::string content = cpio(names);
    for (const Packer& packer : {Packer{"gzip", gzip}, {"xz", xz}, {"zstd", zstd}, {"lz4", lz4}}) {
        INFO(packer.name);
        const std::string packed = packer.pack(content);
        const bool ends_by_itself = std::string(packer.name) != "lz4";
        test::MemoryFileSystem root;
        root.file("initrd", packed).file("cut", packed.substr(0, packed.size() / 2));
        root.file("twice", packed + std::string(ends_by_itself ? 8 : 0, '\0') + (ends_by_itself ? packed : ""));
        std::string damaged = packed;
        damaged.replace(packed.size() / 3, 64, std::string(64, '\x55'));
        root.file("damaged", damaged);
        const MountedGuest guest(
            {{{"/", "", "", "", "", std::nullopt}, std::make_shared<test::MemoryFileSystem>(std::move(root))}});
        const inspect::InitrdFindings found = inspect::read_initrd(guest, "/initrd", {});
        CHECK(found.problem.empty());
        CHECK(found.compression == packer.name);
        CHECK(found.modules == names);
        const inspect::InitrdFindings twice = inspect::read_initrd(guest, "/twice", {});
        CHECK(twice.problem.empty());
        CHECK(twice.files == (ends_by_itself ? 2 : 1) * names.size());
        CHECK_FALSE(inspect::read_initrd(guest, "/cut", {}).problem.empty());
        if (ends_by_itself && std::string(packer.name) != "zstd") // what has a checksum
            CHECK_FALSE(inspect::read_initrd(guest, "/damaged", {}).problem.empty());
    }
}

TEST_CASE("a kernel boots on virtio if its drivers are built in or in the initrd") {
    test::MemoryFileSystem root;
    root.file("boot/vmlinuz-6.1.0-9-amd64", "MZ").file("boot/vmlinuz-6.1.0-10-amd64", "MZ");
    for (const char* version : {"6.1.0-9-amd64", "6.1.0-10-amd64"}) {
        const std::string folder = std::string("lib/modules/") + version;
        root.file(folder + "/modules.builtin",
                  "kernel/drivers/virtio/virtio.ko\nkernel/drivers/virtio/virtio-ring.ko\n");
        root.file(folder + "/modules.dep",
                  "kernel/drivers/net/virtio_net.ko: kernel/net/core/failover.ko\n"
                  "kernel/drivers/block/virtio_blk.ko:\nkernel/drivers/virtio/virtio_pci.ko:\n");
    }
    root.file("boot/initrd.img-6.1.0-10-amd64", zstd(cpio({"lib/modules/6.1.0-10-amd64/kernel/virtio_blk.ko",
                                                           "lib/modules/6.1.0-10-amd64/kernel/virtio_pci.ko"})));
    root.file("boot/initrd.img-6.1.0-9-amd64", cpio({"init"}));
    const GuestInfo info = inspect_tree(std::move(root));
    REQUIRE(info.kernels.size() == 2);
    CHECK(info.kernels[0].version == "6.1.0-10-amd64"); // numbers, not letters
    CHECK(info.kernels[0].boots_on_virtio == true);
    CHECK(place_of(info.kernels[0], "virtio_ring") == DriverPlace::builtin);
    CHECK(place_of(info.kernels[0], "virtio_blk") == DriverPlace::initrd);
    CHECK(place_of(info.kernels[0], "virtio_net") == DriverPlace::disk);
    CHECK(place_of(info.kernels[0], "virtio_scsi") == DriverPlace::missing);
    CHECK(info.kernels[1].boots_on_virtio == false);
}

TEST_CASE("what is not read is not guessed") {
    test::MemoryFileSystem root;
    root.file("boot/vmlinuz-6.1", "MZ").file("boot/initrd.img-6.1", cpio({"init"}));
    root.file("lib/modules/6.1/modules.builtin", "kernel/drivers/virtio/virtio.ko\n");
    root.file("lib/modules/6.1/modules.dep", "kernel/drivers/block/virtio_blk.ko:\n");
    root.file("lib64/ld-linux-x86-64.so.2", "not looked at");
    const GuestInfo info = inspect_tree(std::move(root), LargeFiles::leave);
    REQUIRE(info.kernels.size() == 1);
    CHECK_FALSE(info.kernels[0].boots_on_virtio.has_value());
    CHECK(place_of(info.kernels[0], "virtio") == DriverPlace::builtin);
    CHECK(place_of(info.kernels[0], "virtio_blk") == DriverPlace::unknown);
    CHECK_FALSE(info.kernels[0].initrd->problem.empty());
    CHECK(info.os.architecture == "amd64");
}

TEST_CASE("distributions are recognised by their files") {
    struct Row {
        const char* path;
        const char* text;
        const char* distribution;
        const char* family;
        const char* version;
    };
    const Row rows[] = {
        {"etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian\"\n", "debian", "debian", "12"},
        {"etc/os-release", "ID=ubuntu\nID_LIKE=debian\nVERSION_ID='22.04'\n", "ubuntu", "debian", "22.04"},
        {"usr/lib/os-release", "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.3\"\n", "rocky", "redhat",
         "9.3"},
        {"etc/os-release", "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\nVERSION_ID=15.5\n", "opensuse-leap",
         "suse", "15.5"},
        {"etc/os-release", "ID=alpine\nVERSION_ID=3.19.0\n", "alpine", "alpine", "3.19.0"},
        {"etc/os-release", "ID=arch\n", "arch", "arch", ""},
        {"etc/os-release", "ID=newone\nID_LIKE=fedora\n", "newone", "redhat", ""},
        {"etc/redhat-release", "CentOS release 6.10 (Final)\n", "centos", "redhat", "6.10"},
        {"etc/lsb-release",
         "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.04\nDISTRIB_CODENAME=lucid\nDISTRIB_DESCRIPTION=\"Ubuntu 10.04.4 "
         "LTS\"\n",
         "ubuntu", "debian", "10.04"},
        {"etc/lsb-release", "DISTRIB_ID=LinuxMint\nDISTRIB_RELEASE=11\n", "linuxmint", "debian", "11"},
        {"etc/gentoo-release", "Gentoo Base System release 1.12.14\n", "gentoo", "gentoo", "1.12.14"},
        {"etc/SuSE-release", "SUSE Linux Enterprise Server 11 (x86_64)\n", "suse", "suse", "11"},
    };
    for (const Row& row : rows) {
        INFO(row.text);
        const GuestInfo info = inspect_tree(test::MemoryFileSystem().file(row.path, row.text).file("etc/passwd", ""));
        CHECK(info.os.distribution == row.distribution);
        CHECK(info.os.family == row.family);
        CHECK(info.os.version == row.version);
    }
    CHECK(inspect_tree(test::MemoryFileSystem()).os.type == "unknown");
    // Red Hat's lsb-release tells nothing, and os-release goes first.
    test::MemoryFileSystem both;
    both.file("etc/lsb-release", "LSB_VERSION=base-4.0-amd64\n")
        .file("etc/redhat-release", "CentOS release 6.9 (Final)\n");
    CHECK(inspect_tree(std::move(both)).os.distribution == "centos");
    test::MemoryFileSystem newer;
    newer.file("etc/lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=99\n")
        .file("etc/os-release", "ID=pop\nVERSION_ID=22.04\n");
    CHECK(inspect_tree(std::move(newer)).os.version == "22.04");
}

TEST_CASE("pinned networks and clouds are found") {
    test::MemoryFileSystem root;
    root.file(
        "etc/netplan/50-cloud-init.yaml",
        "network:\n  version: 2\n  ethernets:\n    ens192:\n      match:\n        macaddress: '00:50:56:AA:BB:CC'\n"
        "      addresses:\n      - 10.0.0.5/24\n    ens224:\n      dhcp4: true\n  bonds:\n    bond0: {}\n");
    root.file("etc/network/interfaces",
              "auto lo\niface lo inet loopback\nallow-hotplug ens192\niface ens192 inet static\n");
    root.file("etc/sysconfig/network-scripts/ifcfg-eth0",
              "DEVICE=eth0\nHWADDR=\"52:54:00:11:22:33\"\nBOOTPROTO=none\n");
    root.file("etc/udev/rules.d/70-persistent-net.rules",
              "# x\nSUBSYSTEM==\"net\", ATTR{address}==\"00:0C:29:00:00:01\", NAME=\"eth7\"\n");
    root.file("usr/bin/cloud-init", "").file("etc/cloud/cloud.cfg", "datasource_list: [ VMware, None ]\n");
    root.file("etc/cloud/cloud.cfg.d/99-disable-network-config.cfg", "network: {config: disabled}\n");
    root.file("var/lib/cloud/instances/i-123/obj.pkl", "");
    const GuestInfo info = inspect_tree(std::move(root));
    REQUIRE(info.network.size() == 5);
    CHECK(info.network[0].name == "ens192");
    CHECK(info.network[0].mac == "00:50:56:aa:bb:cc");
    CHECK(info.network[0].method == "static");
    CHECK(info.network[1].name == "ens224");
    CHECK(info.network[1].method == "dhcp");
    CHECK(info.network[2].stack == "ifupdown");
    CHECK(info.network[3].mac == "52:54:00:11:22:33");
    CHECK(info.network[4].name == "eth7");
    CHECK(info.cloud_init.installed);
    CHECK(info.cloud_init.network_disabled);
    CHECK(info.cloud_init.datasources == std::vector<std::string>{"VMware", "None"});
    CHECK(info.cloud_init.instances == std::vector<std::string>{"i-123"});
}

TEST_CASE("identity, users, packages and agents are told") {
    test::MemoryFileSystem root;
    root.file("etc/machine-id", "").file("etc/ssh/ssh_host_rsa_key", "x").file("etc/ssh/ssh_host_rsa_key.pub", "x");
    root.file("etc/passwd",
              "root:x:0:0::/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\nann:x:1000:1000::/home/ann:/bin/sh\n");
    root.file("etc/shadow", "root:*:1:::::\nann:$6$salt$hash:1:::::\n");
    root.file("home/ann/.ssh/authorized_keys", "# mine\nssh-ed25519 AAAA ann\n");
    root.file("var/lib/dpkg/status",
              "Package: a\nStatus: install ok installed\n\nPackage: b\nStatus: deinstall ok config-files\n");
    root.file("usr/bin/vmtoolsd", "").symlink("etc/systemd/system/multi-user.target.wants/open-vm-tools.service", "/x");
    root.file("etc/rc2.d/S01open-vm-tools", "").file("etc/rc2.d/S02old", "").file("etc/rc2.d/K01off", "");
    root.file("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n");
    const GuestInfo info = inspect_tree(std::move(root));
    CHECK(info.machine_id == "empty");
    CHECK(info.host_keys == std::vector<std::string>{"ssh_host_rsa_key"});
    REQUIRE(info.users.size() == 2);
    CHECK_FALSE(info.users[0].has_password);
    CHECK(info.users[1].has_password);
    CHECK(info.users[1].authorized_keys == 1);
    CHECK(info.packages.count == 1u);
    REQUIRE(info.agents.size() == 1);
    CHECK(info.agents[0].name == "open-vm-tools");
    CHECK(info.agents[0].enabled);
    CHECK(info.enabled_services == std::vector<std::string>{"old", "open-vm-tools.service"});
    CHECK(info.selinux == "enforcing");
}

TEST_CASE("SELinux' mode is read as libselinux reads it") {
    CHECK(selinux_mode_of("# SELINUX=permissive\nSELINUX=Enforcing\n") == "enforcing");
    CHECK(selinux_mode_of("SELINUXTYPE=mls\nSELINUX=permissive # until Friday\n") == "permissive");
    CHECK(selinux_mode_of("SELINUX=\t PERMISSIVEly\r\n") == "permissive");
    CHECK(selinux_mode_of("SELINUX=disabled\nSELINUX=enforcing") == "disabled");
    CHECK(selinux_mode_of("SELINUX=maybe\n SELINUX = 'enforcing'") == "enforcing");
    CHECK(selinux_mode_of("#SELINUX=enforcing\nSELINUXTYPE=targeted\n").empty());
    CHECK(selinux_mode_of("").empty());
    test::MemoryFileSystem root;
    root.file("etc/selinux/config", "SELINUX=ENFORCING\t# since 2019\n");
    CHECK(inspect_tree(std::move(root)).selinux == "enforcing");
}

TEST_CASE("our own agent is known, and systemd's version by its library") {
    test::MemoryFileSystem root;
    root.file("usr/local/sbin/vm2oci-agent", "").file("etc/udev/rules.d/60-vm2oci-agent.rules", "x");
    root.file("usr/lib/systemd/systemd", "").file("usr/lib/systemd/libsystemd-core-255.4-1.fc40.so", "");
    root.symlink("sbin/init", "../usr/lib/systemd/systemd");
    const GuestInfo info = inspect_tree(std::move(root));
    REQUIRE(info.agents.size() == 1);
    CHECK(info.agents[0].name == "vm2oci-agent");
    CHECK(info.agents[0].enabled);
    CHECK(info.init == "systemd");
    CHECK(info.init_version == "255");
}

TEST_CASE("what nobody asks for is not looked for from far away") {
    const std::string libraries = "/usr/lib/x86_64-linux-gnu/systemd";
    test::MemoryFileSystem root;
    root.symlink("sbin/init", "/lib/systemd/systemd").file("lib/systemd/systemd", "");
    root.file("usr/lib/x86_64-linux-gnu/systemd/libsystemd-core-252.so", "");
    CHECK(asked_below(libraries, root, LargeFiles::read) == 1);
    CHECK(asked_below(libraries, root, LargeFiles::leave) == 0);
}

TEST_CASE("a package's network files are read where the machine's own do not decide") {
    const std::string packages = "/usr/lib/systemd/network";
    test::MemoryFileSystem root;
    root.file("usr/lib/systemd/network/80-ec2.network", "[Match]\nDriver=ena\n[Network]\nDHCP=yes\n");
    root.file("usr/lib/systemd/network/80-wifi.network", "[Match]\nType=wlan\nName=wl*\n");
    root.file("etc/systemd/network/10-disk.network", "[Match]\nMACAddress=00:50:56:aa:bb:cc\n");
    CHECK(asked_below(packages, root, LargeFiles::leave) == 3);
    const std::vector<NetworkInterface> found = inspect_tree(root).network;
    REQUIRE(found.size() == 2);
    CHECK(found[1].file == "/usr/lib/systemd/network/80-ec2.network");
    root.file("etc/systemd/network/20-any.network", "[Match]\nName=e*\n[Network]\nDHCP=yes\n");
    CHECK(asked_below(packages, root, LargeFiles::leave) == 0);
    CHECK(inspect_tree(root).network.size() == 2);
    // One of a package that is for any card ends it, too.
    test::MemoryFileSystem other;
    other.file("usr/lib/systemd/network/80-ec2.network", "[Match]\nDriver=ena\n[Network]\nDHCP=yes\n");
    other.file("usr/lib/systemd/network/90-all.network", "[Match]\nName=*\n[Network]\nDHCP=yes\n");
    CHECK(inspect_tree(other).network.empty());
}

TEST_CASE("what stands beside a kernel is none") {
    test::MemoryFileSystem root;
    for (const char* name : {"vmlinuz-4.12.14-lp150.12.25-default", "vmlinux-4.12.14-lp150.12.25-default.gz",
                             "vmlinux-5.3.18-24-default.xz", "vmlinuz-4.4.0-1-amd64", "vmlinux-4.4.0-1-amd64",
                             "vmlinuz-4.4.0-1-amd64.dpkg-bak", "vmlinuz-3.10.0.x86_64.hmac", "Image-6.4.0-default",
                             "vmlinux-6.4.0-default", "vmlinux-2.6.9-only", "vmlinuz-9.9.9.old", "kernel.sig"})
        root.file(std::string("boot/") + name, "x");
    std::vector<std::string> names;
    for (const KernelInfo& kernel : inspect_tree(std::move(root)).kernels)
        names.push_back(kernel.path.substr(6));
    CHECK(names == std::vector<std::string>{"Image-6.4.0-default", "vmlinuz-4.12.14-lp150.12.25-default",
                                            "vmlinuz-4.4.0-1-amd64", "vmlinux-2.6.9-only"});
}
