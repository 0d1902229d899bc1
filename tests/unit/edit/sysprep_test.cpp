#include "formats/base/error.hpp"
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/edit/planners.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;
using vm2oci::test::MemoryGuest;

namespace {

const Edit* find_edit(const EditPlan& plan, const std::string& path) {
    for (const Edit& edit : plan.edits)
        if (edit.path == path)
            return &edit;
    return nullptr;
}

EditPlan sysprep(const MemoryGuest& guest, std::string_view list) {
    EditRequest request;
    request.sysprep = select_sysprep(list);
    return plan_edits(guest, {}, request);
}

} // namespace

TEST_CASE("Sets of operations are chosen by name") {
    const auto all = select_sysprep("all");
    const auto defaults = select_sysprep("");
    CHECK(all.size() == sysprep_operations().size());
    CHECK(defaults.size() < all.size());
    CHECK(select_sysprep("none").empty());
    CHECK(select_sysprep("tmp,machine-id") == std::vector<std::string>{"machine-id", "tmp"});
    const auto changed = select_sysprep("+kerberos,-logs");
    CHECK(changed.size() == defaults.size());
    CHECK(std::find(changed.begin(), changed.end(), "kerberos") != changed.end());
    CHECK(std::find(changed.begin(), changed.end(), "logs") == changed.end());
    CHECK_THROWS_WITH(select_sysprep("nonsense"), Catch::Contains("machine-id"));
    CHECK_THROWS_AS(select_sysprep("tmp,+logs"), Error);
}

TEST_CASE("Names of the old machine go out of the network's configuration, and the rest of it stays") {
    MemoryGuest guest;
    guest.file("/etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=old.example\n")
        .file("/etc/sysconfig/network-scripts/ifcfg-eth0",
              "DEVICE=eth0\nHWADDR=00:50:56:00:00:01\nDHCP_HOSTNAME=old\nHOSTNAMES=1\n")
        .file("/etc/sysconfig/network-scripts/ifcfg-lo", "DEVICE=lo");
    const EditPlan plan = sysprep(guest, "network-hostname,mac-addresses");
    CHECK(find_edit(plan, "/etc/sysconfig/network")->content == "NETWORKING=yes\n");
    const Edit* last = nullptr;
    for (const Edit& edit : plan.edits)
        if (edit.path == "/etc/sysconfig/network-scripts/ifcfg-eth0")
            last = &edit;
    REQUIRE(last != nullptr);
    CHECK(last->content == "DEVICE=eth0\nHOSTNAMES=1\n");
    CHECK(find_edit(plan, "/etc/sysconfig/network-scripts/ifcfg-lo") == nullptr);
}

TEST_CASE("The machine's identity goes") {
    MemoryGuest guest;
    guest.file("/usr/lib/systemd/systemd", "")
        .file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0444)
        .file("/var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n")
        .file("/etc/ssh/ssh_host_rsa_key", "k")
        .file("/etc/ssh/ssh_host_rsa_key.pub", "k")
        .file("/etc/ssh/sshd_config", "")
        .file("/var/lib/systemd/random-seed", "s")
        .file("/root/.bash_history", "h")
        .file("/var/log/syslog", "l")
        .file("/var/log/syslog.1.gz", "l")
        .file("/var/log/apt/history.log", "l")
        .file("/var/log/journal/abc/system.journal", "j")
        .file("/tmp/x/y", "t")
        .file("/var/cache/apt/archives/a.deb", "d");
    const EditPlan plan = sysprep(guest, "");
    const Edit* id = find_edit(plan, "/etc/machine-id");
    REQUIRE(id != nullptr);
    CHECK(id->kind == EditKind::write_file);
    CHECK(id->content.empty());
    CHECK_FALSE(id->attributes.permissions);
    const auto dbus = std::find_if(plan.edits.begin(), plan.edits.end(), [](const Edit& edit) {
        return edit.path == "/var/lib/dbus/machine-id" && edit.kind == EditKind::make_symlink;
    });
    REQUIRE(dbus != plan.edits.end());
    CHECK(dbus->link_target == "/etc/machine-id");
    for (const char* path : {"/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_rsa_key.pub",
                             "/var/lib/systemd/random-seed", "/root/.bash_history", "/var/log/syslog.1.gz",
                             "/var/log/journal/abc", "/tmp/x", "/var/cache/apt/archives/a.deb"}) {
        INFO(path);
        REQUIRE(find_edit(plan, path) != nullptr);
        CHECK(find_edit(plan, path)->kind == EditKind::remove);
    }
    CHECK(find_edit(plan, "/var/log/syslog")->content.empty());
    CHECK(find_edit(plan, "/var/log/apt/history.log")->kind == EditKind::write_file);
    CHECK(find_edit(plan, "/etc/ssh/sshd_config") == nullptr);
    CHECK(find_edit(plan, "/tmp") == nullptr);
}

TEST_CASE("Host keys come back on systems where nothing else makes them") {
    MemoryGuest debian;
    debian.file("/usr/lib/systemd/systemd", "").file("/usr/sbin/sshd", "").file("/usr/bin/ssh-keygen", "");
    const EditPlan plan = sysprep(debian, "ssh-host-keys");
    CHECK(find_edit(plan, "/etc/systemd/system/vm2oci-ssh-host-keys.service") != nullptr);
    const Edit* link = find_edit(plan, "/etc/systemd/system/multi-user.target.wants/vm2oci-ssh-host-keys.service");
    REQUIRE(link != nullptr);
    CHECK(link->link_target == "/etc/systemd/system/vm2oci-ssh-host-keys.service");
    debian.file("/usr/lib/systemd/system/sshd-keygen.target", "");
    CHECK(sysprep(debian, "ssh-host-keys").edits.empty());
}

TEST_CASE("An absent machine-id is made empty under systemd, and left absent elsewhere") {
    MemoryGuest systemd;
    systemd.file("/usr/lib/systemd/systemd", "");
    CHECK(find_edit(sysprep(systemd, "machine-id"), "/etc/machine-id")->content.empty());
    CHECK(sysprep(MemoryGuest(), "machine-id").edits.empty());
}

TEST_CASE("Root's password is locked, and other lines stay") {
    MemoryGuest guest;
    guest.file("/etc/shadow", "root:$y$x:19000:0:::::\nann:$y$z:1::::::\n", 0640);
    const Edit* edit = nullptr;
    const EditPlan plan = sysprep(guest, "root-password");
    edit = find_edit(plan, "/etc/shadow");
    REQUIRE(edit != nullptr);
    CHECK(edit->content == "root:*:19000:0:::::\nann:$y$z:1::::::\n");
}
