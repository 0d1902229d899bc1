// The page of a guest.
#include "formats/base/size.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/support/memory_guest.hpp"
#include "tests/unit/cli/page_rows.hpp"
#include "tools/vm2oci/guest_page.hpp"
#include "tools/vm2oci/page.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::cli;

namespace {

std::string page_of(const GuestFindings& findings) {
    Page page;
    describe_guest(page, findings);
    return page.text();
}

std::string row_of(const GuestFindings& findings, const std::string& name) {
    return test::row_of_page(page_of(findings), name);
}

// A Linux guest of which nothing more is known.
GuestFindings linux_guest() {
    GuestFindings findings;
    findings.opened.guest = std::make_unique<test::MemoryGuest>();
    findings.info.os.type = "linux";
    return findings;
}

Volume volume(const char* name, std::uint64_t size, std::optional<Signature> signature = std::nullopt) {
    Volume made;
    made.name = name;
    made.device = std::make_shared<test::MemoryDevice>(size);
    made.signature = std::move(signature);
    return made;
}

} // namespace

TEST_CASE("a disk whose division is refused has one line about its guest") {
    GuestFindings findings = linux_guest();
    findings.refusal = "its GPT overlaps itself";
    CHECK(page_of(findings) == "Guest\n  not read  its GPT overlaps itself\n");
}

TEST_CASE("a guest that was not read says why, what would read it, and what is known all the same") {
    GuestFindings findings;
    findings.opened.reason = "its root is bcachefs\x07";
    findings.opened.reason_hint = {HintKind::guest_backend, "libguestfs"};
    findings.opened.remarks = {"odd\x01"};
    const std::string page = page_of(findings);
    CHECK(page == "Partitions\n"
                  "  table     none\n"
                  "\n"
                  "Guest\n"
                  "  not read  its root is bcachefs\\x07; take --guest-backend libguestfs\n"
                  "  note      odd\\x01\n");
    findings.problems = std::vector<BootProblem>();
    CHECK(page_of(findings) == page);
    findings.problems->push_back({"", "it is encrypted"});
    CHECK(row_of(findings, "by hand") == "it is encrypted");
}

TEST_CASE("volumes are told with what lies in them and what their table calls them") {
    GuestFindings findings = linux_guest();
    DiskLayout& layout = findings.opened.layout;
    layout.table.kind = TableKind::gpt;
    layout.table.id = "1111-2222";
    Partition efi;
    efi.number = 1;
    efi.type_name = "EFI system";
    efi.name = "EFI \x1b";
    Partition unknown;
    unknown.number = 2;
    layout.table.partitions = {efi, unknown};
    layout.further_tables.resize(2);
    layout.further_tables[0].kind = TableKind::mbr;
    layout.further_tables[0].id = "deadbeef";
    layout.volumes.push_back(
        volume("partition 1", 512 * MiB, Signature{ContentKind::file_system, "vfat", "AB-CD", "ESP\n", ""}));
    layout.volumes[0].partition = 0;
    layout.volumes.push_back(
        volume("partition 2", 10 * GiB, Signature{ContentKind::encrypted, "crypto_LUKS", "u-1", "", "2"}));
    layout.volumes[1].partition = 1;
    layout.volumes.push_back(volume("logical volume vg/x", MiB));
    layout.remarks = {"the backup GPT is missing"};
    CHECK(row_of(findings, "table") == "gpt 1111-2222");
    CHECK(row_of(findings, "table of disk 2") == "mbr deadbeef");
    CHECK(row_of(findings, "table of disk 3") == "none");
    CHECK(row_of(findings, "partition 1") == "512 MiB, vfat 'ESP\\x0a' AB-CD, EFI system 'EFI \\x1b'");
    CHECK(row_of(findings, "partition 2") == "10 GiB, crypto_LUKS (encrypted) u-1");
    CHECK(row_of(findings, "logical volume vg/x") == "1 MiB, nothing that is known");
    CHECK(row_of(findings, "note") == "the backup GPT is missing");
}

TEST_CASE("mounts, those that are missing, and what fstab means on this disk") {
    GuestFindings findings = linux_guest();
    auto guest = std::make_unique<test::MemoryGuest>();
    GuestMount root;
    root.mount_point = "/";
    root.volume = "partition 2";
    root.type = "btrfs";
    root.subvolume = "@\x02";
    root.usage = FileSystemUsage{10 * GiB, 4 * GiB, 0, 0};
    GuestMount boot;
    boot.mount_point = "/boot";
    boot.volume = "partition 1";
    boot.type = "ext4";
    guest->mount(root).mount(boot);
    findings.opened.guest = std::move(guest);
    MissingMount lost;
    lost.mount_point = "/data";
    lost.device = "UUID=1";
    lost.reason = "no such volume";
    findings.opened.missing = {lost};
    CHECK(row_of(findings, "/") == "btrfs on partition 2, subvolume @\\x02, 4 GiB of 10 GiB free");
    CHECK(row_of(findings, "/boot") == "ext4 on partition 1");
    CHECK(row_of(findings, "/data") == "not read: no such volume (UUID=1)");
    CHECK(page_of(findings).find("\nfstab\n") == std::string::npos);
    findings.opened.layout.volumes.push_back(volume("partition 2", MiB));
    findings.opened.fstab = {{"UUID=2", "/", "btrfs", {}},
                             {"/dev/sdz9", "/srv", "xfs", {}},
                             {"LABEL=x", "/home", "ext4", {}},
                             {"tmpfs", "/tmp", "tmpfs", {}},
                             {"/dev/sda3", "none", "swap", {}}};
    findings.opened.fstab_volumes = {0, std::nullopt, std::nullopt, std::nullopt, std::nullopt};
    const std::string page = page_of(findings);
    const std::string rest = page.substr(page.find("\nfstab\n") + 1);
    const std::string fstab = rest.substr(0, rest.find("\n\n") + 1);
    for (const char* line :
         {"btrfs UUID=2 is partition 2\n", "xfs /dev/sdz9 is nothing on this disk\n",
          "ext4 LABEL=x is nothing on this disk\n", "tmpfs tmpfs\n", "swap /dev/sda3 is nothing on this disk\n"}) {
        CAPTURE(line);
        CHECK(fstab.find(line) != std::string::npos);
    }
    CHECK(fstab.find("none") == std::string::npos);
}

TEST_CASE("what a system is called depends on what it tells of itself") {
    GuestFindings findings = linux_guest();
    CHECK(row_of(findings, "product") == "an unknown linux");
    findings.info.os.distribution = "gentoo";
    CHECK(row_of(findings, "product") == "gentoo");
    findings.info.os.product = "Gentoo \x1b[1m";
    CHECK(row_of(findings, "product") == "Gentoo \\x1b[1m");
    CHECK(row_of(findings, "version").empty());
    CHECK(row_of(findings, "packages").empty());
    CHECK(row_of(findings, "host keys") == "none");
    CHECK(row_of(findings, "users") == "none can log in");
    CHECK(row_of(findings, "agents") == "none");
    findings.info.packages.manager = "rpm";
    findings.info.packages.problem = "its database is damaged";
    CHECK(row_of(findings, "packages") == "rpm: its database is damaged");
    findings.info.packages.count = 0;
    CHECK(row_of(findings, "packages") == "0 (rpm)");
    findings.info.host_keys = {"ssh_host_rsa_key", "ssh_host_\x7f"};
    CHECK(row_of(findings, "host keys") == "ssh_host_rsa_key, ssh_host_\\x7f");
    findings.info.users = {{"root", 0, true, 0}, {"a\nb", 1000, false, 2}};
    CHECK(row_of(findings, "users") == "root (password, no SSH key), a\\x0ab (no password, 2 SSH keys)");
    findings.info.agents = {{"qemu-ga", "/usr/bin/qemu-ga", true}, {"vmtoolsd", "/usr/bin/vmtoolsd", false}};
    CHECK(row_of(findings, "agents") == "qemu-ga, vmtoolsd (not enabled)");
    findings.info.enabled_services = {"sshd", "nginx"};
    findings.info.init = "systemd";
    findings.info.machine_id = "set";
    findings.info.selinux = "enforcing";
    findings.info.os.hostname = "web01";
    findings.info.os.architecture = "amd64";
    CHECK(row_of(findings, "services") == "sshd, nginx");
    CHECK(row_of(findings, "init") == "systemd");
    CHECK(row_of(findings, "machine-id") == "set");
    CHECK(row_of(findings, "SELinux") == "enforcing");
    CHECK(row_of(findings, "host name") == "web01");
    CHECK(row_of(findings, "architecture") == "amd64");
}

TEST_CASE("Windows has versions and editions, and neither users nor a network that is told") {
    GuestFindings findings = linux_guest();
    OsInfo& os = findings.info.os;
    os.type = "windows";
    os.product = "Windows Server 2019 Standard";
    os.edition = "ServerStandard";
    CHECK(row_of(findings, "version").empty());
    os.version = "10.0";
    CHECK(row_of(findings, "version") == "10.0");
    os.build = "17763.1234";
    CHECK(row_of(findings, "version") == "10.0 build 17763.1234");
    os.release = "1809";
    CHECK(row_of(findings, "version") == "10.0 build 17763.1234, 1809");
    CHECK(row_of(findings, "edition") == "ServerStandard");
    CHECK(row_of(findings, "agents") == "none");
    const std::string page = page_of(findings);
    for (const char* absent : {"host keys", "users", "Network and cloud-init", "cloud-init"})
        CHECK(page.find(absent) == std::string::npos);
    CHECK(page.find("\nBoot\n") != std::string::npos);
}

TEST_CASE("how a guest boots is told of each firmware and each kernel") {
    GuestFindings findings = linux_guest();
    BootInfo& boot = findings.info.boot;
    CHECK(row_of(findings, "firmware") == "no boot loader was found");
    CHECK(row_of(findings, "UEFI fallback").empty());
    CHECK(row_of(findings, "serial console") == "none");
    boot.bios = true;
    CHECK(row_of(findings, "firmware") == "BIOS");
    boot.uefi = true;
    CHECK(row_of(findings, "firmware") == "BIOS and UEFI");
    boot.bios = false;
    CHECK(row_of(findings, "firmware") == "UEFI");
    CHECK(row_of(findings, "UEFI fallback") == "missing: boots only where the firmware has an entry for it");
    boot.efi_fallback = "EFI/BOOT/BOOTX64.EFI";
    boot.efi_programs = {
        {"EFI/debian/shimx64.efi", true}, {"EFI/debian/grubx64.efi", false}, {"EFI/x\x01", std::nullopt}};
    CHECK(row_of(findings, "UEFI fallback") == "EFI/BOOT/BOOTX64.EFI");
    CHECK(row_of(findings, "UEFI programs") == "EFI/debian/shimx64.efi (signed), EFI/debian/grubx64.efi, EFI/x\\x01");
    boot.command_lines = {"ro quiet", "ro single"};
    boot.serial_consoles = {"ttyS0,115200n8", "hvc0"};
    CHECK(row_of(findings, "command line") == "ro quiet");
    CHECK(row_of(findings, "serial console") == "ttyS0,115200n8, hvc0");
    KernelInfo kernel;
    kernel.version = "6.1.0-18-amd64";
    kernel.path = "/boot/vmlinuz-6.1.0-18-amd64";
    kernel.drivers = {{"virtio_blk", DriverPlace::initrd}, {"ext4", DriverPlace::builtin}};
    KernelInfo older = kernel;
    older.version = "5.10";
    older.boots_on_virtio = false;
    older.initrd = InitrdInfo{"/boot/initrd", 5 * MiB, "zstd", "cut\x1b", 0};
    KernelInfo oldest = kernel;
    oldest.version = "3.10";
    oldest.boots_on_virtio = true;
    oldest.initrd = InitrdInfo{"/boot/i", 512, "", "", 0};
    findings.info.kernels = {kernel, older, oldest};
    CHECK(row_of(findings, "kernel") ==
          "6.1.0-18-amd64 (/boot/vmlinuz-6.1.0-18-amd64), whether it boots on virtio is not known\n"
          "5.10 (/boot/vmlinuz-6.1.0-18-amd64), does NOT find its disk on virtio\n"
          "3.10 (/boot/vmlinuz-6.1.0-18-amd64), boots on virtio");
    CHECK(row_of(findings, "  initrd") == "/boot/initrd, 5 MiB, zstd: cut\\x1b\n/boot/i, 512 B");
    CHECK(row_of(findings, "  drivers").starts_with("virtio_blk initrd, ext4 builtin"));
}

TEST_CASE("the network's settings, and what cloud-init would do") {
    GuestFindings findings = linux_guest();
    CHECK(row_of(findings, "network") == "no configuration was found");
    CHECK(row_of(findings, "cloud-init") == "not installed");
    CHECK(row_of(findings, "datasources").empty());
    findings.info.network = {{"ifcfg", "/etc/sysconfig/network-scripts/ifcfg-eth0", "eth0", "dhcp", "00:50:56:1:2:3"},
                             {"netplan", "/etc/netplan/x.yaml", "", "", ""}};
    CHECK(row_of(findings, "network").empty());
    CHECK(row_of(findings, "ifcfg") ==
          "eth0, dhcp, pinned to 00:50:56:1:2:3 (/etc/sysconfig/network-scripts/ifcfg-eth0)");
    CHECK(row_of(findings, "netplan") == "any interface (/etc/netplan/x.yaml)");
    CloudInitInfo& cloud = findings.info.cloud_init;
    cloud.installed = true;
    CHECK(row_of(findings, "cloud-init") == "installed");
    CHECK(row_of(findings, "datasources") == "not pinned");
    CHECK(row_of(findings, "instance data") == "none");
    CHECK(row_of(findings, "seed").empty());
    cloud.version = "22.4.2";
    cloud.disabled = true;
    cloud.network_disabled = true;
    cloud.datasources = {"NoCloud", "None"};
    cloud.datasource_file = "/etc/cloud/cloud.cfg.d/90.cfg";
    cloud.instances = {"i-1", "i-2"};
    cloud.has_seed = true;
    CHECK(row_of(findings, "cloud-init") == "22.4.2, disabled, leaves the network alone");
    CHECK(row_of(findings, "datasources") == "NoCloud, None (by /etc/cloud/cloud.cfg.d/90.cfg)");
    CHECK(row_of(findings, "instance data") == "of i-1, i-2");
    CHECK(row_of(findings, "seed") == "in the image (NoCloud)");
}

TEST_CASE("what keeps a guest from booting elsewhere is told with what mends it, once it was looked for") {
    GuestFindings findings = linux_guest();
    CHECK(page_of(findings).find("On another machine") == std::string::npos);
    findings.problems = std::vector<BootProblem>();
    CHECK(row_of(findings, "problems") == "none were found");
    findings.problems = {{"virtio", "no virtio_blk"}, {"", "a licence"}};
    CHECK(row_of(findings, "problems").empty());
    CHECK(row_of(findings, "--fix=virtio") == "no virtio_blk");
    CHECK(row_of(findings, "by hand") == "a licence");
    findings.info.remarks = {"last\x07"};
    CHECK(page_of(findings).ends_with("note            last\\x07\n"));
}
