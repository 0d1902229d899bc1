// Every edit over every phony guest: what comes of it, guest by guest, and what holds for all of them.
#include "formats/base/error.hpp"
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/shell_text.hpp"
#include "libconvert/edit/yaml.hpp"
#include "tests/support/phony_edits.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <set>

using namespace vm2oci;
using vm2oci::test::MemoryGuest;
using vm2oci::test::phony_edits;
using vm2oci::test::phony_guests;
using vm2oci::test::PhonyEdit;
using vm2oci::test::PhonyGuest;
using vm2oci::test::plan_phony_edit;
using vm2oci::test::with_edits;

namespace {

std::string content(const MemoryGuest& guest, const std::string& path) {
    return guest.read_file(path, 1 << 20).value_or("");
}

EditRequest only_fix(const char* name) {
    EditRequest request;
    request.fixes = select_fixes(name);
    return request;
}

// What --fix=network writes, who makes host keys once they are gone, and where the serial login comes from.
struct Row {
    const char* guest;
    const char* network; // the file that asks by DHCP; "" where nothing is to be done
    const char* keys;    // the file that is written to make keys; "" where the guest makes them by itself
    const char* login;   // the file that is changed for a login; "" where the kernel's console is enough
};

constexpr const char* kProfile = "/etc/NetworkManager/system-connections/vm2oci-wired.nmconnection";
constexpr const char* kUnit = "/etc/systemd/system/vm2oci-ssh-host-keys.service";
constexpr const char* kJob = "/etc/init/vm2oci-ssh-host-keys.conf";
constexpr const char* kTable = "/etc/inittab";
constexpr const char* kIfcfg = "/etc/sysconfig/network-scripts/ifcfg-eth0";
constexpr const char* kSuseIfcfg = "/etc/sysconfig/network/ifcfg-eth0";
constexpr const char* kStanzas = "/etc/network/interfaces";
constexpr const char* kPlan = "/etc/netplan/50-vm2oci.yaml";

const Row kRows[] = {
    {"rhel 5", kIfcfg, "", kTable},
    {"rhel 6", kIfcfg, "", ""},
    {"centos 5", kIfcfg, "", kTable},
    {"centos 6", kIfcfg, "", ""},
    {"ol 5", kIfcfg, "", kTable},
    {"ol 6", kIfcfg, "", ""},
    {"rhel 7", kProfile, "", ""},
    {"rhel 8", kProfile, "", ""},
    {"rhel 9", kProfile, "", ""},
    {"rhel 10", kProfile, "", ""},
    {"centos 7", kProfile, "", ""},
    {"centos 8", kProfile, "", ""},
    {"centos 9", kProfile, "", ""},
    {"centos 10", kProfile, "", ""},
    {"ol 7", kProfile, "", ""},
    {"ol 8", kProfile, "", ""},
    {"ol 9", kProfile, "", ""},
    {"ol 10", kProfile, "", ""},
    {"fedora 32", kProfile, "", ""},
    {"fedora 42", kProfile, "", ""},
    {"amzn 2", "", "", ""},
    {"amzn 2023", "/etc/systemd/network/80-vm2oci.network", "", ""},
    {"sles 11.4", kSuseIfcfg, "", kTable},
    {"sles 12.5", kSuseIfcfg, "", ""},
    {"sles 15.6", kSuseIfcfg, "", ""},
    {"opensuse-leap 15.6", kSuseIfcfg, "", ""},
    {"opensuse-leap 16.0", kProfile, "", ""},
    {"debian 7", kStanzas, kTable, kTable},
    {"debian 8", kStanzas, kUnit, ""},
    {"debian 9", kStanzas, kUnit, ""},
    {"debian 10", kStanzas, kUnit, ""},
    {"debian 11", kStanzas, kUnit, ""},
    {"debian 12", kStanzas, kUnit, ""},
    {"debian 13", kStanzas, kUnit, ""},
    {"ubuntu 10.04", kStanzas, kJob, "/etc/init/ttyS0.conf"},
    {"ubuntu 12.04", kStanzas, kJob, "/etc/init/ttyS0.conf"},
    {"ubuntu 14.04", kStanzas, kJob, "/etc/init/ttyS0.conf"},
    {"ubuntu 16.04", kStanzas, kUnit, ""},
    {"ubuntu 18.04", kPlan, kUnit, ""},
    {"ubuntu 20.04", kPlan, kUnit, ""},
    {"ubuntu 22.04", kPlan, kUnit, ""},
    {"ubuntu 24.04", kPlan, kUnit, ""},
    // Their list of sources is long: cloud-init runs only where one of these answers.
    {"ubuntu 18.04 cloud", kPlan, kUnit, ""},
    {"ubuntu 20.04 cloud", kPlan, kUnit, ""},
    {"ubuntu 22.04 cloud", kPlan, kUnit, ""},
    {"ubuntu 24.04 cloud", kPlan, kUnit, ""},
    {"ubuntu 24.04 subiquity", kPlan, kUnit, ""},
    {"alpine 3.20", kStanzas, "", kTable},
    {"arch", "/etc/systemd/network/80-vm2oci.network", "", ""},
    {"void", "", "", "/etc/runit/runsvdir/default/agetty-ttyS0"},
    {"gentoo", "", "", kTable},
    {"photon 5", "", "", ""},
    {"flatcar", "", "", ""},
    {"rhel 7 cloud", "", "", ""},
    {"rhel 8 cloud", "", "", ""},
    {"rhel 9 cloud", "", "", ""},
    {"rhel 10 cloud", "", "", ""},
    {"centos 9 cloud", "", "", ""},
    {"ol 9 cloud", "", "", ""},
    {"rocky 9 cloud", "", "", ""},
    {"almalinux 9 cloud", "", "", ""},
    {"fedora 42 cloud", "", "", ""},
    {"sles 15.6 cloud", "", "", ""},
    {"opensuse-leap 15.6 cloud", "", "", ""},
    {"debian 10 cloud", kStanzas, kUnit, ""},
    {"debian 11 cloud", kStanzas, kUnit, ""},
    {"debian 12 cloud", "", kUnit, ""},
    {"debian 13 cloud", "", kUnit, ""},
    {"arch cloud", "", "", ""},
    {"photon 5 vmware cloud", "", "", ""},
};

// Under VMware a guest needs what it needs elsewhere, and more.
const Row* row_of(std::string name) {
    if (name.ends_with(" vmware"))
        name.erase(name.size() - std::string_view(" vmware").size());
    const Row* row =
        std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& each) { return each.guest == name; });
    return row == std::end(kRows) ? nullptr : row;
}

} // namespace

TEST_CASE("Every guest of the population gets what its distribution needs") {
    std::set<std::string> seen;
    for (const auto& [name, guest] : phony_guests()) {
        INFO(name);
        REQUIRE(row_of(name) != nullptr);
        const Row& row = *row_of(name);
        seen.insert(row.guest);

        const EditPlan network = plan_phony_edit(guest, only_fix("network"));
        const MemoryGuest connected = with_edits(guest, network);
        if (*row.network == '\0') {
            CHECK(network.edits.empty());
        } else {
            INFO(to_text(network));
            const std::string text = content(connected, row.network);
            CHECK((text.find("dhcp") != std::string::npos || text.find("DHCP=yes") != std::string::npos ||
                   text.find("method=auto") != std::string::npos));
            CHECK(text.find("10.0.0.5") == std::string::npos);
        }

        EditRequest keys;
        keys.sysprep = {"ssh-host-keys"};
        const EditPlan without_keys = plan_phony_edit(guest, keys);
        const MemoryGuest keyless = with_edits(guest, without_keys);
        INFO(to_text(without_keys));
        CHECK_FALSE(keyless.status("/etc/ssh/ssh_host_rsa_key", FinalLink::keep));
        std::set<std::string> written;
        for (const Edit& edit : without_keys.edits)
            if (edit.kind == EditKind::write_file && edit.path != "/usr/local/lib/vm2oci/ssh-host-keys")
                written.insert(edit.path);
        CHECK(written == (*row.keys == '\0' ? std::set<std::string>() : std::set<std::string>{row.keys}));

        const EditPlan console = plan_phony_edit(guest, only_fix("console"));
        const MemoryGuest spoken = with_edits(guest, console);
        INFO(to_text(console));
        if (*row.login == '\0') {
            for (const char* path : {kTable, "/etc/init/ttyS0.conf", "/etc/runit/runsvdir/default/agetty-ttyS0"})
                CHECK(content(spoken, path) == content(guest, path));
        } else {
            const auto status = spoken.status(row.login, FinalLink::keep);
            REQUIRE(status);
            CHECK((status->type == FileType::symlink ||
                   content(spoken, row.login).find("\nexec") != std::string::npos ||
                   content(spoken, row.login).find("ttyS0") != std::string::npos));
        }
    }
    CHECK(seen.size() == std::size(kRows));
}

TEST_CASE("What VMware left in a guest is not started, its disks are named by what they hold, and the rest is told") {
    unsigned guests = 0;
    for (const auto& [name, guest] : phony_guests()) {
        if (!name.ends_with(" vmware"))
            continue;
        INFO(name);
        ++guests;
        const EditPlan tools = plan_phony_edit(guest, only_fix("tools"));
        INFO(to_text(tools));
        const MemoryGuest quiet = with_edits(guest, tools);
        const PlanBuilder builder(quiet);
        const bool systemd = init_system(builder) == InitSystem::systemd;
        unsigned stopped = 0;
        for (const char* service : {"vmware-tools", "open-vm-tools", "vmtoolsd", "vgauthd", "vgauth"}) {
            if (service_state(builder, service) == ServiceState::absent)
                continue;
            CHECK(service_state(builder, service) == ServiceState::disabled);
            ++stopped;
        }
        CHECK(stopped >= (systemd ? 2 : 1));

        const EditPlan devices = plan_phony_edit(guest, only_fix("devices"));
        INFO(to_text(devices));
        const std::string table = content(with_edits(guest, devices), "/etc/fstab");
        CHECK(table.find("UUID=1111-aaaa / ext4") != std::string::npos);
        CHECK(table.find("UUID=2222-bbbb swap") != std::string::npos);
        std::string told;
        for (const EditFinding& finding : devices.findings)
            told += finding.text + "\n";
        INFO(told + table);
        CHECK(told.find("/dev/sdb1") != std::string::npos);
        CHECK(content(quiet, "/etc/fstab").find("\n#.host:/ /mnt/hgfs vmhgfs") != std::string::npos);
    }
    CHECK(guests >= 40);
}

TEST_CASE("A guest is examined without listing a large folder again and again") {
    for (const PhonyGuest& each : phony_guests()) {
        INFO(each.name);
        const MemoryGuest guest = each.guest;
        const unsigned before = guest.listings("/etc");
        diagnose(guest, {}, {});
        CHECK(guest.listings("/etc") - before <= 4); // one for each service would be some twenty
    }
}

TEST_CASE("Over the whole population, an edit made twice changes nothing the second time, and says what it changes") {
    for (const PhonyGuest& each : phony_guests())
        for (const PhonyEdit& request : phony_edits()) {
            INFO(each.name + ": " + request.name);
            const EditPlan plan = plan_phony_edit(each.guest, request.make(each.guest));
            const MemoryGuest changed = with_edits(each.guest, plan);
            const auto before = each.guest.snapshot();
            const auto now = changed.snapshot();

            // What differs is what the plan names, and nothing that it names is as it was.
            const auto is_named = [&](const std::string& path) {
                for (const Edit& edit : plan.edits)
                    if (edit.path == path || path.starts_with(edit.path + "/") || edit.path.starts_with(path + "/"))
                        return true;
                return false;
            };
            for (const auto& [path, node] : now)
                if (const auto old = before.find(path); old == before.end() || old->second != node) {
                    INFO(path);
                    CHECK(is_named(path));
                }
            for (const auto& [path, node] : before)
                if (!now.contains(path)) {
                    INFO(path);
                    CHECK(is_named(path));
                }
            for (const Edit& edit : plan.edits) {
                INFO(edit.path);
                const auto old = before.find(edit.path);
                const auto new_one = now.find(edit.path);
                const bool same = old != before.end() && new_one != now.end() && old->second == new_one->second;
                const bool never = old == before.end() && new_one == now.end();
                CHECK_FALSE(same);
                CHECK_FALSE(never);
            }

            const EditPlan again = plan_phony_edit(changed, request.make(changed));
            INFO(to_text(again));
            CHECK(again.edits.empty());

            for (const auto& [path, node] : now)
                if (const auto old = before.find(path); old == before.end() || old->second != node) {
                    INFO(path);
                    const std::string text = content(changed, path);
                    if (path.ends_with(".yaml") || path.ends_with("meta-data") ||
                        path.starts_with("/etc/cloud/cloud.cfg"))
                        CHECK_NOTHROW(parse_yaml(text));
                    if (path.starts_with("/etc/default/") || path.starts_with("/etc/sysconfig/") ||
                        text.starts_with("#!/bin/sh"))
                        CHECK(shell_assignments(text));
                }
        }
}

TEST_CASE("The network that cloud-init keeps for itself gives way to the one that the seed brings") {
    const MemoryGuest guest = vm2oci::test::phony_guest("ubuntu 24.04 subiquity").guest;
    EditRequest request;
    request.cloud_init.user_data = "#cloud-config\n{}\n";
    const MemoryGuest seeded = with_edits(guest, plan_phony_edit(guest, request));
    CHECK(seeded.status("/etc/cloud/cloud.cfg.d/90-installer-network.cfg", FinalLink::keep));
    request.cloud_init.network_config = "version: 2\nethernets: {all: {match: {name: 'e*'}, dhcp4: true}}\n";
    const MemoryGuest networked = with_edits(guest, plan_phony_edit(guest, request));
    CHECK_FALSE(networked.status("/etc/cloud/cloud.cfg.d/90-installer-network.cfg", FinalLink::keep));
    CHECK_FALSE(networked.status("/etc/netplan/50-cloud-init.yaml", FinalLink::keep));
    // --fix=network takes it, too: cloud-init would write the old network anew.
    const MemoryGuest fixed = with_edits(guest, plan_phony_edit(guest, only_fix("network")));
    CHECK_FALSE(fixed.status("/etc/cloud/cloud.cfg.d/90-installer-network.cfg", FinalLink::keep));
}

TEST_CASE("A seed makes cloud-init run on every guest that has it, however it was switched off") {
    const std::vector<std::function<void(MemoryGuest&)>> ways = {
        [](MemoryGuest&) {},
        [](MemoryGuest& guest) { guest.file("/etc/cloud/cloud-init.disabled", ""); },
        [](MemoryGuest& guest) { guest.file("/etc/cloud/ds-identify.cfg", "policy: disabled\n"); },
        [](MemoryGuest& guest) { guest.symlink("/etc/systemd/system/cloud-init.target", "/dev/null"); },
        [](MemoryGuest& guest) { guest.file("/etc/systemd/system/cloud-init.service", ""); },
        [](MemoryGuest& guest) { guest.remove("/etc/systemd/system/cloud-init.target.wants"); },
        [](MemoryGuest& guest) { guest.symlink("/etc/systemd/system-generators/cloud-init-generator", "/dev/null"); },
        [](MemoryGuest& guest) {
            guest.file("/boot/grub/grub.cfg", "linux /v root=x cloud-init=disabled\n")
                .remove("/boot/grub2")
                .remove("/boot/loader");
        },
    };
    unsigned guests = 0;
    for (const PhonyGuest& each : phony_guests())
        for (std::size_t way = 0; way < ways.size(); ++way) {
            MemoryGuest guest = each.guest;
            if (!guest.status("/usr/bin/cloud-init", FinalLink::follow))
                continue;
            ++guests;
            ways[way](guest);
            INFO(each.name << ", way " << way);
            EditRequest request;
            request.cloud_init.user_data = "#cloud-config\n{}\n";
            const MemoryGuest seeded = with_edits(guest, plan_phony_edit(guest, request));
            const PlanBuilder builder(seeded);
            CHECK(cloud_init_obstacle(builder).empty());
            CHECK(cloud_init_certainly_runs(builder));
        }
    CHECK(guests >= 8 * ways.size());
}
