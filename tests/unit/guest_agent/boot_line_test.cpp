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
                                          "vm2oci.overlay=LABEL=writes vm2oci.size=50x132");
    CHECK(line.console == ConsoleUse::plain);
    CHECK(line.terminal == "xterm-256color");
    CHECK(line.terminal_size.rows == 50);
    CHECK(line.terminal_size.columns == 132);
    for (const char* none : {"", "vm2oci.size=", "vm2oci.size=50", "vm2oci.size=50x", "vm2oci.size=x80",
                             "vm2oci.size=50x80x", "vm2oci.size=65536x80"})
        CHECK(parse_boot_line(none).terminal_size.rows == 0);
    CHECK(line.reboots_to_end);
    CHECK(line.address.setup == AddressWords::Setup::dhcp);
    CHECK(line.writable == Writable::device);
    CHECK(line.layer == "LABEL=writes");
    CHECK(is_layered(line, "ext4"));
    const BootLine usual = parse_boot_line("reboot=acpi ip=off vm2oci.overlay=auto");
    CHECK(usual.console == ConsoleUse::terminal);
    CHECK_FALSE(usual.reboots_to_end);
    CHECK(usual.address.setup == AddressWords::Setup::none);
    CHECK(usual.writable == Writable::automatic);
    CHECK(parse_boot_line("quiet").address.setup == AddressWords::Setup::dhcp);
}

TEST_CASE("ip= is read as the kernel reads it") {
    using Setup = AddressWords::Setup;
    const AddressWords all =
        parse_address_words("10.0.2.99:10.0.2.1:10.0.2.2:255.255.254.0:web:eth1:off:10.0.2.3:8.8.8.8:1.2.3.4");
    CHECK(all.setup == Setup::fixed);
    CHECK(ipv4_text(all.lease.address) == "10.0.2.99");
    CHECK(ipv4_text(all.lease.gateway) == "10.0.2.2");
    CHECK(ipv4_text(all.lease.netmask) == "255.255.254.0");
    CHECK(all.device == "eth1");
    REQUIRE(all.lease.name_servers.size() == 2);
    CHECK(ipv4_text(all.lease.name_servers[1]) == "8.8.8.8");
    CHECK(all.lease.seconds == 0);
    for (const auto& [text, netmask] : {std::pair{"10.1.2.3", "255.0.0.0"},
                                        {"172.16.0.5", "255.255.0.0"},
                                        {"192.168.1.7::192.168.1.1", "255.255.255.0"}}) {
        const AddressWords short_one = parse_address_words(text);
        CHECK(short_one.setup == Setup::fixed);
        CHECK(ipv4_text(short_one.lease.netmask) == netmask);
        CHECK(short_one.lease.name_servers.empty());
    }
    for (const char* text : {"off", "none", "::::::off", ":::::eth0:none"})
        CHECK(parse_address_words(text).setup == Setup::none);
    for (const char* text :
         {"dhcp", "on", "any", "", "::::::dhcp", "300.1.1.1", "10.0.2:::255.0.0.0", "::::web:eth2:dhcp"})
        CHECK(parse_address_words(text).setup == Setup::dhcp);
    CHECK(parse_address_words("::::web:eth2:dhcp").device == "eth2");
}
