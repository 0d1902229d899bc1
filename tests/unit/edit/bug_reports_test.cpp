// Situations from public bug reports of other tools, rebuilt small: each names the repository and the number, and shows
// that here it is done right, refused or told.
#include "formats/base/error.hpp"
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/user_data.hpp"
#include "libconvert/edit/yaml.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;
using vm2oci::test::MemoryGuest;

namespace {

MemoryGuest report_guest() {
    MemoryGuest guest;
    guest.file("/usr/lib/systemd/systemd", "").symlink("/sbin/init", "/usr/lib/systemd/systemd");
    return guest;
}

EditPlan fixed(const MemoryGuest& guest, const char* fixes) {
    EditRequest request;
    request.fixes = select_fixes(fixes);
    return plan_edits(guest, {}, request);
}

std::string content(const EditPlan& plan, const std::string& path) {
    for (const Edit& edit : plan.edits)
        if (edit.path == path && edit.kind == EditKind::write_file)
            return edit.content;
    return {};
}

bool removes(const EditPlan& plan, const std::string& path) {
    return std::any_of(plan.edits.begin(), plan.edits.end(),
                       [&](const Edit& edit) { return edit.path == path && edit.kind == EditKind::remove; });
}

bool tells(const EditPlan& plan, const std::string& text) {
    return std::any_of(plan.findings.begin(), plan.findings.end(),
                       [&](const EditFinding& each) { return each.text.find(text) != std::string::npos; });
}

Seed seed_of(const std::string& user_data, const std::string& meta_data = "") {
    CloudInitRequest request;
    request.user_data = user_data;
    request.meta_data = meta_data;
    return make_seed(request, "", "");
}

constexpr const char* kConsole = "console=tty0 console=ttyS0,115200";

} // namespace

TEST_CASE("virt-v2v 99, libguestfs 363: a static address is bound to a name that the new card has not") {
    MemoryGuest guest = report_guest();
    guest.file("/etc/sysconfig/network-scripts/ifcfg-ens192", "DEVICE=ens192\nIPADDR=192.0.2.5\nNM_CONTROLLED=no\n")
        .file("/etc/rc.d/init.d/network", "")
        .symlink("/etc/init.d", "rc.d/init.d")
        .symlink("/etc/rc.d/rc3.d/S10network", "../init.d/network");
    const EditPlan dhcp = fixed(guest, "network");
    CHECK(content(dhcp, "/etc/sysconfig/network-scripts/ifcfg-eth0").find("BOOTPROTO=dhcp") != std::string::npos);
    CHECK(content(dhcp, "/usr/local/lib/vm2oci/interface-name").find("names=\"eth0\"") != std::string::npos);
    const EditPlan pinned = fixed(guest, "network:pin");
    CHECK(content(pinned, "/usr/local/lib/vm2oci/interface-name").find("names=\"ens192\"") != std::string::npos);
    CHECK_FALSE(removes(pinned, "/etc/sysconfig/network-scripts/ifcfg-ens192"));
}

TEST_CASE("forklift 8562: Debian's cards are under allow-hotplug") {
    MemoryGuest guest = report_guest();
    guest.file("/etc/network/interfaces",
               "auto lo\niface lo inet loopback\nallow-hotplug ens192\niface ens192 inet static\n"
               "  address 192.0.2.10/24\n");
    CHECK(content(fixed(guest, "network"), "/etc/network/interfaces").find("192.0.2.10") == std::string::npos);
    CHECK(content(fixed(guest, "network:pin"), "/usr/local/lib/vm2oci/interface-name").find("names=\"ens192\"") !=
          std::string::npos);
}

TEST_CASE("forklift 3781: SUSE keeps its files in another folder, and names devices by them") {
    MemoryGuest guest = report_guest();
    guest.file("/etc/sysconfig/network/ifcfg-ens34", "BOOTPROTO='static'\nIPADDR='192.0.2.5/24'\n");
    const EditPlan plan = fixed(guest, "network");
    CHECK_FALSE(content(plan, "/etc/sysconfig/network/ifcfg-eth0").empty());
    CHECK(content(plan, "/etc/sysconfig/network-scripts/ifcfg-eth0").empty());
    CHECK(removes(plan, "/etc/sysconfig/network/ifcfg-ens34"));
}

TEST_CASE("rear 1312: rules name cards by their slots, too") {
    MemoryGuest guest = report_guest();
    guest.file("/etc/udev/rules.d/71-site.rules",
               "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"vmxnet3\", KERNELS==\"0000:0b:00.0\", NAME=\"eth0\"\n"
               "SUBSYSTEM==\"block\", KERNELS==\"0000:0b:00.0\", SYMLINK+=\"x\"\n");
    CHECK(content(fixed(guest, "network"), "/etc/udev/rules.d/71-site.rules") ==
          "SUBSYSTEM==\"block\", KERNELS==\"0000:0b:00.0\", SYMLINK+=\"x\"\n");
}

TEST_CASE("cloud-init 3611: netplan of Ubuntu's live server matches the template's MAC address") {
    MemoryGuest guest = report_guest();
    guest.file("/etc/netplan/50-cloud-init.yaml", "network:\n    ethernets:\n        ens160:\n            dhcp4: true\n"
                                                  "            match:\n                macaddress: 00:50:56:00:00:09\n"
                                                  "            set-name: ens160\n    version: 2\n");
    const EditPlan plan = fixed(guest, "network");
    CHECK(removes(plan, "/etc/netplan/50-cloud-init.yaml"));
    CHECK(content(plan, "/etc/netplan/50-vm2oci.yaml").find("macaddress") == std::string::npos);
    CHECK(content(fixed(guest, "network:keep"), "/etc/netplan/50-cloud-init.yaml") ==
          "network:\n    ethernets:\n        ens160:\n            dhcp4: true\n    version: 2\n");
}

TEST_CASE("terraform-provider-vsphere 2573: two cards, whose names follow their slots") {
    MemoryGuest guest = report_guest();
    guest.file("/etc/netplan/01.yaml",
               "network:\n  ethernets:\n    ens192: {addresses: [192.0.2.5/24]}\n    ens160: {dhcp4: true}\n");
    CHECK(
        content(fixed(guest, "network:pin"), "/usr/local/lib/vm2oci/interface-name").find("names=\"ens160 ens192\"") !=
        std::string::npos);
}

TEST_CASE("cloud-init 2676, forklift 1354: the system's network configuration goes before the data source's") {
    MemoryGuest guest = report_guest();
    guest.file("/usr/bin/cloud-init", "")
        .file("/etc/cloud/cloud.cfg.d/50-curtin-networking.cfg", "network:\n  version: 1\n  config: []\n")
        .file("/etc/cloud/cloud.cfg.d/95-site.cfg",
              "locale: C\nnetwork:\n  version: 2\n  ethernets: {ens3: {dhcp4: true}}\n");
    EditRequest request;
    request.cloud_init.network_config = "version: 2\nethernets: {all: {match: {name: 'e*'}, dhcp4: true}}\n";
    const EditPlan plan = plan_edits(guest, {}, request);
    CHECK(removes(plan, "/etc/cloud/cloud.cfg.d/50-curtin-networking.cfg"));
    CHECK(content(plan, "/etc/cloud/cloud.cfg.d/95-site.cfg") == "locale: C\n");
}

TEST_CASE("scylladb 3587, GPU-Passthrough-Manager 50, update-bootloader 67: quotes in /etc/default/grub") {
    for (const auto& [before, after] :
         {std::pair("GRUB_CMDLINE_LINUX=\"rhgb quiet\"\n", "GRUB_CMDLINE_LINUX=\"rhgb quiet @\"\n"),
          std::pair("GRUB_CMDLINE_LINUX='nowatchdog loglevel=3'\n", "GRUB_CMDLINE_LINUX='nowatchdog loglevel=3 @'\n"),
          std::pair("GRUB_CMDLINE_LINUX=\"acpi_osi=\\\"!Windows 2012\\\"\"\n",
                    "GRUB_CMDLINE_LINUX=\"acpi_osi=\\\"!Windows 2012\\\" @\"\n")}) {
        MemoryGuest guest = report_guest();
        guest.file("/etc/default/grub", before);
        std::string wanted = after;
        wanted.replace(wanted.find('@'), 1, kConsole);
        CHECK(content(fixed(guest, "console"), "/etc/default/grub") == wanted);
    }
}

TEST_CASE("PMSS 476: a file that is broken already is named, and not made worse") {
    MemoryGuest guest = report_guest();
    guest.file("/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\"\nGRUB_CMDLINE_LINUX=\"\"\n");
    const EditPlan plan = fixed(guest, "console");
    CHECK(plan.edits.empty());
    CHECK(tells(plan, "/etc/default/grub is no valid shell script"));
}

TEST_CASE("elevate 205, cockpit 11485: entries take $kernelopts from grubenv") {
    MemoryGuest guest = report_guest();
    std::string block =
        "# GRUB Environment Block\nsaved_entry=x\nkernelopts=root=UUID=1 ro net.ifnames=0 \nboot_success=0\n";
    block.resize(1024, '#');
    guest.file("/boot/loader/entries/x.conf", "linux /v\noptions $kernelopts\n").file("/boot/grub2/grubenv", block);
    const std::string after = content(fixed(guest, "console"), "/boot/grub2/grubenv");
    CHECK(after.size() == 1024);
    CHECK(after.find("kernelopts=root=UUID=1 ro net.ifnames=0 " + std::string(kConsole) + "\nboot_success=0\n#") !=
          std::string::npos);
}

TEST_CASE("u-root 1345: an escaped dollar in grub.cfg stays escaped") {
    MemoryGuest guest = report_guest();
    guest.file("/boot/grub/grub.cfg", "linux /v root=UUID=1 memmap=128M\\$1G\n");
    CHECK(content(fixed(guest, "console"), "/boot/grub/grub.cfg") ==
          "linux /v root=UUID=1 memmap=128M\\$1G " + std::string(kConsole) + "\n");
}

TEST_CASE("addon-context-linux 12, cloud-init 3822: Debian's daemon makes no keys, nor does cloud-init without types") {
    MemoryGuest guest = report_guest();
    guest.file("/usr/sbin/sshd", "").file("/usr/bin/ssh-keygen", "").file("/etc/ssh/ssh_host_rsa_key", "k");
    EditRequest request;
    request.sysprep = {"ssh-host-keys"};
    CHECK_FALSE(content(plan_edits(guest, {}, request), "/etc/systemd/system/vm2oci-ssh-host-keys.service").empty());
    guest.file("/usr/bin/cloud-init", "")
        .file("/usr/lib/systemd/system/cloud-init.service", "[Install]\nWantedBy=x\n")
        .symlink("/etc/systemd/system/cloud-init.target.wants/cloud-init.service", "/x")
        .file("/etc/cloud/cloud.cfg", "datasource_list: [None]\nssh_genkeytypes: ~\n");
    CHECK_FALSE(content(plan_edits(guest, {}, request), "/etc/systemd/system/vm2oci-ssh-host-keys.service").empty());
}

TEST_CASE("autoscaler 655, community-templates 165: a blank line before the first one") {
    CHECK(seed_of("\n#cloud-config\nhostname: x\n").user_data == "#cloud-config\nhostname: x\n");
    CHECK(seed_of("\n\n#!/bin/bash\ntrue\n").user_data == "#!/bin/bash\ntrue\n");
}

TEST_CASE("cloud-init 3929, 4239, 6114, 6178: what cloud-init would pass over is refused") {
    CHECK_THROWS_WITH(seed_of("---\n#cloud-config\nusers: []\n...\n"), Catch::Contains("'---'"));
    CHECK_THROWS_WITH(seed_of("I2Nsb3VkLWNvbmZpZwo=\n"), Catch::Contains("would ignore"));
    CHECK_THROWS_WITH(seed_of("users:\n- name: x\n"), Catch::Contains("#cloud-config"));
    CHECK_THROWS_WITH(seed_of("--b\nContent-Type: text/cloud-config\nMIME-Version: 1.0\n\na: 1\n--b--\n"),
                      Catch::Contains("would ignore"));
}

TEST_CASE("ubuntu-rockchip 672: the meta-data says instance_id") {
    MemoryGuest guest = report_guest();
    guest.file("/usr/bin/cloud-init", "");
    EditRequest request;
    request.cloud_init.meta_data = "instance_id: cloud-image\nlocal_hostname: x\n";
    const EditPlan plan = plan_edits(guest, {}, request);
    CHECK(tells(plan, "reads 'instance-id'"));
    CHECK(tells(plan, "reads 'local-hostname'"));
}

TEST_CASE("ci-framework 2328: an empty text for a network configuration") {
    CHECK_THROWS_WITH(check_network_config("''\n"), Catch::Contains("mapping"));
}

TEST_CASE("cloud-init 149, 3417: keys are read from a folder of the system's") {
    MemoryGuest guest = report_guest();
    guest.file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        .file("/etc/ssh/sshd_config", "AuthorizedKeysFile /etc/ssh/authorized_keys/%u\n");
    EditRequest request;
    request.ssh_keys = {{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx me@there", "root"}};
    CHECK(tells(plan_edits(guest, {}, request), "/etc/ssh/authorized_keys/%u"));
}

TEST_CASE("cloud-init 4771, mantl 680: the name with the domain comes first") {
    MemoryGuest guest = report_guest();
    guest.file("/etc/hostname", "alpine\n").file("/etc/hosts", "127.0.1.1 alpine\n");
    EditRequest request;
    request.hostname = "app.example.org";
    CHECK(content(plan_edits(guest, {}, request), "/etc/hosts") == "127.0.1.1\tapp.example.org app\n");
}

TEST_CASE("virt-v2v 160: a machine that boots by UEFI keeps the commands that its GRUB loads a kernel with") {
    MemoryGuest guest = report_guest();
    guest
        .file("/boot/efi/EFI/redhat/grub.cfg", "menuentry 'RHEL' {\n  linuxefi /vmlinuz-3.10 root=/dev/sda3 ro quiet\n "
                                               " initrdefi /initramfs-3.10.img\n}\n")
        .file("/boot/efi/EFI/redhat/grubx64.efi", "MZ")
        .file("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"quiet\"\n");
    const std::string changed = content(fixed(guest, "console"), "/boot/efi/EFI/redhat/grub.cfg");
    CHECK(changed.find(std::string("  linuxefi /vmlinuz-3.10 root=/dev/sda3 ro quiet ") + kConsole) !=
          std::string::npos);
    CHECK(changed.find("  initrdefi /initramfs-3.10.img\n") != std::string::npos);
}

TEST_CASE("one-swap 45, migration-manager 300: tools of VMware that upstart and runit start") {
    MemoryGuest upstart;
    upstart.file("/sbin/init", "")
        .file("/sbin/initctl", "")
        .file("/etc/inittab", "id:3:initdefault:\n")
        .file("/etc/init/rc.conf", "start on runlevel [0123456]\n")
        .file("/etc/init/vmware-tools.conf", "start on (runlevel [35]\n  and started dbus)\nexec x\n");
    const EditPlan stopped = fixed(upstart, "tools");
    CHECK(content(stopped, "/etc/init/vmware-tools.conf") ==
          "#start on (runlevel [35]\n#  and started dbus)\nexec x\n");
    CHECK(tells(stopped, "VMware's tools"));
    upstart.file("/etc/init/vmware-tools.override", "manual\n");
    CHECK(fixed(upstart, "tools").edits.empty());
    MemoryGuest runit;
    runit.file("/sbin/init", "")
        .file("/etc/runit/2", "")
        .file("/etc/sv/vmtoolsd/run", "#!/bin/sh\n", 0755)
        .symlink("/etc/runit/runsvdir/single/vmtoolsd", "/etc/sv/vmtoolsd");
    CHECK(removes(fixed(runit, "tools"), "/etc/runit/runsvdir/single/vmtoolsd"));
}
