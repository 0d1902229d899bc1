// Names of interfaces, and files that hold settings for them, by each program's manual.
#include "libconvert/edit/network_settings.hpp"
#include "tests/unit/edit/edit_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

// "name mac driver flags" of each setting: s static, c complex, v made by the setting, m known by its MAC alone.
std::string shown(const std::vector<InterfaceSetting>& settings) {
    std::string out;
    for (const InterfaceSetting& each : settings) {
        out += each.name.empty() ? "-" : each.name;
        out += each.mac.empty() ? "" : " mac=" + each.mac;
        out += each.driver.empty() ? "" : " driver=" + each.driver;
        const std::string flags = std::string(each.is_static ? "s" : "") + (each.complex ? "c" : "") +
                                  (each.is_virtual ? "v" : "") + (each.only_by_mac ? "m" : "");
        out += (flags.empty() ? "" : " " + flags) + ";";
    }
    return out;
}

std::string settings_of(const std::string& path, const std::string& text, MemoryGuest guest = MemoryGuest()) {
    guest.file(path, text);
    if (path.starts_with("/etc/NetworkManager"))
        guest.file("/usr/sbin/NetworkManager", "");
    if (path.starts_with("/etc/cloud"))
        guest.file("/usr/bin/cloud-init", "").file("/usr/lib/systemd/systemd", "");
    return shown(network_settings(PlanBuilder(guest)));
}

struct Case {
    const char* text;
    const char* settings;
};

} // namespace

TEST_CASE("Names after slots are known by systemd's scheme and by biosdevname's") {
    for (const char* name : {"ens192",   "ens3f0", "enp0s3", "enp3s0f1np1", "eno1", "eno16777736", "enx001122334455",
                             "enP2p1s0", "enX0",   "env3",   "enc1000",     "end0", "ena1",        "enb0",
                             "eni1np1",  "em1",    "em12",   "em1_2",       "p2p1", "p10p2_1",     "p1p1"}) {
        CAPTURE(name);
        CHECK(is_slot_name(name));
        CHECK(is_card_name(name));
    }
    for (const char* name :
         {"",    "e",    "en",   "eth0",  "ent0", "enz1", "emx",  "em",      "p",         "pp1", "p1",
          "p1p", "p1px", "ppp0", "wlan0", "lo",   "en*",  "ens?", "en[sp]1", "/dev/eth0", "br0"}) {
        CAPTURE(name);
        CHECK_FALSE(is_slot_name(name));
    }
    for (const char* name : {"eth0", "eth12", "eth007"})
        CHECK(is_card_name(name));
    for (const char* name : {"eth", "ethx", "eth0.1", "eth0:1", "wlan0", "bond0"})
        CHECK_FALSE(is_card_name(name));
}

TEST_CASE("Names are plain as the kernel takes them and no shell minds") {
    for (const char* name : {"a", "eth0", "eth0.100", "my_card-1", "123456789012345", "A-b_C.9"}) {
        CAPTURE(name);
        CHECK(is_plain_interface_name(name));
    }
    for (const char* name : {"", ".", "..", ".a", "-a", "1234567890123456", "a b", "a/b", "a:b", "a*", "a$b", "a'b",
                             "a\n", "\xc3\xa4", "a@b", "a`b"}) {
        CAPTURE(name);
        CHECK_FALSE(is_plain_interface_name(name));
    }
}

TEST_CASE("Names of what settings make are known by their beginning and a number") {
    for (const char* name :
         {"br0",     "br-lan",   "br_x",    "bond1",   "bond",    "team0",   "vlan100", "tun0",       "tap1",
          "wg0",     "dummy0",   "virbr0",  "docker0", "veth1",   "lxcbr0",  "lxdbr0",  "ovs-system", "vxlan5",
          "gre0",    "gretap0",  "sit0",    "ipip1",   "ip6tnl0", "ppp0",    "vmbr0",   "xenbr0",     "macvlan0",
          "ipvlan1", "vrf-blue", "he-ipv6", "xfrm0",   "ipsec0",  "geneve1", "wwan0",   "eth0.100",   "ens3.5"}) {
        CAPTURE(name);
        CHECK(is_virtual_name(name));
    }
    for (const char* name : {"brick", "bonding", "eth0", "ens192", "teamx", "tunnel", "wgx", "heaven", "", "office"}) {
        CAPTURE(name);
        CHECK_FALSE(is_virtual_name(name));
    }
}

TEST_CASE("A card below a stacked setting is one, unless a setting makes it") {
    const auto below = [](std::string_view name, const std::string& above = "bond0") {
        std::vector<InterfaceSetting> settings;
        InterfaceSetting setting;
        setting.name = above;
        setting.file = "/f";
        add_card_below(setting, name, settings);
        return shown(settings);
    };
    CHECK(below("ens192") == "ens192 c;");
    CHECK(below("ens192.100") == "ens192 c;");
    CHECK(below("eth0:1") == "eth0 c;");
    CHECK(below("eth0@x") == "eth0 c;");
    CHECK(below("br0").empty());
    CHECK(below("").empty());
    CHECK(below("a b").empty());
    CHECK(below("ens192", "ens192").empty());
}

TEST_CASE("netplan's settings are read") {
    for (const Case& each : {
             Case{"network: {ethernets: {ens3: {dhcp4: true}}}", "ens3;"},
             {"network: {ethernets: {ens3: {addresses: [10.0.0.2/24]}}}", "ens3 s;"},
             {"network: {ethernets: {any: {match: {name: 'en*'}}}}", "en*;"},
             {"network: {ethernets: {any: {match: {macaddress: 'AA:BB'}}}}", "- mac=AA:BB m;"},
             {"network: {ethernets: {any: {match: {macaddress: 'AA:BB'}, set-name: lan0}}}", "lan0 mac=AA:BB m;"},
             {"network: {ethernets: {ens3: {match: {macaddress: 'AA:BB'}, set-name: ens3}}}", "ens3 mac=AA:BB;"},
             {"network: {ethernets: {any: {match: {macaddress: 'AA:BB', name: 'e*'}}}}", "e* mac=AA:BB;"},
             {"network: {ethernets: {any: {match: {driver: vmxnet3}}}}", "- driver=vmxnet3;"},
             {"network: {ethernets: {any: {match: {driver: [ixgbe, 'mlx5*']}}}}", "- driver=ixgbe mlx5*;"},
             {"network: {ethernets: {any: {match: {}}}}", "-;"},
             {"network: {ethernets: {ens3: }}", "ens3;"},
             {"network: {ethernets: {ens3: {set-name: x}}}", "ens3;"},
             {"network: {ethernets: {ens3: {openvswitch: {}}}}", "ens3 c;"},
             {"network: {ethernets: {ens3: {virtual-function-count: 2}}}", "ens3 c;"},
             {"network: {bonds: {b0: {interfaces: [x]}}}", "b0 cv;"},
             {"network: {wifis: {w: {}}}", "w cv;"},
             {"network: {ethernets: {office: {}}, bridges: {office: {}}}", "office cv;office cv;"},
             {"network: [", "- cv;"}, // nobody knows what it says
             {"other: {ethernets: {ens3: {}}}", ""},
             {"network: disabled", ""},
             {"", ""},
         }) {
        CAPTURE(each.text);
        CHECK(settings_of("/etc/netplan/a.yaml", each.text) == each.settings);
    }
    CHECK(settings_of("/etc/netplan/a.yml", "network: {ethernets: {ens3: {}}}").empty());
}

TEST_CASE("cloud-init's own settings are read in both versions") {
    for (const Case& each : {
             Case{"network: {version: 2, ethernets: {ens3: {addresses: [a]}}}", "ens3 s;"},
             {"network: {version: 1, config: [{type: physical, name: eth0, mac_address: 'AA'}]}", "eth0 mac=AA;"},
             {"network: {config: [{type: physical, name: eth0, subnets: [{type: static6}]}]}", "eth0 s;"},
             {"network: {config: [{type: physical, name: eth0, subnets: [{type: dhcp}, {}]}]}", "eth0;"},
             {"network: {config: [{type: nameserver}, {type: route}, {type: loopback, name: lo}]}", ""},
             {"network: {config: [{type: vlan, name: v5, vlan_link: ens3.5}]}", "v5 cv;ens3 c;"},
             {"network: {config: [{type: bond, name: b, bond_interfaces: [ens1, ens2]}]}", "b cv;ens1 c;ens2 c;"},
             {"network: {config: [{type: bridge, name: lan, bridge_interfaces: [ens1, bond0]}]}", "lan cv;ens1 c;"},
             {"network: {network: {config: [{type: physical, name: eth7}]}}", "eth7;"},
             {"network: {config: disabled}", ""},
             {"network: disabled", ""},
         }) {
        CAPTURE(each.text);
        CHECK(settings_of("/etc/cloud/cloud.cfg.d/x.cfg", each.text) == each.settings);
    }
    MemoryGuest off;
    off.file("/etc/cloud/cloud-init.disabled", "");
    CHECK(settings_of("/etc/cloud/cloud.cfg", "network: {ethernets: {ens3: {}}}", off).empty());
}

TEST_CASE("networkd's settings are read, a package's only where they matter") {
    for (const Case& each : {
             Case{"[Match]\nName=ens3\n[Network]\nDHCP=yes\n", "ens3;"},
             {"[Match]\nName=ens3 eth0\nName=lo\n", "ens3;eth0;"},
             {"[Match]\nName=!ens3\n", ""},
             {"[Match]\nName=ens3\n[Network]\nAddress=10.0.0.2/24\n", "ens3 s;"},
             {"[Match]\nName=ens3\n[Address]\nAddress=10.0.0.2/24\n", "ens3 s;"},
             {"[Match]\nMACAddress=AA\n", "- mac=AA m;"},
             {"[Match]\nPermanentMACAddress=AA\nName=ens3\n", "ens3 mac=AA;"},
             {"[Match]\nDriver=vmxnet3\n", "- driver=vmxnet3;"},
             {"[Match]\nPath=pci-0000:0b:00.0\n", "- driver=pci-0000:0b:00.0;"},
             {"[Match]\nName=ens3\n[Network]\nBond=b\n", "ens3 c;"},
             {"[Match]\nName=ens3\n[Network]\nVLAN=v\n", "ens3 c;"},
             {"[Match]\nName=ens3\n[Network]\nBatmanAdvanced=v\n", "ens3 c;"},
             {"[Match]\nName=br0\n", "br0 cv;"},
             {"[Match]\nType=ether\n", ""},
             {"[Network]\nAddress=10.0.0.2/24\n", "- s;"},
             {"[Link]\nMACAddress=AA\n[Match]\nName=ens3\n", "ens3;"},
         }) {
        CAPTURE(each.text);
        CHECK(settings_of("/etc/systemd/network/a.network", each.text) == each.settings);
    }
    CHECK(settings_of("/etc/systemd/network/a.netdev", "[NetDev]\nName=office\nKind=vlan\n") == "office cv;");
    CHECK(settings_of("/etc/systemd/network/a.netdev", "").empty());
    // Of a package: for cards of another kind, unless something else is for those of this machine.
    const std::string for_driver = "[Match]\nDriver=vmxnet3\n";
    CHECK(settings_of("/usr/lib/systemd/network/a.network", for_driver) == "- driver=vmxnet3;");
    CHECK(settings_of("/usr/lib/systemd/network/a.network", "[Match]\nName=ens3\n").empty());
    MemoryGuest with_any;
    with_any.file("/etc/systemd/network/z.network", "[Match]\nName=en*\n");
    CHECK(settings_of("/usr/lib/systemd/network/a.network", for_driver, with_any) == "en*;");
    MemoryGuest masked;
    masked.symlink("/etc/systemd/network/a.network", "/dev/null");
    CHECK(settings_of("/usr/lib/systemd/network/a.network", for_driver, masked).empty());
    CHECK(settings_of("/usr/lib/systemd/network/c.network", "[Match]\nKind=veth\nDriver=x\n").empty());
    CHECK(settings_of("/usr/lib/systemd/network/c.network", "[Match]\nVirtualization=container\nDriver=x\n").empty());
}

TEST_CASE("NetworkManager's profiles are read") {
    const std::string ethernet = "[connection]\ntype=ethernet\n";
    for (const Case& each : {
             Case{"interface-name=ens3\n", "ens3;"},
             {"", ""},
             {"interface-name=ens3\n[ipv4]\nmethod=manual\n", "ens3 s;"},
             {"[ipv6]\nmethod=manual\n", "- s;"},
             {"[ipv4]\nmethod=auto\n", ""},
             {"[ethernet]\nmac-address=AA\n", "- mac=AA;"},
             {"[802-3-ethernet]\nmac-address=AA\n", "- mac=AA;"},
             {"[match]\ninterface-name=en*\n", "en*;"},
             {"[match]\ndriver=vmxnet3\n", "- driver=vmxnet3;"},
             {"[match]\npath=pci-1\n", "- driver=pci-1;"},
             {"interface-name=ens3\nmaster=bond0\n", "ens3 c;"},
             {"interface-name=ens3\ncontroller=bond0\n", "ens3 c;"},
             {"slave-type=bridge\n", "- c;"},
             {"port-type=team\n", "- c;"},
         }) {
        CAPTURE(each.text);
        CHECK(settings_of("/etc/NetworkManager/system-connections/a", ethernet + each.text) == each.settings);
    }
    for (const Case& each : {
             Case{"type=loopback\ninterface-name=lo\n", ""},
             {"type=wifi\ninterface-name=wl\n", ""},
             {"type=802-11-wireless\n[ipv4]\nmethod=manual\n", ""},
             {"type=gsm\ninterface-name=x\n", ""},
             {"type=bluetooth\ninterface-name=x\n", ""},
             {"type=802-3-ethernet\ninterface-name=ens3\n", "ens3;"},
             {"type=bond\ninterface-name=uplink\n", "uplink cv;"},
             {"type=vlan\ninterface-name=office\n[vlan]\nparent=ens3\n", "ens3 c;office cv;"},
             {"type=vlan\n[vlan]\nparent=ens3\n", "ens3 c;- cv;"},
             {"type=vlan\ninterface-name=ens3.5\n", "ens3 c;ens3.5 cv;"},
             {"type=macvlan\n[macvlan]\nparent=ens4\n", "ens4 c;- cv;"},
             {"type=ip-tunnel\n[ip-tunnel]\nparent=ens4\n", "ens4 c;- cv;"},
         }) {
        CAPTURE(each.text);
        CHECK(settings_of("/etc/NetworkManager/system-connections/a", "[connection]\n" + std::string(each.text)) ==
              each.settings);
    }
}

TEST_CASE("ifupdown's stanzas are read with their options and commands") {
    for (const Case& each : {
             Case{"auto lo\niface lo inet loopback\n", ""},
             {"iface eth0 inet dhcp\n", "eth0;"},
             {"iface eth0 inet static\n address 10.0.0.2/24\n", "eth0 s;"},
             {"iface eth0\n address 10.0.0.2/24\n", "eth0 s;"},
             {"iface eth0 inet dhcp\n hwaddress ether AA:BB\n", "eth0 mac=AA:BB;"},
             {"iface eth0 inet dhcp\n match-mac AA:BB\n", "eth0 mac=AA:BB;"},
             {"iface eth0 inet dhcp\n#hwaddress AA\n\n mtu 9000\n", "eth0;"},
             {"iface\n hwaddress AA\n", ""},
             {"iface eth0 inet dhcp\nauto eth1\n hwaddress AA\n", "eth0;"},
             {"iface eth0 inet dhcp\nallow-hotplug eth0\n address x\n", "eth0;"},
             {"iface eth0 inet dhcp\nsource x\n address y\n", "eth0;"},
             {"iface eth0 inet dhcp\nmapping x\n address y\n", "eth0;"},
             {"iface eth0.5 inet dhcp\n", "eth0.5 cv;eth0 c;"},
             {"iface wlan0 inet dhcp\n", "wlan0 c;"},
             {"iface he inet6 v4tunnel\n", "he cv;"},
             {"iface x inet6 6to4\n", "x cv;"},
             {"iface x inet ppp\n", "x cv;"},
             {"iface x inet wvdial\n", "x cv;"},
             {"iface lan inet dhcp\n bridge_ports ens3 ens4\n", "lan cv;ens3 c;ens4 c;"},
             {"iface lan inet dhcp\n bridge-ports none\n", "lan cv;"},
             {"iface lan inet dhcp\n bridge_ports regex eth* all\n", "lan cv;"},
             {"iface b inet dhcp\n bond-slaves office1\n", "b cv;office1 c;"},
             {"iface office inet dhcp\n bond-master b\n", "office c;"},
             {"iface v inet dhcp\n vlan-raw-device ens3\n", "v cv;ens3 c;"},
             {"iface v inet dhcp\n ovs_type OVSPort\n ovs_bridge br0\n", "v c;"},
             {"iface v inet dhcp\n ovs_type OVSBridge\n ovs_ports ens3\n", "v cv;ens3 c;"},
             {"iface v inet dhcp\n up ip link add v type bridge\n", "v cv;"},
             {"iface v inet dhcp\n pre-up ip link add link ens3 name v type vlan id 5\n", "v cv;ens3 c;"},
             {"iface ens3 inet dhcp\n post-up ip link add dev v type dummy\n", "ens3 c;"},
             {"iface ens3 inet dhcp\n up /sbin/ip tunnel add x\n", "ens3 c;"},
             {"iface v inet dhcp\n pre-up brctl addbr $IFACE\n", "v cv;"},
             {"iface v inet dhcp\n pre-up brctl addbr v\n up brctl addif v ens3\n", "v cv;ens3 c;"},
             {"iface v inet dhcp\n pre-up wg-quick up v\n", "v cv;"},
             {"iface ens3 inet dhcp\n up ifenslave bond0 ens3\n", "ens3 c;"},
             {"iface ens3 inet dhcp\n up echo brctl\n down ip link del x\n", "ens3 c;"},
             {"iface ens3 inet dhcp\n up route add default\n", "ens3;"},
             {"iface \\\nens3 inet \\\nstatic\n", "ens3 s;"},
         }) {
        CAPTURE(each.text);
        CHECK(settings_of("/etc/network/interfaces", each.text) == each.settings);
    }
}

TEST_CASE("ifupdown's files are found by those that name them") {
    MemoryGuest guest;
    guest.file("/etc/network/interfaces", "source cards/*\nsource-directory /etc/more\nsources x\nsource /etc/none\n");
    guest.file("/etc/network/cards/a", "source /etc/inner\n")
        .file("/etc/more/b", "")
        .file("/etc/inner", "source a b\n");
    guest.file("/etc/network/interfaces.d/c", "source /etc/network/interfaces\n").file("/etc/network/b", "");
    CHECK(ifupdown_files(PlanBuilder(guest)) ==
          std::vector<std::string>{"/etc/network/interfaces", "/etc/network/cards/a", "/etc/more/b", "/etc/inner",
                                   "/etc/network/b", "/etc/network/interfaces.d/c"});
}

TEST_CASE("ifcfg files of Red Hat and SUSE are read") {
    for (const Case& each : {
             Case{"DEVICE=eth0\nBOOTPROTO=dhcp\n", "eth0;"},
             {"BOOTPROTO=dhcp\n", "a;"},
             {"DEVICE=lo\n", ""},
             {"DEVICE=eth0\nHWADDR=AA\n", "eth0 mac=AA;"},
             {"LLADDR_MATCH='AA'\n", "a mac=AA;"},
             {"IPADDR=10.0.0.2\n", "a s;"},
             {"IPADDR0=10.0.0.2\n", "a s;"},
             {"IPADDR_0=10.0.0.2\n", "a s;"},
             {"BOOTPROTO='STATIC'\n", "a s;"},
             {"BOOTPROTO=none\n", "a;"},
             {"TYPE=Ethernet\n", "a;"},
             {"TYPE=Bond\n", "a cv;"},
             {"INTERFACETYPE=vlan\n", "a cv;"},
             {"DEVICE=eth0\nMASTER=bond0\nSLAVE=yes\n", "eth0 c;"},
             {"DEVICE=eth0\nSLAVE=TRUE\n", "eth0 c;"},
             {"DEVICE=eth0\nSLAVE=no\n", "eth0;"},
             {"DEVICE=eth0\nBRIDGE=br0\n", "eth0 c;"},
             {"DEVICE=lan\nBRIDGE=yes\nBRIDGE_PORTS='eth0 eth1'\n", "lan cv;eth0 c;eth1 c;"},
             {"DEVICE=eth0\nTEAM_MASTER=t\n", "eth0 c;"},
             {"DEVICE=eth0\nDEVICETYPE=TeamPort\n", "eth0 c;"},
             {"DEVICE=t\nDEVICETYPE=Team\n", "t cv;"},
             {"DEVICE=eth0\nTYPE=OVSPort\n", "eth0 c;"},
             {"DEVICE=v\nVLAN=yes\nPHYSDEV=ens3\n", "v cv;ens3 c;"},
             {"DEVICE=ens3.7\nVLAN=yes\n", "ens3.7 cv;ens3 c;"},
             {"ETHERDEVICE=eth2\nVLAN_ID=5\n", "a cv;eth2 c;"},
             {"BONDING_MASTER=yes\nBONDING_SLAVE0=eth0\nBONDING_SLAVE1=eth1\n", "a cv;eth0 c;eth1 c;"},
             {"BONDING_SLAVE_0=eth0\nBONDING_SLAVE_1=eth1\n", "a cv;eth0 c;eth1 c;"},
             {"TUNNEL=sit\n", "a cv;"},
             {"VRF=x\n", "a cv;"},
         }) {
        CAPTURE(each.text);
        // One after the other in either folder: they are read alike.
        const bool of_suse = std::string_view(each.text).size() % 2 != 0;
        CHECK(settings_of(of_suse ? "/etc/sysconfig/network/ifcfg-a" : "/etc/sysconfig/network-scripts/ifcfg-a",
                          each.text) == each.settings);
    }
    for (const char* copy :
         {"a.template", "a~", "a.bak", "a.orig", "a.rpmnew", "a.rpmorig", "a.rpmsave", "a.swp", "lo"})
        CHECK(settings_of("/etc/sysconfig/network/ifcfg-" + std::string(copy), "IPADDR=1\n").empty());
    CHECK(settings_of("/etc/sysconfig/network/ifcfg-bond0", "BOOTPROTO=dhcp\n") == "bond0 cv;");
}

TEST_CASE("Stanzas go, and the loopback's and what is no stanza stay") {
    struct Text {
        const char* before;
        const char* after;
    };
    for (const Text& each : {
             Text{"", ""},
             {"auto lo\niface lo inet loopback\n", "auto lo\niface lo inet loopback\n"},
             {"# c\nauto lo eth0\niface lo inet loopback\n mtu 1\n\niface eth0 inet static\n address x\n# d\n",
              "# c\nauto lo\niface lo inet loopback\n mtu 1\n\n# d\n"},
             {"allow-hotplug eth0\niface eth0 inet dhcp\n", ""},
             {"auto eth0 \\\n eth1\niface lo inet loopback\n", "iface lo inet loopback\n"},
             {"auto lo \\\n eth1\niface lo inet loopback\n", "auto lo\niface lo inet loopback\n"},
             {"iface eth0 inet \\\n dhcp\nsource x/*\n", "source x/*\n"},
             {"iface eth0 inet dhcp\n up a \\\n b\nsource-directory x\n", "source-directory x\n"},
             {"mapping eth*\n script x\nno-auto-down x\n", "no-auto-down x\n"},
             {"iface lo inet loopback\n up a \\\n b\n", "iface lo inet loopback\n up a \\\n b\n"},
             {"rename a=b\ntemplate x\nno-scripts y\n", "rename a=b\ntemplate x\nno-scripts y\n"},
         }) {
        CAPTURE(each.before);
        CHECK(without_interfaces(each.before) == each.after);
        CHECK(without_interfaces(each.after) == each.after);
    }
}

TEST_CASE("What binds a setting to a MAC address goes, and what gives one stays") {
    struct Text {
        NetworkStack stack;
        const char* before;
        const char* after;
    };
    using enum NetworkStack;
    for (const Text& each : {
             Text{netplan, "a:\n  match:\n    macaddress: x\n  set-name: a\n  dhcp4: true\n", "a:\n  dhcp4: true\n"},
             {netplan, "a:\n  match:\n    macaddress: x\n    name: e*\n", "a:\n  match:\n    name: e*\n"},
             {netplan, "a:\n  match:\n    name: e*\n    macaddress: x\n", "a:\n  match:\n    name: e*\n"},
             {netplan, "a:\n  match:\n    # the old card\n    macaddress: x\n  dhcp4: true\n",
              "a:\n    # the old card\n  dhcp4: true\n"},
             {netplan, "a:\n  match: {macaddress: x}\n", "a:\n"},
             {netplan, "a:\n  match: {name: e*, macaddress: x}\n", "a:\n  match: {name: e*}\n"},
             {netplan, "a:\n  match: {macaddress: x, name: e*}\n", "a:\n  match: { name: e*}\n"},
             {netplan, "a:\n  match: {name: e*}\n", "a:\n  match: {name: e*}\n"},
             {cloud_init, "- type: physical\n  name: eth0\n  mac_address: x\n  subnets: []\n",
              "- type: physical\n  name: eth0\n  subnets: []\n"},
             {cloud_init, "  - mac_address: x\n    type: physical\n", "  - type: physical\n"},
             {networkd, "[Match]\nMACAddress=x\nName=y\n[Link]\nMACAddress=z\n",
              "[Match]\nName=y\n[Link]\nMACAddress=z\n"},
             {networkd, "[Match]\n PermanentMACAddress = x\n", "[Match]\n"},
             {network_manager, "[ethernet]\nmac-address=x\ncloned-mac-address=y\nmac-address-blacklist=z\n",
              "[ethernet]\ncloned-mac-address=y\nmac-address-blacklist=z\n"},
             {ifupdown, "iface a inet dhcp\n hwaddress ether x\n match-mac y\n mtu 1\n", "iface a inet dhcp\n mtu 1\n"},
             {ifcfg, "DEVICE=a\nHWADDR=x\nMACADDR=y\nLLADDR_MATCH='z'\n", "DEVICE=a\nMACADDR=y\n"},
             {ifcfg, "DEVICE='a\n", "DEVICE='a\n"},
         }) {
        CAPTURE(each.before);
        CHECK(without_mac_address(each.before, each.stack) == each.after);
    }
}
