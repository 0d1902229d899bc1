// --fix=network: bonds, bridges, VLANs and tunnels in every stack, stacks that do not run, names that no card has.
#include "libconvert/edit/network_settings.hpp"
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/inspect/machine_problems.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;
using vm2oci::test::MemoryGuest;

namespace {

EditPlan fix_network(const MemoryGuest& guest, const char* mode = "network") {
    EditRequest request;
    request.fixes = select_fixes(mode);
    return plan_edits(guest, {}, request);
}

const Edit* edit_of(const EditPlan& plan, const std::string& path) {
    for (const Edit& edit : plan.edits)
        if (edit.path == path)
            return &edit;
    return nullptr;
}

bool finds(const EditPlan& plan, const std::string& text) {
    return std::any_of(plan.findings.begin(), plan.findings.end(),
                       [&](const EditFinding& each) { return each.text.find(text) != std::string::npos; });
}

constexpr const char* kNames = "/usr/local/lib/vm2oci/interface-name";

MemoryGuest systemd_guest() {
    MemoryGuest guest;
    guest.file("/usr/lib/systemd/systemd", "").symlink("/sbin/init", "/usr/lib/systemd/systemd");
    return guest;
}

struct Stacked {
    const char* what;
    std::vector<std::pair<const char*, const char*>> files;
    const char* cards; // that keep their names; "": none is named
};

const Stacked kStacked[] = {
    {"ifupdown: VLAN by its name",
     {{"/etc/network/interfaces",
       "iface eno1 inet manual\nauto eno1.30\niface eno1.30 inet static\n address 10.3.0.2/24\n"}},
     "eno1"},
    {"ifupdown: bond with underscores, in a sourced file",
     {{"/etc/network/interfaces", "source /etc/network/cards/*.conf\nauto lo\niface lo inet loopback\n"},
      {"/etc/network/cards/bond.conf", "iface bond7 inet static\n address 10.0.0.9/24\n bond_slaves ens3f0 ens3f1\n"}},
     "ens3f0 ens3f1"},
    {"ifupdown: bridge by hand",
     {{"/etc/network/interfaces", "iface ens256 inet manual\niface lan inet static\n address 10.0.0.9/24\n"
                                  " pre-up ip link add name lan type bridge\n up ip link set ens256 master lan\n"}},
     "ens256"},
    {"ifupdown: WireGuard",
     {{"/etc/network/interfaces", "iface ens160 inet dhcp\n"},
      {"/etc/network/interfaces.d/wg",
       "auto wg9\niface wg9 inet static\n address 10.9.0.1/24\n pre-up wg-quick up wg9\n"}},
     "ens160"},
    {"ifupdown: option behind a continued line",
     {{"/etc/network/interfaces",
       "iface ens160 inet manual\niface office inet static\n address 10.0.0.2/24\n bridge_ports \\\n  ens160\n"}},
     "ens160"},
    {"networkd: VLAN",
     {{"/etc/systemd/network/a.netdev", "[NetDev]\nName=office\nKind=vlan\n[VLAN]\nId=7\n"},
      {"/etc/systemd/network/b.network", "[Match]\nName=enp4s0\n[Network]\nVLAN=other\nVLAN=office\n"}},
     "enp4s0"},
    {"networkd: a bond by a name of its own, with an address",
     {{"/etc/systemd/network/a.netdev", "[NetDev]\nName=uplink\nKind=bond\n"},
      {"/etc/systemd/network/b.network", "[Match]\nName=uplink\n[Network]\nAddress=10.0.0.2/24\n"},
      {"/etc/systemd/network/c.network", "[Match]\nName=ens1 ens2\n[Network]\nBond=uplink\n"}},
     "ens1 ens2"},
    {"networkd: WireGuard, beside a plain card",
     {{"/etc/systemd/network/50-tunnel.netdev", "[NetDev]\nName=office\nKind=wireguard\n"},
      {"/etc/systemd/network/20-card.network", "[Match]\nName=ens192\n[Network]\nAddress=10.0.0.2/24\n"}},
     "ens192"},
    {"ifcfg: bond without TYPE",
     {{"/etc/sysconfig/network-scripts/ifcfg-agg", "DEVICE=agg\nBONDING_OPTS='mode=4'\nIPADDR=10.0.0.2\n"},
      {"/etc/sysconfig/network-scripts/ifcfg-em1", "DEVICE=em1\nMASTER=agg\nSLAVE=yes\n"},
      {"/etc/sysconfig/network-scripts/ifcfg-em2", "DEVICE=em2\nMASTER=agg\nSLAVE=yes\n"}},
     "em1 em2"},
    {"ifcfg: team",
     {{"/etc/sysconfig/network-scripts/ifcfg-uplink",
       "DEVICE=uplink\nDEVICETYPE=Team\nTEAM_CONFIG='{\"runner\": 1}'\n"},
      {"/etc/sysconfig/network-scripts/ifcfg-ens224", "DEVICE=ens224\nDEVICETYPE=TeamPort\nTEAM_MASTER=uplink\n"}},
     "ens224"},
    {"ifcfg of SUSE: VLAN",
     {{"/etc/sysconfig/network/ifcfg-eth2", "BOOTPROTO='none'\nSTARTMODE='auto'\n"},
      {"/etc/sysconfig/network/ifcfg-office", "ETHERDEVICE='eth2'\nVLAN_ID='12'\nIPADDR='10.0.0.2/24'\n"}},
     "eth2"},
    {"netplan: the bond is in another file",
     {{"/etc/netplan/10-cards.yaml", "network:\n  ethernets:\n    ens192: {}\n    ens224: {}\n"},
      {"/etc/netplan/20-more.yaml",
       "network:\n  bonds:\n    uplink:\n      interfaces: [ens192, ens224]\n      addresses: [10.0.0.2/24]\n"}},
     "ens192 ens224"},
    {"netplan: a file that cannot be read",
     {{"/etc/netplan/10-card.yaml", "network:\n  ethernets: {ens192: {dhcp4: true}}\n"},
      {"/etc/netplan/20-other.yaml", "network:\n\tbonds: {}\n"}},
     "ens192"},
    {"netplan: tunnel",
     {{"/etc/netplan/a.yaml",
       "network:\n  ethernets: {ens192: {addresses: [10.0.0.2/24]}}\n  tunnels: {office: {mode: wireguard}}\n"}},
     "ens192"},
    {"NetworkManager: bridge",
     {{"/etc/NetworkManager/system-connections/lan.nmconnection",
       "[connection]\nid=lan\ntype=bridge\ninterface-name=lan\n[ipv4]\nmethod=manual\n"},
      {"/etc/NetworkManager/system-connections/port.nmconnection",
       "[connection]\nid=port\ntype=ethernet\ninterface-name=ens161\ncontroller=lan\nport-type=bridge\n"},
      {"/usr/sbin/NetworkManager", ""}},
     "ens161"},
    {"cloud-init: bond of version 1",
     {{"/etc/cloud/cloud.cfg.d/50-curtin-networking.cfg",
       "network:\n  version: 1\n  config:\n  - {type: physical, name: ens192}\n  - {type: bond, name: uplink, "
       "bond_interfaces: [ens192]}\n"},
      {"/usr/bin/cloud-init", ""}},
     "ens192"},
};

} // namespace

TEST_CASE("What is built on top of cards keeps the guest's network whole, in every stack") {
    for (const Stacked& each : kStacked) {
        INFO(each.what);
        MemoryGuest guest = systemd_guest();
        for (const auto& [path, text] : each.files)
            guest.file(path, text);
        const EditPlan plan = fix_network(guest);
        INFO(to_text(plan));
        for (const auto& [path, text] : each.files)
            CHECK(edit_of(plan, path) == nullptr);
        CHECK(finds(plan, "stay whole"));
        const Edit* names = edit_of(plan, kNames);
        REQUIRE(names != nullptr);
        CHECK(names->content.find("names=\"" + std::string(each.cards) + "\"") != std::string::npos);
        for (const Edit& edit : plan.edits)
            CHECK((edit.path == kNames || edit.path == "/etc/udev/rules.d/81-vm2oci-net.rules" ||
                   edit.kind == EditKind::make_folder));
    }
}

TEST_CASE("Old MAC addresses go even where the network stays whole") {
    MemoryGuest guest;
    guest.file("/etc/inittab", "id:3:initdefault:\n")
        .file("/etc/sysconfig/network-scripts/ifcfg-eth0",
              "DEVICE=eth0\nHWADDR=\"00:50:56:00:00:01\"\nMASTER=bond1\nSLAVE=yes\n")
        .file("/etc/sysconfig/network-scripts/ifcfg-bond1", "DEVICE=bond1\nIPADDR=10.0.0.2\n")
        .file("/etc/udev/rules.d/60-site-net.rules", "KERNEL==\"sda\", MODE=\"0600\"\nSUBSYSTEM==\"net\", "
                                                     "ATTR{address}==\"00:50:56:00:00:01\", NAME=\"eth0\"\n");
    const EditPlan plan = fix_network(guest);
    CHECK(edit_of(plan, "/etc/sysconfig/network-scripts/ifcfg-eth0")->content ==
          "DEVICE=eth0\nMASTER=bond1\nSLAVE=yes\n");
    CHECK(edit_of(plan, "/etc/udev/rules.d/60-site-net.rules")->content == "KERNEL==\"sda\", MODE=\"0600\"\n");
    CHECK(edit_of(plan, kNames) == nullptr); // the kernel's own names
}

TEST_CASE("An administrator's masks stay") {
    MemoryGuest guest = systemd_guest();
    guest.symlink("/etc/udev/rules.d/80-net-setup-link.rules", "/dev/null")
        .symlink("/etc/udev/rules.d/75-persistent-net-generator.rules", "/dev/null")
        .file("/etc/udev/rules.d/70-persistent-net.rules", "# none\n\n")
        .symlink("/etc/systemd/network/99-default.link", "/dev/null")
        .symlink("/root/.bash_history", "/dev/null");
    CHECK(fix_network(guest).edits.empty());
    EditRequest request;
    request.sysprep = {"udev-persistent-net", "shell-history"};
    CHECK(plan_edits(guest, {}, request).edits.empty());
}

TEST_CASE("Only stacks that run are read and written") {
    MemoryGuest guest = systemd_guest();
    guest.file("/usr/sbin/NetworkManager", "")
        .file("/usr/lib/systemd/system/NetworkManager.service", "[Install]\nWantedBy=multi-user.target\n")
        .file("/etc/NetworkManager/system-connections/old.nmconnection", "[connection]\ntype=bond\n")
        .file("/etc/systemd/network/a.network", "[Match]\nName=ens192\n[Network]\nDHCP=yes\n");
    const EditPlan plan = fix_network(guest);
    CHECK(edit_of(plan, "/etc/systemd/network/80-vm2oci.network") != nullptr);
    CHECK(edit_of(plan, "/etc/NetworkManager/system-connections/vm2oci-wired.nmconnection") == nullptr);
    CHECK(edit_of(plan, "/etc/NetworkManager/system-connections/old.nmconnection") == nullptr);
    CHECK(finds(plan, "NetworkManager is switched off"));

    // Masked counts as switched off, and enabled makes the bond count.
    guest.symlink("/etc/systemd/system/multi-user.target.wants/NetworkManager.service",
                  "/usr/lib/systemd/system/NetworkManager.service");
    CHECK(finds(fix_network(guest), "stay whole"));
    guest.symlink("/etc/systemd/system/NetworkManager.service", "/dev/null");
    CHECK(edit_of(fix_network(guest), "/etc/systemd/network/80-vm2oci.network") != nullptr);
}

TEST_CASE("Without NetworkManager, the network service's card gets the name that its file has") {
    for (const char* folder : {"/etc/sysconfig/network-scripts/", "/etc/sysconfig/network/"}) {
        MemoryGuest guest = systemd_guest();
        guest.file(folder + std::string("ifcfg-ens192"), "BOOTPROTO=static\nIPADDR=10.0.0.2\n");
        const EditPlan plan = fix_network(guest);
        INFO(folder);
        REQUIRE(edit_of(plan, folder + std::string("ifcfg-eth0")) != nullptr);
        CHECK(edit_of(plan, folder + std::string("ifcfg-ens192"))->kind == EditKind::remove);
        CHECK(edit_of(plan, kNames)->content.find("names=\"eth0\"") != std::string::npos);
        guest.file("/boot/grub2/grub.cfg", "linux /vmlinuz net.ifnames=0 console=ttyS0\n");
        CHECK(edit_of(fix_network(guest), kNames) == nullptr);
    }
}

TEST_CASE("Settings for a driver, a slot, or one of another hypervisor's names are for this machine no more") {
    for (const char* text :
         {"network:\n  ethernets:\n    x:\n      match: {driver: [vmxnet3, e1000]}\n      dhcp4: true\n",
          "network:\n  ethernets:\n    enX0: {dhcp4: true}\n", "network:\n  ethernets:\n    p2p1: {dhcp4: true}\n"}) {
        MemoryGuest guest = systemd_guest();
        guest.file("/etc/netplan/a.yaml", text);
        INFO(text);
        CHECK(edit_of(fix_network(guest), "/etc/netplan/50-vm2oci.yaml") != nullptr);
    }
    MemoryGuest virtio = systemd_guest();
    virtio.file("/etc/netplan/a.yaml",
                "network:\n  ethernets:\n    x:\n      match: {driver: virtio_net}\n      dhcp4: true\n");
    CHECK(fix_network(virtio).edits.empty());
    for (const char* name :
         {"ens192", "enp0s3", "eno1", "enx0011", "enP2p0s1", "em1", "em12", "p1p1", "p10p2_1", "enX0", "end0"})
        CHECK(is_slot_name(name));
    for (const char* name : {"eth0", "em", "emulator", "p1", "ppp0", "en*", "lan", "wlan0", "e1"})
        CHECK_FALSE(is_slot_name(name));
}

TEST_CASE("A card that only what lies above it names keeps its name, whichever stack that is of") {
    const std::vector<std::pair<std::vector<std::pair<const char*, const char*>>, const char*>> kCases = {
        {{{"/etc/network/interfaces", "auto ens224.12\niface ens224.12 inet dhcp\n"}}, "ens224"},
        {{{"/etc/network/interfaces",
           "auto v12\niface v12 inet static\n address 10.0.0.2/24\n vlan_raw_device eno2\n"}},
         "eno2"},
        {{{"/etc/network/interfaces", "iface up0 inet static\n address 10.0.0.2/24\n"
                                      " pre-up ip link add link enp11s0 name up0 type vlan id 4\n"}},
         "enp11s0"},
        {{{"/etc/network/interfaces", "iface ens4 inet static\n address 10.0.0.2/24\niface far inet tunnel\n"
                                      " mode gre\n endpoint 192.0.2.7\n address 10.9.0.1\n"}},
         "ens4"},
        {{{"/etc/sysconfig/network-scripts/ifcfg-p1p2.30", "DEVICE=p1p2.30\nVLAN=yes\nIPADDR=10.0.0.2\n"}}, "p1p2"},
        {{{"/etc/sysconfig/network-scripts/ifcfg-office",
           "DEVICE=office\nTYPE=Vlan\nPHYSDEV=em2\nVLAN_ID=9\nBOOTPROTO=dhcp\n"}},
         "em2"},
        {{{"/etc/sysconfig/network/ifcfg-vlan8", "ETHERDEVICE='ens33'\nVLAN_ID='8'\nBOOTPROTO='dhcp'\n"}}, "ens33"},
        {{{"/etc/sysconfig/network/ifcfg-lan", "BRIDGE='yes'\nBRIDGE_PORTS='ens34 ens35'\nIPADDR='10.0.0.2/24'\n"}},
         "ens34 ens35"},
        {{{"/etc/NetworkManager/system-connections/v.nmconnection",
           "[connection]\ntype=vlan\ninterface-name=dmz\n[vlan]\nid=3\nparent=ens161\n[ipv4]\nmethod=manual\n"},
          {"/usr/sbin/NetworkManager", ""}},
         "ens161"},
        {{{"/etc/cloud/cloud.cfg.d/50-curtin-networking.cfg",
           "network:\n  version: 1\n  config:\n  - {type: vlan, name: v3, vlan_link: ens9, vlan_id: 3}\n"
           "  - {type: bond, name: both, bond_interfaces: [enp5s0, enp6s0]}\n"},
          {"/usr/bin/cloud-init", ""},
          {"/usr/lib/cloud-init/ds-identify", ""}},
         "ens9 enp5s0 enp6s0"},
    };
    for (const auto& [files, cards] : kCases) {
        MemoryGuest guest = systemd_guest();
        for (const auto& [path, text] : files)
            guest.file(path, text);
        const EditPlan plan = fix_network(guest);
        INFO(files.front().second << to_text(plan));
        REQUIRE(edit_of(plan, kNames) != nullptr);
        CHECK(edit_of(plan, kNames)->content.find("names=\"" + std::string(cards) + "\"") != std::string::npos);
        CHECK(edit_of(plan, files.front().first) == nullptr);
    }
}

TEST_CASE("Of a list of drivers each counts, with patterns and reversed") {
    for (const char* list : {"virtio_net", "vmxnet3 virtio_net", "vmxnet3;virtio_net;", "virtio*", "v*", "*",
                             "!vmxnet3", "!e1000 vmxnet3", ""})
        CHECK(takes_virtio_cards(list));
    for (const char* list : {"vmxnet3", "ena ixgbevf vif", "hv_netvsc;", "vm*", "!virtio_net", "!virtio*", "virtio"})
        CHECK_FALSE(takes_virtio_cards(list));
    MemoryGuest guest = systemd_guest();
    guest.file("/etc/netplan/a.yaml",
               "network:\n  ethernets:\n    x:\n      match: {driver: [hv_netvsc, virtio_net]}\n      dhcp4: true\n");
    CHECK(fix_network(guest).edits.empty());
    guest = systemd_guest();
    guest.file("/etc/systemd/network/a.network", "[Match]\nDriver=e1000 virtio_net\n[Network]\nDHCP=yes\n");
    CHECK(fix_network(guest).edits.empty());
}

TEST_CASE("A package's settings for other cards stay, and an own one goes before them") {
    MemoryGuest guest = systemd_guest();
    guest.file("/usr/lib/systemd/network/70-cloud.network", "[Match]\nDriver=gve\n[Network]\nDHCP=yes\n")
        .file("/usr/lib/systemd/network/80-container-ve.network",
              "[Match]\nKind=veth\nName=ve-*\n[Network]\nAddress=0.0.0.0/28\n")
        .file("/usr/lib/systemd/network/80-container-host0.network",
              "[Match]\nVirtualization=container\nDriver=veth\n[Network]\nDHCP=yes\n");
    const EditPlan plan = fix_network(guest);
    INFO(to_text(plan));
    CHECK(edit_of(plan, "/etc/systemd/network/80-vm2oci.network") != nullptr);
    CHECK(edit_of(plan, "/usr/lib/systemd/network/70-cloud.network") == nullptr);
    CHECK(finds(plan, "70-cloud.network is for cards of gve alone"));
    CHECK_FALSE(finds(plan, "80-container"));
    // It is enough, and so is one of another package.
    MemoryGuest taken = guest;
    taken.file("/usr/lib/systemd/network/zz-default.network", "[Network]\nDHCP=yes\n");
    CHECK(fix_network(taken).edits.empty());
    taken = guest;
    taken.file("/etc/systemd/network/80-vm2oci.network",
               edit_of(plan, "/etc/systemd/network/80-vm2oci.network")->content);
    CHECK(fix_network(taken).edits.empty());
    // One of the same name in /etc stands in its place.
    guest.file("/etc/systemd/network/70-cloud.network", "[Match]\nName=en*\n[Network]\nDHCP=yes\n");
    CHECK(fix_network(guest).edits.empty());
}

TEST_CASE("eth0 of hypervisors without slots is let go where systemd would name it otherwise") {
    const std::vector<std::pair<std::vector<std::pair<const char*, const char*>>, const char*>> kCases = {
        {{{"/etc/network/interfaces", "auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet dhcp\n"}},
         "/etc/network/interfaces"},
        {{{"/etc/systemd/network/10.network", "[Match]\nName=eth1\n[Network]\nDHCP=yes\n"}},
         "/etc/systemd/network/80-vm2oci.network"},
        {{{"/etc/netplan/a.yaml", "network:\n  ethernets:\n    eth0: {dhcp4: true}\n"}}, "/etc/netplan/50-vm2oci.yaml"},
        {{{"/etc/NetworkManager/system-connections/eth0.nmconnection",
           "[connection]\ntype=ethernet\ninterface-name=eth0\n[ipv4]\nmethod=auto\n"},
          {"/usr/sbin/NetworkManager", ""}},
         "/etc/NetworkManager/system-connections/vm2oci-wired.nmconnection"},
    };
    for (const auto& [files, written] : kCases) {
        MemoryGuest guest = systemd_guest();
        for (const auto& [path, text] : files)
            guest.file(path, text);
        CHECK(fix_network(guest).edits.empty()); // nothing renames cards
        guest.file("/usr/lib/systemd/network/99-default.link", "[Link]\nNamePolicy=slot\n");
        INFO(written);
        CHECK(edit_of(fix_network(guest), written) != nullptr);
        guest.file("/boot/grub/grub.cfg", "linux /vmlinuz net.ifnames=0 console=ttyS0\n");
        CHECK(fix_network(guest).edits.empty());
    }
}

TEST_CASE("Files that go on naming a card that is called otherwise are told") {
    MemoryGuest guest = systemd_guest();
    guest.file("/etc/netplan/a.yaml", "network:\n  ethernets:\n    ens5: {addresses: [10.0.0.2/24]}\n")
        .file("/etc/wireguard/office.conf", "[Interface]\nPostUp = iptables -A FORWARD -o ens5 -j ACCEPT\n")
        .file("/etc/sysctl.d/10-net.conf", "net.ipv4.conf.ens5.rp_filter = 0\n")
        .file("/etc/nftables.conf", "# ens5\niifname \"ens53\" accept\n");
    const EditPlan plan = fix_network(guest);
    CHECK(finds(plan, "/etc/wireguard/office.conf names ens5"));
    CHECK(finds(plan, "/etc/sysctl.d/10-net.conf names ens5"));
    CHECK_FALSE(finds(plan, "nftables"));
    CHECK(edit_of(plan, "/etc/wireguard/office.conf") == nullptr);
    // Where cards keep their names, these are right.
    CHECK_FALSE(finds(fix_network(guest, "network:pin"), "office.conf"));
}

TEST_CASE("NetworkManager stays netplan's renderer") {
    MemoryGuest guest = systemd_guest();
    guest.file("/etc/netplan/01-network-manager-all.yaml", "network:\n  version: 2\n  renderer: NetworkManager\n")
        .file("/etc/netplan/90-card.yaml", "network:\n  ethernets: {ens160: {addresses: [10.0.0.2/24]}}\n");
    CHECK(edit_of(fix_network(guest), "/etc/netplan/50-vm2oci.yaml")->content.find("\n  renderer: NetworkManager\n") !=
          std::string::npos);
}

TEST_CASE("keep takes a MAC address out where something else tells the card, and says where nothing does") {
    MemoryGuest guest = systemd_guest();
    guest
        .file(
            "/etc/netplan/a.yaml",
            "network:\n  ethernets:\n    uplink:\n      match: {macaddress: '00:50:56:00:00:01'}\n      dhcp4: true\n")
        .file("/etc/netplan/b.yaml", "network:\n  ethernets:\n    x:\n      match: {name: 'e*', macaddress: "
                                     "'00:50:56:00:00:02'}\n      dhcp4: true\n")
        .file("/etc/systemd/network/c.network",
              "[Match]\nMACAddress=00:50:56:00:00:03\n[Link]\nMACAddress=02:00:00:00:00:01\n");
    const EditPlan plan = fix_network(guest, "network:keep");
    CHECK(edit_of(plan, "/etc/netplan/a.yaml") == nullptr);
    CHECK(finds(plan, "00:50:56:00:00:01 alone, and stays so"));
    CHECK(edit_of(plan, "/etc/netplan/b.yaml")->content ==
          "network:\n  ethernets:\n    x:\n      match: {name: 'e*'}\n      dhcp4: true\n");
    CHECK(edit_of(plan, "/etc/systemd/network/c.network") == nullptr);
}

TEST_CASE("Settings of programs that are not read here are named") {
    MemoryGuest guest = systemd_guest();
    guest.file("/etc/netctl/office", "Description='x'\nInterface=ens192\nIP=static\n")
        .file("/etc/netctl/examples/bond", "Interface=bond0\n")
        .file("/etc/dhcpcd.conf", "# interface eth0\nhostname\n");
    const EditPlan plan = fix_network(guest);
    CHECK(plan.edits.empty());
    CHECK(finds(plan, "/etc/netctl/office has settings"));
    CHECK_FALSE(finds(plan, "dhcpcd"));
    CHECK_FALSE(finds(plan, "examples"));
    guest.file("/etc/dhcpcd.conf", "interface eth0\nstatic ip_address=10.0.0.2/24\n");
    CHECK(finds(fix_network(guest), "/etc/dhcpcd.conf"));
}

TEST_CASE("A static address on any card is found in networkd's settings") {
    MemoryGuest guest = systemd_guest();
    guest.file("/etc/systemd/network/all.network", "[Match]\nType=ether\n[Address]\nAddress=10.0.0.2/24\n");
    CHECK(edit_of(fix_network(guest), "/etc/systemd/network/all.network")->kind == EditKind::remove);
}

TEST_CASE("Names of what settings make are told from names of cards") {
    for (const char* name :
         {"br0", "br-lan", "bond12", "eth0.5", "wg_home", "vmbr0", "tun0", "team0", "vxlan42", "ovs-system"})
        CHECK(is_virtual_name(name));
    for (const char* name : {"eth0", "green0", "brick0", "lan", "ens192", "wan0", "tapestry", "sitelan"})
        CHECK_FALSE(is_virtual_name(name));
}
