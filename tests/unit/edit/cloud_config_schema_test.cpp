// Remarks on configuration that is YAML and that cloud-init would pass over or take for something else. The kinds are
// those of cloud-init's schema-cloud-config-v1.json; what a plain word is, is PyYAML's matter (YAML 1.1).
#include "libconvert/edit/cloud_config_schema.hpp"
#include "libconvert/edit/user_data.hpp"
#include "tests/unit/edit/edit_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

using Remarks = std::vector<std::string>;

Remarks of_config(const std::string& yaml) {
    return cloud_config_remarks(parse_yaml(yaml));
}
Remarks of_network(const std::string& yaml) {
    return network_config_remarks(parse_yaml(yaml));
}
std::string only(const Remarks& remarks) {
    std::string all;
    for (const std::string& each : remarks)
        all += (all.empty() ? "" : "\n") + each;
    return all;
}

const std::string kConfig = "the cloud-config, line ";
const std::string kNetwork = "the network configuration, line ";

} // namespace

TEST_CASE("What a plain word means is told as PyYAML resolves it") {
    // Under keys that take a number, text, or true and false alone.
    struct Word {
        const char* text;
        char kind; // n, s or b
    };
    const Word kWords[] = {
        {"1", 'n'},
        {"0", 'n'},
        {"12_000", 'n'},
        {"0644", 'n'},
        {"0x1F", 'n'},
        {"0b101", 'n'},
        {"-5", 'n'},
        {"+5", 'n'},
        {"1.5", 'n'},
        {"-1.5", 'n'},
        {".5", 'n'},
        {"1.", 'n'},
        {"6.02e+23", 'n'},
        {".inf", 'n'},
        {"-.INF", 'n'},
        {".NaN", 'n'},
        {"12:30", 'n'},
        {"190:20:30", 'n'},
        {"1:15.5", 'n'},
        {"52:54:00:12:34:56", 'n'},
        {"true", 'b'},
        {"Yes", 'b'},
        {"NO", 'b'},
        {"on", 'b'},
        {"Off", 'b'},
        {"08", 's'},
        {"0899", 's'},
        {"0x", 's'},
        {"0xyz", 's'},
        {"_1", 's'},
        {"1e3", 's'},
        {"12:60", 's'},
        {"0:30x", 's'},
        {"52:54:00:ab:cd:ef", 's'},
        {"52:54:00:12:34:99", 's'},
        {"y", 's'},
        {"n", 's'},
        {"truth", 's'},
        {"1.2.3", 's'},
        {"10.0.0.1", 's'},
        {"web01", 's'},
        {"'1'", 's'},
        {"\"true\"", 's'},
        {"+", 's'},
        {".", 's'},
        {"0o17", 's'},
    };
    for (const Word& each : kWords) {
        CAPTURE(each.text);
        const std::string text = each.text;
        CHECK(of_config("launch-index: " + text + "\n").empty() == (each.kind == 'n'));
        CHECK(of_config("timezone: " + text + "\n").empty() == (each.kind == 's'));
        CHECK(of_config("apt_update: " + text + "\n").empty() == (each.kind == 'b'));
    }
    // A day is neither text nor a number.
    CHECK(of_config("password: 2024-01-31\n").size() == 1);
    CHECK(of_config("password: 2024-01-31x\n").empty());
    CHECK(of_config("hostname: 2001-12-14 21:59:43.10 -5\n").size() == 1);
}

TEST_CASE("Values of the wrong kind are told with what the key takes") {
    struct Case {
        const char* yaml;
        const char* wanted;
    };
    for (const Case& each : {Case{"packages: htop", "'packages' must be a list"},
                             {"hostname: [a]", "'hostname' must be text"},
                             {"hostname: 12", "'hostname' must be text"},
                             {"ssh_pwauth: 1", "'ssh_pwauth' must be true or false or text"},
                             {"apt_sources: x", "'apt_sources' must be a list or a mapping"},
                             {"ntp: true", "'ntp' must be a mapping"},
                             {"groups: 1", "'groups' must be text or a list or a mapping"},
                             {"apt_pipelining: {}", "'apt_pipelining' must be true or false or a number or text"},
                             {"package_update: 'yes'", "'package_update' must be true or false"},
                             {"users: null", "'users' must be text or a list or a mapping"},
                             {"chpasswd: [root:x]", "'chpasswd' must be a mapping"},
                             {"final_message: ~", "'final_message' must be text"}}) {
        CAPTURE(each.yaml);
        CHECK(only(of_config(std::string("\n") + each.yaml + "\n")) == kConfig + "2: " + each.wanted);
    }
    for (const char* right : {"ntp:\n", "ntp: NULL\n", "ntp: Null\n", "wireguard: ~\n", "version: [1]\n",
                              "ssh_pwauth: unchanged\n", "byobu_by_default: false\n", "groups: [a, {b: [c]}]\n",
                              "users: default\n", "rsyslog: []\n", "disable_root: true\n", "user: {name: a}\n"}) {
        CAPTURE(right);
        CHECK(only(of_config(right)).empty());
    }
}

TEST_CASE("Keys that cloud-init does not know are told, and others looked into") {
    CHECK(only(of_config("runcmds: []\n")) == kConfig + "1: cloud-init knows no 'runcmds', and passes it over");
    CHECK(only(of_config("a: 1\nPackages: []\n")) == kConfig + "1: cloud-init knows no 'a', and passes it over\n" +
                                                         kConfig +
                                                         "2: cloud-init knows no 'Packages', and passes it over");
    CHECK(only(of_config("network: {version: 2}\n")) ==
          kConfig + "1: 'network' is not read from user data, but from a network-config of its own");
    CHECK(of_config("").empty());
    CHECK(of_config("{}").empty());
    const std::string told = only(of_config("\"a\\e[31m\\n\": 1\n"));
    CHECK(told.find('\x1b') == std::string::npos);
    CHECK(told.find('\n') == std::string::npos);
    const std::string longest(400, 'k');
    CHECK(only(of_config(longest + ": 1\n")).size() < 200);
}

TEST_CASE("Nobody reads more than thirty remarks") {
    std::string yaml;
    for (int i = 0; i < 30; ++i)
        yaml += "unknown" + std::to_string(i) + ": 1\n";
    CHECK(of_config(yaml).size() == 30);
    CHECK(of_config(yaml).back().find("unknown29") != std::string::npos);
    const Remarks more = of_config(yaml + "another: 1\nthird: 1\n");
    CHECK(more.size() == 31);
    CHECK(more.back() == "the cloud-config: there is more of this kind");
}

TEST_CASE("Commands are texts or lists, files have paths and modes") {
    CHECK(only(of_config("runcmd:\n  - ls\n  - [ls, /]\n  - null\n  - echo: a\n  - 12\n  - true\n")) ==
          kConfig + "5: a command of runcmd is no text and no list; quote it, since ': ' makes a mapping\n" + kConfig +
              "6: a command of runcmd is no text and no list; quote it, since ': ' makes a mapping\n" + kConfig +
              "7: a command of runcmd is no text and no list; quote it, since ': ' makes a mapping");
    CHECK(only(of_config("bootcmd: [{a: b}]\n")).find("a command of bootcmd is") != std::string::npos);
    CHECK(only(of_config("write_files:\n"
                         "  - path: /etc/a\n"
                         "    content: 12\n"
                         "    permissions: '0644'\n"
                         "  - content: x\n"
                         "  - path: /etc/b\n"
                         "    content: [x]\n"
                         "  - path: /etc/c\n"
                         "    permissions: 644\n"
                         "  - path: /etc/d\n"
                         "    permissions: 0644\n"
                         "  - /etc/e\n")) ==
          kConfig + "5: a file of write_files has no 'path'\n" + kConfig +
              "7: 'content' must be true or false or a "
              "number or text\n" +
              kConfig + "9: 'permissions' '644' is a decimal number; write '0644' in quotes\n" + kConfig +
              "12: 'a file of write_files' must be a mapping");
}

TEST_CASE("Users are looked into by their keys") {
    CHECK(only(of_config("users:\n"
                         "  - default\n"
                         "  - [a, b]\n"
                         "  - name: ann\n"
                         "    ssh_authorized_keys: ssh-rsa AAAA\n"
                         "    lock_passwd: 'false'\n"
                         "    shell: [/bin/sh]\n"
                         "    ssh_import_id: gh:ann\n"
                         "  - gecos: nobody\n"
                         "  - snapuser: me@example.org\n"
                         "    passwd: 1234\n"
                         "    system: no\n"
                         "  - 5\n"
                         "  - name: bob\n"
                         "    ssh-authorized-keys: {}\n"
                         "    ssh-import-id: {}\n"
                         "    no_create_home: 1\n"
                         "    homedir: {}\n")) ==
          kConfig + "5: 'ssh_authorized_keys' must be a list\n" + kConfig + "6: 'lock_passwd' must be true or false\n" +
              kConfig + "7: 'shell' must be a number or text\n" + kConfig + "9: a user has no 'name'\n" + kConfig +
              "13: 'a user' must be text or a list or a mapping\n" + kConfig +
              "15: 'ssh-authorized-keys' must be a "
              "list\n" +
              kConfig + "16: 'ssh-import-id' must be text or a list\n" + kConfig +
              "17: 'no_create_home' must be true or false\n" + kConfig + "18: 'homedir' must be a number or text");
    CHECK(only(of_config("packages: [a, [b, 1.0], {snap: [c]}, 7]\n")) ==
          kConfig + "1: 'an item of packages' must be text or a list or a mapping");
    CHECK(only(of_config("ssh_authorized_keys: [[x]]\n")) ==
          kConfig + "1: 'an item of ssh_authorized_keys' must be text");
    CHECK(only(of_config("mounts: [[a, b], /dev/vdb]\n")) == kConfig + "1: 'an item of mounts' must be a list");
}

TEST_CASE("Version 2 of a network configuration is held against netplan's keys") {
    struct Case {
        const char* yaml;
        const char* told; // behind the line; "": nothing
    };
    for (const Case& each : {
             Case{"ethernets: {eth0: {dhcp4: true}}", ""},
             {"ethernets: {eth0: }", ""},
             {"ethernets: ", ""},
             {"renderer: networkd", ""},
             {"ethernet: {}", "'ethernet' is no key of version 2, and is passed over"},
             {"config: []", "'config' is no key of version 2, and is passed over"},
             {"ethernets: []", "'ethernets' must be a mapping"},
             {"ethernets: {eth0: [x]}", "'eth0' must be a mapping"},
             {"ethernets: {eth0: {dhcp4: 'yes'}}", "'dhcp4' must be true or false"},
             {"ethernets: {eth0: {dhcp: true}}", "'dhcp' is no key of a device in version 2"},
             {"ethernets: {eth0: {DHCP4: true}}", "'DHCP4' is no key of a device in version 2"},
             {"ethernets: {eth0: {dhcp_4: true}}", "'dhcp_4' is no key of a device in version 2"},
             {"ethernets: {eth0: {address: x}}", "'address' is no key of a device in version 2"},
             {"ethernets: {eth0: {gateway: x}}", "'gateway' is no key of a device in version 2"},
             {"ethernets: {eth0: {dns: x}}", "'dns' is no key of a device in version 2"},
             {"ethernets: {eth0: {nameserver: x}}", "'nameserver' is no key of a device in version 2"},
             {"ethernets: {eth0: {name: x}}", "'name' is no key of a device in version 2"},
             {"ethernets: {eth0: {emit-lldp: true}}", ""}, // one of those that not all devices have
             {"ethernets: {eth0: {addresses: 10.0.0.2/24}}", "'addresses' must be a list"},
             {"ethernets: {eth0: {addresses: [10.0.0.2]}}", "the address '10.0.0.2' has no prefix length ('/24')"},
             {"ethernets: {eth0: {addresses: [10.0.0.2/24, 'fd00::1/64']}}", ""},
             {"ethernets: {eth0: {addresses: [10.0.0.2/24: {label: x}]}}", ""},
             {"ethernets: {eth0: {mtu: '9000'}}", "'mtu' must be a number"},
             {"ethernets: {eth0: {macaddress: 52:54:00:12:34:56}}", "'macaddress' must be text"},
             {"ethernets: {eth0: {macaddress: 52:54:00:ab:34:56}}", ""},
             {"ethernets: {eth0: {match: {macaddress: 52:54:00:12:34:56}}}", "'macaddress' must be text"},
             {"ethernets: {eth0: {match: {macaddress: '52:54:00:12:34:56'}}}", ""},
             {"ethernets: {eth0: {set-name: lan0}}", "'set-name' of 'eth0' needs a 'match'"},
             {"ethernets: {eth0: {match: {name: x}, set-name: lan0}}", ""},
             {"vlans: {v: {id: 5, link: eth0}}", ""},
             {"vlans: {v: {id: 5}}", "the VLAN 'v' needs 'id' and 'link'"},
             {"vlans: {v: {link: eth0}}", "the VLAN 'v' needs 'id' and 'link'"},
             {"ethernets: {v: {id: 5}}", ""},
             {"bonds: {b: {interfaces: [x]}}", ""},
             {"bonds: {b: {mtu: 9000}}", "'b' has no 'interfaces'"},
             {"bridges: {b: {mtu: 9000}}", ""},
             {"dummy-devices: {d: {addresses: [10.0.0.2/24]}}", ""},
         }) {
        CAPTURE(each.yaml);
        const std::string wanted = *each.told == '\0' ? "" : kNetwork + "2: " + each.told;
        CHECK(only(of_network("version: 2\n" + std::string(each.yaml) + "\n")) == wanted);
        const std::string below = *each.told == '\0' ? "" : kNetwork + "3: " + each.told;
        CHECK(only(of_network("network:\n  version: 2\n  " + std::string(each.yaml) + "\n")) == below);
    }
    CHECK(
        of_network("ethernet: {}\n").empty()); // without a version nothing is known, and check_network_config() refuses
    CHECK(of_network("version: 3\nethernet: {}\n").empty());
}

TEST_CASE("Version 1 of a network configuration is held against cloud-init's schema") {
    struct Case {
        const char* item;
        const char* told;
    };
    for (const Case& each : {
             Case{"{type: physical, name: eth0, subnets: [{type: dhcp}]}", ""},
             {"{type: physical}", "the physical has no 'name'"},
             {"{type: ethernet, name: eth0}", "'ethernet' is no type of version 1"},
             {"{name: eth0}", "'' is no type of version 1"},
             {"eth0", "'an item of config' must be a mapping"},
             {"{type: bond, name: b}", "the bond has no 'bond_interfaces'"},
             {"{type: bridge, name: b}", "the bridge has no 'bridge_interfaces'"},
             {"{type: vlan, name: v, vlan_link: e}", "the vlan has no 'vlan_id'"},
             {"{type: vlan, name: v, vlan_id: 5}", "the vlan has no 'vlan_link'"},
             {"{type: nameserver}", "the nameserver has no 'address'"},
             {"{type: nameserver, address: 10.0.0.1}", ""},
             {"{type: route}", "the route has no 'destination'"},
             {"{type: route, destination: 10.0.0.0/8}", ""},
             {"{type: loopback, name: lo}", ""},
             {"{type: infiniband, name: ib0}", ""},
             {"{type: physical, name: e, subnets: {}}", "'subnets' must be a list"},
             {"{type: physical, name: e, subnets: [{type: auto}]}", "'auto' is no type of a subnet"},
             {"{type: physical, name: e, subnets: [{address: x}]}", "'' is no type of a subnet"},
             {"{type: physical, name: e, subnets: [{type: static}]}", "a static subnet has no 'address'"},
             {"{type: physical, name: e, subnets: [{type: static6}]}", "a static subnet has no 'address'"},
             {"{type: physical, name: e, subnets: [{type: static, address: 10.0.0.2/24}, {type: ipv6_slaac}]}", ""},
             {"{type: physical, name: e, subnets: [{type: ipv6_dhcpv6-stateless}, {type: manual}]}", ""},
             {"{type: physical, name: e, mac_address: 52:54:00:12:34:56}", "'mac_address' must be text"},
             {"{type: physical, name: e, mac_address: '52:54:00:12:34:56'}", ""},
         }) {
        CAPTURE(each.item);
        const std::string wanted = *each.told == '\0' ? "" : kNetwork + "3: " + each.told;
        CHECK(only(of_network("version: 1\nconfig:\n  - " + std::string(each.item) + "\n")) == wanted);
    }
    CHECK(of_network("version: 1\n").empty());
}
