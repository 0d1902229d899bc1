#include "guest-kernel/agent/boot_line.hpp"
#include "guest-kernel/agent/mounting.hpp"
#include <catch2/catch.hpp>
#include <sys/mount.h>

using namespace vm2oci::guest;

TEST_CASE("the command line says what the root is") {
    const BootLine line = parse_boot_line("console=ttyS0 root=UUID=6d0a-2f rw rootfstype=ext4,ext3 "
                                          "rootflags=noatime,data=ordered init=/lib/systemd/systemd quiet\n");
    CHECK(line.root == "UUID=6d0a-2f");
    CHECK_FALSE(line.read_only);
    CHECK(line.file_system == "ext4");
    CHECK(line.flags == "noatime,data=ordered");
    CHECK(line.init == "/lib/systemd/systemd");
    CHECK(line.writable == Writable::automatic);
    CHECK(line.wait_seconds == 30);
    CHECK_FALSE(line.agent);
}

TEST_CASE("the last word counts, and quotes hold together") {
    const BootLine line = parse_boot_line(
        R"(rw root=/dev/vda ro root="LABEL=my root" vm2oci.overlay=memory )"
        R"(vm2oci.file=/disk/rootfs.img vm2oci.wait=5 vm2oci.agent "init=/sbin/my init" dyndbg="file x.c +p")");
    CHECK(line.root == "LABEL=my root");
    CHECK(line.read_only);
    CHECK(line.writable == Writable::memory);
    CHECK(line.wait_seconds == 5);
    CHECK(line.agent);
    CHECK(line.init == "/sbin/my init");
    CHECK(line.file == "/disk/rootfs.img");
}

TEST_CASE("odd command lines do no harm") {
    CHECK(parse_boot_line("").root.empty());
    CHECK(parse_boot_line("root").root.empty());
    CHECK(parse_boot_line("root=\"unfinished").root == "unfinished");
    CHECK(parse_boot_line("vm2oci.wait=x").wait_seconds == 30);
    CHECK(parse_boot_line("vm2oci.wait=99999999").wait_seconds == 3600);
    CHECK(parse_boot_line("vm2oci.overlay=none").writable == Writable::root);
    CHECK_FALSE(parse_boot_line("vm2oci.agent=0").agent);
    CHECK(parse_boot_line("myroot=/dev/sda rootx=1 ro=1").read_only);
}

TEST_CASE("mount flags are told from options of the file system") {
    const MountFlags flags = parse_mount_flags("noatime,data=ordered,,ro,errors=remount-ro,rw");
    CHECK(flags.bits == (MS_NOATIME | MS_RDONLY));
    CHECK(flags.rest == "data=ordered,errors=remount-ro");
    CHECK(parse_mount_flags("").bits == 0);
    CHECK(is_read_only_file_system("erofs"));
    CHECK_FALSE(is_read_only_file_system("ext4"));
}

TEST_CASE("what a container's machine is told") {
    const BootLine line = parse_boot_line("vm2oci.console=plain vm2oci.terminal=xterm-256color reboot=k ip=dhcp "
                                          "vm2oci.overlay=LABEL=writes");
    CHECK(line.console == ConsoleUse::plain);
    CHECK(line.terminal == "xterm-256color");
    CHECK(line.reboots_to_end);
    CHECK(line.address_by_kernel);
    CHECK(line.writable == Writable::device);
    CHECK(line.layer == "LABEL=writes");
    CHECK(is_layered(line, "ext4"));
    const BootLine usual = parse_boot_line("reboot=acpi ip=off vm2oci.overlay=auto");
    CHECK(usual.console == ConsoleUse::terminal);
    CHECK_FALSE(usual.reboots_to_end);
    CHECK_FALSE(usual.address_by_kernel);
    CHECK(usual.writable == Writable::automatic);
}
