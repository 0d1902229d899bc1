// Every way in which guests configure their cards, and what each pins.
#include "tests/unit/inspect/inspect_fixture.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace vm2oci;
using test::MemoryGuest;
using test::Words;

namespace {

// "stack name method mac driver" of each, "-" for what is not said.
Words told(MemoryGuest guest) {
    Words all;
    const auto word = [](const std::string& text) { return text.empty() ? std::string("-") : text; };
    for (const NetworkInterface& each : test::inspect(std::move(guest)).network)
        all.push_back(fmt::format("{} {} {} {} {}", each.stack, word(each.name), word(each.method), word(each.mac),
                                  word(each.driver)));
    return all;
}

Words of_file(const std::string& path, const std::string& text) {
    return told(MemoryGuest().file(path, text));
}

} // namespace

TEST_CASE("netplan as installers, cloud-init and people write it") {
    struct Row {
        const char* who;
        const char* text;
        Words told;
    };
    const Row rows[] = {
        {"subiquity",
         "# This is the network config written by 'subiquity'\nnetwork:\n  ethernets:\n    ens160:\n      dhcp4: true\n"
         "  version: 2\n",
         {"netplan ens160 dhcp - -"}},
        {"cloud-init",
         "network:\n    version: 2\n    ethernets:\n        eth0:\n            dhcp4: true\n            match:\n"
         "                macaddress: fa:16:3E:aa:bb:cc\n            set-name: eth0\n",
         {"netplan eth0 dhcp fa:16:3e:aa:bb:cc -"}},
        {"static",
         "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    enp0s3:\n      addresses:\n        - "
         "10.0.0.5/24\n        - 2001:db8::5/64\n      routes:\n        - to: default\n          via: 10.0.0.1\n"
         "      nameservers:\n        addresses: [10.0.0.1]\n",
         {"netplan enp0s3 static - -"}},
        {"in one line",
         "network:\n  ethernets:\n    eth1:\n      addresses: [10.0.0.6/24]\n",
         {"netplan eth1 static - -"}},
        {"by IPv6", "network:\n  ethernets:\n    eth1:\n      dhcp6: yes\n", {"netplan eth1 dhcp - -"}},
        {"off",
         "network:\n  ethernets:\n    eth1:\n      dhcp4: false\n      dhcp6: no\n      optional: true\n",
         {"netplan eth1 - - -"}},
        {"both",
         "network:\n  ethernets:\n    eth1:\n      addresses: [10.0.0.6/24]\n      dhcp4: true\n",
         {"netplan eth1 dhcp - -"}},
        {"any card, by its name",
         "network:\n  ethernets:\n    all:\n      match:\n        name: \"en*\"\n      dhcp4: true\n",
         {"netplan en* dhcp - -"}},
        {"Azure",
         "network:\n  ethernets:\n    eth0:\n      match:\n        driver: hv_netvsc\n        macaddress: "
         "\"00:0D:3A:00:00:01\"\n      dhcp4: true\n",
         {"netplan eth0 dhcp 00:0d:3a:00:00:01 hv_netvsc"}},
        {"drivers in a list",
         "network:\n  ethernets:\n    a:\n      match:\n        driver: [\"e1000\", 'vmxnet3']\n      dhcp4: true\n"
         "    b:\n      match:\n        driver:\n          - ena\n          - \"ixgbevf\"\n      dhcp4: true\n",
         {"netplan a dhcp - e1000 vmxnet3", "netplan b dhcp - ena ixgbevf"}},
        {"with other kinds around",
         "network:\n  bonds:\n    bond0:\n      dhcp4: true\n  ethernets:\n    eth0: {}\n    eth1: {}\n  vlans:\n"
         "    vlan5:\n      addresses: [10.5.0.1/24]\n",
         {"netplan eth0 - - -", "netplan eth1 - - -"}},
        {"quoted keys",
         "network:\n  ethernets:\n    \"eth0\":\n      \"dhcp4\": \"true\"\n",
         {"netplan eth0 dhcp - -"}},
        // What follows is from files that people wrote: YAML's comments, and its other words for true, which netplan
        // takes.
        {"comments",
         "network:\n  ethernets:  # cards\n    eth0:   # the first\n      dhcp4: true   # from the router\n    eth1:\n"
         "      match:\n        macaddress: 52:54:00:AA:BB:CC # old card\n        driver: e1000 # old\n"
         "      dhcp4: \"yes\" # quoted\n",
         {"netplan eth0 dhcp - -", "netplan eth1 dhcp 52:54:00:aa:bb:cc e1000"}},
        {"True", "network:\n  ethernets:\n    eth0:\n      dhcp4: True\n", {"netplan eth0 dhcp - -"}},
        {"on", "network:\n  ethernets:\n    eth0:\n      dhcp4: on\n", {"netplan eth0 dhcp - -"}},
        {"y", "network:\n  ethernets:\n    eth0:\n      dhcp6: Y\n", {"netplan eth0 dhcp - -"}},
        {"off by another word", "network:\n  ethernets:\n    eth0:\n      dhcp4: off\n", {"netplan eth0 - - -"}},
        {"nothing", "network:\n  version: 2\n", {}},
        {"not even that", "", {}},
    };
    for (const Row& row : rows) {
        CAPTURE(row.who);
        CHECK(of_file("/etc/netplan/50-x.yaml", row.text) == row.told);
    }
    CHECK(of_file("/etc/netplan/50-x.yaml.bak", rows[0].text).empty());
    CHECK(of_file("/usr/lib/netplan/00-x.yaml", rows[0].text) == rows[0].told);
}

TEST_CASE("the keys of one file of netplan do not reach the cards of another") {
    MemoryGuest guest;
    guest.file("/etc/netplan/a.yaml", "network:\n  ethernets:\n    eth0:\n      dhcp4: true\n");
    guest.file("/etc/netplan/b.yaml",
               "macaddress: 52:54:00:00:00:01\nnetwork:\n  ethernets:\n    eth1:\n      dhcp4: true\n");
    CHECK(told(std::move(guest)) == Words{"netplan eth0 dhcp - -", "netplan eth1 dhcp - -"});
}

TEST_CASE("ifupdown's stanzas, in all of its files") {
    MemoryGuest guest;
    guest.file("/etc/network/interfaces",
               "source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n# iface eth9 inet dhcp\n"
               "allow-hotplug ens3\niface ens3 inet dhcp\niface ens3 inet6 auto\n\thwaddress ether 52:54:00:AA:BB:CC\n"
               "iface br0 inet static\n  address 10.0.0.1\nhwaddress\niface short inet\n");
    guest.file("/etc/network/interfaces.d/50-cloud",
               "hwaddress ether 11:22:33:44:55:66\nauto eth0\niface eth0 inet manual\n");
    CHECK(told(std::move(guest)) == Words{"ifupdown ens3 dhcp - -", "ifupdown ens3 auto 52:54:00:aa:bb:cc -",
                                          "ifupdown br0 static - -", "ifupdown eth0 manual - -"});
}

TEST_CASE("NetworkManager's connections, of cables alone") {
    struct Row {
        const char* text;
        Words told;
    };
    const Row rows[] = {
        {"[connection]\nid=ens192\ntype=ethernet\ninterface-name=ens192\n[ethernet]\nmac-address=00:50:56:AA:BB:CC\n"
         "[ipv4]\nmethod=auto\n[ipv6]\nmethod=ignore\n",
         {"NetworkManager ens192 dhcp 00:50:56:aa:bb:cc -"}},
        {"[connection]\ntype=802-3-ethernet\ninterface-name=eth0\n[802-3-ethernet]\nmac-address=52:54:00:00:00:01\n"
         "[ipv4]\nmethod=manual\naddress1=10.0.0.5/24\n",
         {"NetworkManager eth0 static 52:54:00:00:00:01 -"}},
        {"[connection]\ntype=ethernet\n[match]\ndriver=vmxnet3;e1000;\n[ipv4]\nmethod=disabled\n",
         {"NetworkManager - disabled - vmxnet3 e1000"}},
        {"[connection]\ntype=wifi\ninterface-name=wlan0\n", {}},
        {"[connection]\ntype=bridge\ninterface-name=br0\n", {}},
        {"[connection]\ntype=ethernet\n[other]\ninterface-name=no\nmethod=auto\n", {"NetworkManager - - - -"}},
        {"# interface-name=no\n[connection]\n interface-name = spaced \ntype=ethernet\n",
         {"NetworkManager spaced - - -"}},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(of_file("/etc/NetworkManager/system-connections/a.nmconnection", row.text) == row.told);
        CHECK(of_file("/usr/lib/NetworkManager/system-connections/a.nmconnection", row.text) == row.told);
    }
}

TEST_CASE("networkd's files, and links that name cards") {
    struct Row {
        const char* name;
        const char* text;
        Words told;
    };
    const Row rows[] = {
        {"a.network", "[Match]\nName=ens3\n\n[Network]\nDHCP=yes\n", {"networkd ens3 dhcp - -"}},
        {"a.network", "[Match]\nName=ens3\n[Network]\nDHCP=ipv4\nAddress=10.0.0.1/24\n", {"networkd ens3 dhcp - -"}},
        {"a.network",
         "[Match]\nMACAddress=52:54:00:AA:00:01\n[Network]\nAddress=10.0.0.1/24\nAddress=10.0.0.2/24\n",
         {"networkd - static 52:54:00:aa:00:01 -"}},
        {"a.network",
         "[Match]\nPermanentMACAddress=52:54:00:AA:00:02\n[Network]\nDHCP=no\n",
         {"networkd - - 52:54:00:aa:00:02 -"}},
        {"a.network", "[Match]\nDriver=virtio_net e1000\n[Network]\nDHCP=false\n", {"networkd - - - virtio_net e1000"}},
        // systemd's other words for no (parse_boolean(), and "none" of old).
        {"a.network", "[Match]\nName=a\n[Network]\nDHCP=none\n", {"networkd a - - -"}},
        {"a.network", "[Match]\nName=a\n[Network]\nDHCP=off\nAddress=10.0.0.1/24\n", {"networkd a static - -"}},
        {"a.network", "[Match]\nName=a\n[Network]\nDHCP=0\n", {"networkd a - - -"}},
        {"a.network", "[Match]\nName=a\n[Network]\nDHCP=No\n", {"networkd a - - -"}},
        {"a.network", "[Link]\nName=not-here\n[Network]\nName=nor-here\n", {"networkd - - - -"}},
        {"a.network", "[Match]\nKind=veth\nName=host0\n", {"networkd host0 - - -"}}, // the administrator's own
        {"a.link", "[Match]\nMACAddress=52:54:00:AA:00:03\n[Link]\nName=lan0\n", {"link lan0 - 52:54:00:aa:00:03 -"}},
        {"a.link", "[Match]\nOriginalName=*\nName=no\n[Link]\nNamePolicy=keep\n", {"link - - - -"}},
        {"a.netdev", "[NetDev]\nName=br0\nKind=bridge\n", {}},
        {"a.network.d", "[Match]\nName=a\n", {}},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(of_file(std::string("/etc/systemd/network/") + row.name, row.text) == row.told);
    }
}

TEST_CASE("a package's file of networkd counts if it is for other cards, and none is for this machine's") {
    const std::string packages = "/usr/lib/systemd/network/";
    const std::string ena = "[Match]\nDriver=ena\n[Network]\nDHCP=yes\n";
    CHECK(of_file(packages + "80-ec2.network", ena) == Words{"networkd - dhcp - ena"});
    CHECK(of_file(packages + "80-ec2.link", ena).empty());
    CHECK(of_file(packages + "80-host.network", "[Match]\nName=host0\n[Network]\nDHCP=yes\n").empty());
    CHECK(of_file(packages + "80-container.network", "[Match]\nKind=veth\nDriver=veth\n").empty());
    CHECK(of_file(packages + "80-vm.network", "[Match]\nVirtualization=container\nDriver=x\n").empty());
    struct Row {
        const char* own;
        bool ends_it;
    };
    for (const Row& row : {Row{"[Match]\nName=en*\n", true},
                           {"[Match]\nName=eth* enp*\n", true},
                           {"[Match]\nName=*\n", true},
                           {"[Network]\nDHCP=yes\n", true},
                           {"[Match]\nName=eth0\n", false},
                           {"[Match]\nName=ens*\n", false},
                           {"[Match]\nMACAddress=52:54:00:00:00:09\n", false},
                           {"[Match]\nDriver=e1000\n", false}}) {
        CAPTURE(row.own);
        MemoryGuest guest;
        guest.file("/etc/systemd/network/10-own.network", row.own).file(packages + "80-ec2.network", ena);
        CHECK(told(std::move(guest)).size() == (row.ends_it ? 1 : 2));
    }
    MemoryGuest masked;
    masked.symlink("/etc/systemd/network/80-ec2.network", "/dev/null").file(packages + "80-ec2.network", ena);
    for (const std::string& each : told(std::move(masked)))
        CHECK(each != "networkd - dhcp - ena");
}

TEST_CASE("ifcfg files of Red Hat and SUSE") {
    struct Row {
        const char* name;
        const char* text;
        const char* told; // without the stack; null: none
    };
    const Row rows[] = {
        {"ifcfg-eth0", "DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\n", "eth0 dhcp - -"},
        {"ifcfg-eth0", "DEVICE=\"eth0\"\nBOOTPROTO=\"none\"\nHWADDR=\"00:50:56:AA:BB:CC\"\nIPADDR=10.0.0.5\n",
         "eth0 static 00:50:56:aa:bb:cc -"},
        {"ifcfg-ens192", "NAME=ens192\nBOOTPROTO=static\n", "ens192 static - -"},
        {"ifcfg-eth1", "STARTMODE='auto'\nBOOTPROTO='dhcp4'\nLLADDR='52:54:00:AA:BB:CC'\n",
         "eth1 dhcp4 52:54:00:aa:bb:cc -"},
        {"ifcfg-eth1", "HWADDR=52:54:00:00:00:01\nLLADDR=52:54:00:00:00:02\n", "eth1 - 52:54:00:00:00:01 -"},
        {"ifcfg-Wired_connection_1", "DEVICE=\nBOOTPROTO=DHCP\n", "Wired_connection_1 dhcp - -"},
        // ifcfg files are read by the shell.
        {"ifcfg-eth0",
         "DEVICE=eth0 # the first\nBOOTPROTO=\"none\"   # was dhcp\nHWADDR='52:54:00:00:00:03'#no comment\n",
         "eth0 static '52:54:00:00:00:03'#no comment -"},
        {"ifcfg-eth0:1", "DEVICE=eth0:1\nBOOTPROTO=static\n", "eth0:1 static - -"},
        {"ifcfg-lo", "DEVICE=lo\n", nullptr},
        {"ifcfg-eth0~", "DEVICE=eth0\n", nullptr},
        {"ifcfg-eth0.bak", "DEVICE=eth0\n", nullptr},
        {"ifcfg.template", "DEVICE=eth0\n", nullptr},
        {"ifcfg-eth0.template", "DEVICE=eth0\n", nullptr},
        // What neither initscripts nor NetworkManager reads (network-functions: __sed_discard_ignored_files).
        {"ifcfg-eth0.old", "DEVICE=eth0\n", nullptr},
        {"ifcfg-eth0.orig", "DEVICE=eth0\n", nullptr},
        {"ifcfg-eth0.rpmnew", "DEVICE=eth0\n", nullptr},
        {"ifcfg-eth0.rpmsave", "DEVICE=eth0\n", nullptr},
        {"ifcfg-eth0.rpmorig", "DEVICE=eth0\n", nullptr},
        {"route-eth0", "DEVICE=eth0\n", nullptr},
    };
    for (const Row& row : rows)
        for (const auto& [stack, folder] :
             {std::pair{"ifcfg", "/etc/sysconfig/network-scripts/"}, {"wicked", "/etc/sysconfig/network/"}}) {
            CAPTURE(row.name, row.text);
            CHECK(of_file(std::string(folder) + row.name, row.text) ==
                  (row.told == nullptr ? Words{} : Words{std::string(stack) + " " + row.told}));
        }
}

TEST_CASE("udev's rules that name cards, as each release wrote them") {
    struct Row {
        const char* file;
        const char* text;
        Words told;
    };
    const Row rows[] = {
        {"70-persistent-net.rules",
         "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", ATTR{address}==\"00:50:56:AA:00:01\", "
         "ATTR{dev_id}==\"0x0\", ATTR{type}==\"1\", KERNEL==\"eth*\", NAME=\"eth0\"\n",
         {"udev eth0 - 00:50:56:aa:00:01 -"}},
        // Ubuntu 8.04 and RHEL 5 with SLES 10.
        {"70-persistent-net.rules",
         "SUBSYSTEM==\"net\", DRIVERS==\"?*\", ATTRS{address}==\"00:0c:29:00:00:02\", NAME=\"eth1\"\n",
         {"udev eth1 - 00:0c:29:00:00:02 -"}},
        {"30-net_persistent-net.rules",
         "SUBSYSTEM==\"net\", SYSFS{address}==\"00:0c:29:00:00:03\", NAME=\"eth2\"\n",
         {"udev eth2 - 00:0c:29:00:00:03 -"}},
        {"75-net-name.rules", "# a comment\n\n  \nNAME=\"lan\"\n", {"udev lan - - -"}},
        {"70-persistent-net.rules", "SUBSYSTEM==\"net\", NAME=unquoted\nGOTO=\"end\"\nNAME=\"open\n", {}},
        {"10-other.rules", "NAME=\"eth0\"\n", {}},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(of_file(std::string("/etc/udev/rules.d/") + row.file, row.text) == row.told);
    }
}
