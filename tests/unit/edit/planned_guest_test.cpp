// What a report says is left: of the guest as it will be, not as it was.
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/edit/planned_guest.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/inspect/machine_problems.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using vm2oci::test::MemoryGuest;

namespace {

MemoryGuest some_guest() {
    MemoryGuest guest;
    guest.file("/usr/lib/systemd/systemd", "")
        .symlink("/sbin/init", "/usr/lib/systemd/systemd")
        .symlink("/etc/mtab", "/proc/mounts")
        .file("/etc/fstab", "/dev/sda1 / ext4 rw 0 1\n.host:/ /mnt/hgfs vmhgfs defaults 0 0\n")
        .file("/etc/udev/rules.d/70-persistent-net.rules",
              "SUBSYSTEM==\"net\", ATTR{address}==\"00:50:56:aa:bb:01\", NAME=\"eth0\"\n")
        .file("/etc/netplan/a.yaml",
              "network:\n  ethernets:\n    x:\n      match:\n        driver: vmxnet3\n      dhcp4: true\n")
        .file("/var/log/old/a", "1")
        .file("/var/log/old/b", "2");
    return guest;
}

EditPlan planned(const MemoryGuest& guest, const char* fixes, const char* sysprep = "none") {
    EditRequest request;
    request.fixes = select_fixes(fixes);
    request.sysprep = select_sysprep(sysprep);
    return plan_edits(guest, {{1, "ext4", "root-uuid", "part-1"}}, request);
}

std::string ids_of(const OpenedGuest& opened) {
    std::string ids;
    for (const MachineProblem& problem : find_machine_problems(opened))
        ids += problem.id + " ";
    return ids;
}

} // namespace

TEST_CASE("A planned guest shows what the edits make, and the rest as it was") {
    const MemoryGuest guest = some_guest();
    PlanBuilder builder(guest);
    builder.begin("x");
    builder.write("/etc/hostname", "new\n", "r");
    builder.write("/etc/fstab", "changed\n", "r", {0600, 0, 0, {}});
    builder.make_symlink("/etc/name", "hostname", "r");
    builder.remove("/var/log/old", "r");
    builder.make_folder("/srv/made", "r");
    builder.append("/etc/netplan/a.yaml", "# more\n", "r");
    builder.write_host_file("/usr/bin/tool", "/nowhere", 7, "r", {0755, 0, 0, {}});
    const PlannedGuest then(guest, std::move(builder).finish());
    CHECK(then.read_file("/etc/name", 100) == "new\n");
    CHECK(then.read_link("/etc/name") == "hostname");
    CHECK(then.read_link("/etc/mtab") == "/proc/mounts");
    CHECK(then.read_file("/etc/fstab", 100) == "changed\n");
    CHECK(then.read_range("/etc/fstab", 2, 3) == "ang");
    CHECK(then.status("/etc/fstab", FinalLink::follow)->permissions == 0600);
    CHECK_FALSE(then.status("/var/log/old/a", FinalLink::keep));
    CHECK_FALSE(then.list("/var/log/old"));
    CHECK(then.list("/var/log") == std::vector<std::string>());
    CHECK(then.list("/srv") == std::vector<std::string>{"made"});
    CHECK(then.status("/usr/bin/tool", FinalLink::keep)->size == 7);
    CHECK_FALSE(then.read_file("/usr/bin/tool", 100));
    CHECK(then.read_file("/etc/udev/rules.d/70-persistent-net.rules", 1000) ==
          guest.read_file("/etc/udev/rules.d/70-persistent-net.rules", 1000));
    CHECK_THROWS(then.read_file("/etc/fstab", 3));
}

TEST_CASE("Problems that an edit mends are not left, and the others are") {
    const MemoryGuest guest = some_guest();
    OpenedGuest opened;
    opened.guest = std::make_unique<MemoryGuest>(guest);
    opened.fstab = parse_fstab(guest.read_file("/etc/fstab", 1000).value());
    opened.fstab_volumes = {0, std::nullopt};
    Volume root;
    root.name = "partition 1";
    root.signature = Signature{ContentKind::file_system, "ext4", "root-uuid", "", ""};
    opened.layout.volumes.push_back(root);
    CHECK(ids_of(opened) == "host-share interface-driver ");

    const OpenedGuest without_network = as_planned(opened, planned(guest, "network"));
    CHECK(ids_of(without_network) == "host-share ");
    const OpenedGuest without_tools = as_planned(opened, planned(guest, "tools,devices"));
    CHECK(ids_of(without_tools) == "interface-driver ");
    REQUIRE(without_tools.fstab.size() == 1);
    CHECK(without_tools.fstab_volumes[0] == 0u); // by its UUID now

    // Another edit may do what a fix would have done.
    const auto network_problems = [](const OpenedGuest& which) {
        unsigned count = 0;
        for (const BootProblem& problem : diagnose(*which.guest, {}, {}))
            count += problem.text.find("rules tie interface names") != std::string::npos ? 1U : 0U;
        return count;
    };
    CHECK(network_problems(opened) == 1);
    CHECK(network_problems(as_planned(opened, planned(guest, "none", "udev-persistent-net"))) == 0);
}
