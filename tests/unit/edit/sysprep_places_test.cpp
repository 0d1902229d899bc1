// Each path that sysprep takes, by operation, with a neighbour that it leaves; and what plans say of themselves.
#include "libconvert/edit/plan.hpp"
#include "libconvert/edit/plan_builder.hpp"
#include "libconvert/edit/space.hpp"
#include "tests/unit/edit/edit_fixture.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

struct Place {
    const char* operation;
    const char* path;
    const char* stays; // beside it; "": nothing is like it
};

constexpr Place kPlaces[] = {
    {"random-seed", "/var/lib/systemd/random-seed", "/var/lib/systemd/random-seeds"},
    {"random-seed", "/var/lib/urandom/random-seed", ""},
    {"random-seed", "/var/lib/random-seed", ""},
    {"random-seed", "/var/lib/misc/random-seed", "/var/lib/misc/other"},
    {"random-seed", "/var/lib/seedrng/seed.credit", ""},
    {"random-seed", "/var/lib/systemd/credential.secret", ""},
    {"dhcp-leases", "/var/lib/dhcp/dhclient.eth0.leases", "/var/lib/dhcp/dhclient.conf"},
    {"dhcp-leases", "/var/lib/dhclient/dhclient.lease", "/var/lib/dhclient/x.conf"},
    {"dhcp-leases", "/var/lib/dhcpcd/eth0.lease", ""},
    {"dhcp-leases", "/var/lib/dhcpcd5/duid", ""},
    {"dhcp-leases", "/var/lib/NetworkManager/internal-1-eth0.lease", "/var/lib/NetworkManager/NetworkManager.state"},
    {"dhcp-leases", "/var/lib/NetworkManager/secret_key", ""},
    {"dhcp-leases", "/var/lib/systemd/network/x", ""},
    {"dhcp-leases", "/var/lib/wicked/lease-eth0-dhcp-ipv4.xml", "/var/lib/wicked/state.xml"},
    {"dhcp-leases", "/var/lib/wicked/duid.xml", ""},
    {"udev-persistent-net", "/etc/udev/rules.d/70-persistent-net.rules", "/etc/udev/rules.d/70-mine.rules"},
    {"udev-persistent-net", "/etc/udev/rules.d/70-persistent-cd.rules", ""},
    {"cloud-init", "/var/lib/cloud/instances", "/var/lib/cloud/seed"},
    {"cloud-init", "/var/log/cloud-init.log", "/var/log/cloud.log"},
    {"cloud-init", "/var/log/cloud-init-output.log.1", ""},
    {"shell-history", "/root/.bash_history", "/root/.bashrc"},
    {"shell-history", "/home/ann/.zsh_history", "/home/ann/notes_history"},
    {"shell-history", "/home/ann/.lesshst", ""},
    {"shell-history", "/root/.viminfo", ""},
    {"package-cache", "/var/cache/apt/archives/x.deb", "/var/cache/apt/archives/lock"},
    {"package-cache", "/var/cache/apt/pkgcache.bin", ""},
    {"package-cache", "/var/lib/apt/lists/deb.debian.org_x", ""},
    {"package-cache", "/var/cache/dnf/baseos", ""},
    {"package-cache", "/var/cache/libdnf5/baseos", ""},
    {"package-cache", "/var/cache/zypp/raw", ""},
    {"package-cache", "/var/cache/apk/APKINDEX.tar.gz", ""},
    {"package-cache", "/var/cache/pacman/pkg/x.zst", ""},
    {"package-cache", "/var/lib/rpm/__db.001", "/var/lib/rpm/Packages"},
    {"reporting-ids", "/var/lib/zypp/AnonymousUniqueId", "/var/lib/zypp/LastDistributionFlavor"},
    {"reporting-ids", "/var/lib/yum/uuid", ""},
    {"mail", "/var/spool/mail/root", ""},
    {"mail", "/var/spool/postfix/deferred/A", "/var/spool/postfix/x"},
    {"crash-data", "/var/crash/vmcore", ""},
    {"crash-data", "/var/lib/systemd/coredump/core.x", ""},
    {"device-caches", "/etc/blkid.tab", "/etc/blkid.conf"},
    {"device-caches", "/etc/lvm/cache/.cache", ""},
    {"device-caches", "/etc/lvm/devices/system.devices", "/etc/lvm/lvm.conf"},
    {"account-backups", "/etc/shadow-", "/etc/shadow"},
    {"account-backups", "/etc/subuid-", ""},
    {"installer-leftovers", "/root/anaconda-ks.cfg", "/root/ks.cfg"},
    {"installer-leftovers", "/root/install.log.syslog", ""},
    {"installer-leftovers", "/var/log/installer", ""},
    {"network-profiles", "/etc/NetworkManager/system-connections/x", "/etc/NetworkManager/NetworkManager.conf"},
    {"dhcp-server", "/var/lib/dhcpd/dhcpd.leases", ""},
    {"dhcp-server", "/var/lib/dhcp/dhcpd6.leases~", "/var/lib/dhcp/dhclient.leases"},
    {"dhcp-server", "/var/lib/kea/kea-leases4.csv.2", "/var/lib/kea/kea.conf"},
    {"editor-backups", "/etc/fstab~", "/etc/fstab"},
    {"editor-backups", "/etc/ssh/sshd_config.bak", ""},
    {"editor-backups", "/home/ann/x.bak", "/home/ann/x"},
    {"ssh-user-keys", "/home/ann/.ssh", ""},
    {"ssh-user-keys", "/root/.ssh", ""},
    {"cron-spool", "/var/spool/cron/crontabs/ann", ""},
    {"cron-spool", "/var/spool/at/a0001", "/var/spool/at/spool"},
    {"kerberos", "/etc/krb5.keytab", "/etc/krb5.conf"},
    {"directory-services", "/var/lib/sss/db/cache.ldb", ""},
    {"directory-services", "/var/lib/samba/secrets.tdb", "/var/lib/samba/x.conf"},
    {"subscriptions", "/etc/SUSEConnect", "/etc/SuSE-release"},
    {"subscriptions", "/etc/pki/entitlement/1.pem", ""},
    {"subscriptions", "/etc/sysconfig/rhn/systemid", ""},
    {"certificates", "/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/ssl/private/mine.key"},
    {"certificates", "/etc/pki/tls/private/localhost.key", "/etc/pki/tls/certs/ca-bundle.crt"},
    {"configuration-management", "/etc/salt/minion_id", "/etc/salt/minion"},
    {"configuration-management", "/etc/puppetlabs/puppet/ssl/private_keys", ""},
    {"firewall-rules", "/etc/sysconfig/iptables", "/etc/sysconfig/iptables-config"},
    {"firewall-rules", "/etc/firewalld/zones/public.xml", "/etc/firewalld/firewalld.conf"},
};

// A place ends in the name of a folder where it has no dot and stands for what services fill.
MemoryGuest guest_with(const Place& place) {
    MemoryGuest guest;
    guest.file(std::string(place.path) + (std::string_view(place.path).ends_with("/.ssh") ? "/id_rsa" : ""), "x");
    if (*place.stays != '\0')
        guest.file(place.stays, "x");
    return guest;
}

} // namespace

TEST_CASE("Each operation takes its own paths, and none beside them") {
    for (const Place& place : kPlaces) {
        CAPTURE(place.operation, place.path);
        const EditPlan plan = plan_sysprep_of(guest_with(place), place.operation);
        REQUIRE(plan.edits.size() == 1);
        CHECK(plan.edits[0].kind == EditKind::remove);
        CHECK(plan.edits[0].path == place.path);
        CHECK(plan.edits[0].operation == "sysprep:" + std::string(place.operation));
        // An administrator's link to nowhere is a setting.
        MemoryGuest masked;
        masked.symlink(place.path, "/dev/null");
        if (std::string_view(place.path) != "/var/lib/cloud/instances")
            CHECK(plan_sysprep_of(masked, place.operation).edits.empty());
        // Nothing there, nothing to do; and no other operation of those that only have paths takes it.
        CHECK(plan_sysprep_of(MemoryGuest(), place.operation).edits.empty());
    }
}

TEST_CASE("Each operation is on or off by default, and its summary begins its reason") {
    const std::vector<std::string> defaults = select_sysprep("");
    for (const Place& place : kPlaces) {
        CAPTURE(place.operation);
        const auto& all = sysprep_operations();
        const auto found = std::find_if(all.begin(), all.end(),
                                        [&](const SysprepOperation& each) { return each.name == place.operation; });
        REQUIRE(found != all.end());
        const bool on = std::find(defaults.begin(), defaults.end(), place.operation) != defaults.end();
        CHECK(on == (found->by_default == SysprepDefault::on));
        // Keys, passwords and settings of people are never taken unasked.
        for (const char* asked :
             {"ssh-user-keys", "root-password", "certificates", "firewall-rules", "network-profiles", "subscriptions",
              "kerberos", "cron-spool", "editor-backups", "dhcp-server"})
            CHECK(std::find(defaults.begin(), defaults.end(), asked) == defaults.end());
        CHECK(found->summary.front() >= 'A');
        CHECK(found->summary.front() <= 'Z');
    }
    CHECK(select_sysprep("all").size() == sysprep_operations().size());
    CHECK_THAT(refused(ErrorKind::usage, [] { select_sysprep("cloudinit"); }),
               Catch::StartsWith("among the operations of sysprep there is no 'cloudinit'"));
}

TEST_CASE("Logs are emptied where they are written, and removed where they were rotated") {
    MemoryGuest guest;
    for (const char* rotated : {"a.log.1", "b.gz", "c.xz", "d.old", "e-20240101", "sub/f.2.gz"})
        guest.file("/var/log/" + std::string(rotated), "x");
    for (const char* kept : {"syslog", "sub/deep/app.log", "empty"})
        guest.file("/var/log/" + std::string(kept), std::string_view(kept) == "empty" ? "" : "x", 0640, 5);
    guest.file("/var/log/journal/0123/system.journal", "x").symlink("/var/log/link", "syslog");
    guest.special("/var/log/pipe", FileType::fifo);
    const EditPlan plan = plan_sysprep_of(guest, "logs");
    for (const char* gone : {"a.log.1", "b.gz", "c.xz", "d.old", "e-20240101", "sub/f.2.gz", "journal/0123"}) {
        CAPTURE(gone);
        CHECK(removes(plan, "/var/log/" + std::string(gone)));
    }
    for (const char* emptied : {"syslog", "sub/deep/app.log"}) {
        CAPTURE(emptied);
        CHECK(written(plan, "/var/log/" + std::string(emptied)).empty());
    }
    CHECK(plan.edits.size() == 9);
}

TEST_CASE("Records of logins are emptied and not removed") {
    MemoryGuest guest;
    guest.file("/var/log/wtmp", "x", 0664, 0).file("/var/log/btmp", "").file("/var/account/pacct", "x");
    const EditPlan plan = plan_sysprep_of(guest, "login-records");
    CHECK(written(plan, "/var/log/wtmp").empty());
    CHECK(edit_at(plan, "/var/log/btmp") == nullptr);
    CHECK(removes(plan, "/var/account/pacct"));
    CHECK(plan.edits.size() == 2);
}

TEST_CASE("Settings of the network lose what is the old machine's alone") {
    MemoryGuest guest;
    guest.file("/etc/sysconfig/network-scripts/ifcfg-eth0",
               "DEVICE=eth0\nHWADDR=AA\nUUID=\"b\"\nDHCP_HOSTNAME=old\nMACADDR=CC\n");
    guest.file("/etc/sysconfig/network-scripts/ifcfg-bad", "HWADDR='AA\n");
    guest.file("/etc/sysconfig/network", "HOSTNAME=old\nGATEWAY=10.0.0.1\n");
    const EditPlan addresses = plan_sysprep_of(guest, "mac-addresses");
    CHECK(written(addresses, "/etc/sysconfig/network-scripts/ifcfg-eth0") ==
          "DEVICE=eth0\nDHCP_HOSTNAME=old\nMACADDR=CC\n");
    CHECK(tells(addresses, "/etc/sysconfig/network-scripts/ifcfg-bad cannot be read as shell, and is not changed"));
    CHECK(addresses.edits.size() == 1);
    const EditPlan names = plan_sysprep_of(guest, "network-hostname");
    CHECK(written(names, "/etc/sysconfig/network") == "GATEWAY=10.0.0.1\n");
    CHECK(written(names, "/etc/sysconfig/network-scripts/ifcfg-eth0") ==
          "DEVICE=eth0\nHWADDR=AA\nUUID=\"b\"\nMACADDR=CC\n");
    const EditPlan asked = plan_sysprep_of(guest, "reconfigure");
    REQUIRE(asked.edits.size() == 1);
    CHECK(asked.edits[0].path == "/.unconfigured");
    CHECK(asked.edits[0].attributes.permissions == 0644U);
}

TEST_CASE("A plan tells each edit in its own words, and what it found") {
    MemoryGuest guest;
    guest.file("/etc/a", "12345").file("/etc/b", "x").folder("/srv");
    PlanBuilder builder(guest);
    builder.begin("one");
    builder.write("/etc/a", std::string(2048, 'x'), "first", {0640, 5, {}, {}});
    builder.append("/etc/b", "yz", "second");
    builder.make_folder("/srv/d", "third", {0700, 1, 2, {}});
    builder.make_symlink("/srv/l", "a\nb", "fourth");
    builder.begin("two");
    builder.remove("/etc/none", "never");
    builder.remove("/srv/d", "fifth");
    builder.found("something");
    const EditPlan plan = builder.plan();
    CHECK(to_text(plan) == "write    /etc/a (2 KiB, mode 0640, owner 5:0)\n           one: first\n"
                           "append   /etc/b (2 B)\n           one: second\n"
                           "mkdir    /srv/d\n           one: third\n"
                           "symlink  /srv/l -> a\\x0ab\n           one: fourth\n"
                           "remove   /srv/d\n           two: fifth\n"
                           "found    two: something\n");
    const nlohmann::ordered_json json = to_json(plan);
    CHECK(json.dump() ==
          R"({"changed":[{"action":"write","path":"/etc/a","size":2048,"mode":"0640","uid":5,"operation":"one",)"
          R"("reason":"first"},{"action":"append","path":"/etc/b","size":2,"operation":"one","reason":"second"},)"
          R"({"action":"mkdir","path":"/srv/d","mode":"0700","uid":1,"gid":2,"operation":"one","reason":"third"},)"
          R"({"action":"symlink","path":"/srv/l","target":"a\\x0ab","operation":"one","reason":"fourth"},)"
          R"({"action":"remove","path":"/srv/d","operation":"two","reason":"fifth"}],)"
          R"("found":[{"operation":"two","text":"something"}]})");
    CHECK(to_text({}).empty());
    CHECK(to_json({}).dump() == R"({"changed":[],"found":[]})");
}

TEST_CASE("Room is counted to the byte and to the inode, by file systems") {
    const auto edit = [](EditKind kind, const char* path, std::uint64_t size = 0) {
        Edit made;
        made.kind = kind;
        made.path = path;
        made.size = size;
        return made;
    };
    const auto fits = [&](const std::vector<Edit>& edits, std::uint64_t free, std::uint64_t inodes = 100,
                          std::uint64_t all_inodes = 100) {
        MemoryGuest guest;
        guest.file("/big", std::string(5000, 'x')).file("/d/e/f", std::string(3000, 'x')).symlink("/l", "x");
        guest.mount({"/", "", "ext4", "", "", FileSystemUsage{1 << 20, free, all_inodes, inodes}});
        guest.mount({"/boot", "", "vfat", "", "", std::nullopt}); // nothing is known of it
        const std::string why = refused(ErrorKind::limit, [&] { check_space({edits, {}}, guest); });
        CHECK((why == "nothing was refused" || why.starts_with("the guest's file system on '/' is too full: ")));
        return why == "nothing was refused";
    };
    using enum EditKind;
    // A file takes whole blocks of 1024 bytes.
    CHECK(fits({edit(write_file, "/n", 1024)}, 1024));
    CHECK_FALSE(fits({edit(write_file, "/n", 1025)}, 2047));
    CHECK(fits({edit(write_file, "/n", 1025)}, 2048));
    CHECK(fits({edit(write_file, "/n", 0)}, 0));
    // What is replaced gives back its blocks, and one for what belongs to it: 5120 + 1024.
    CHECK(fits({edit(write_file, "/big", 6144)}, 0));
    CHECK_FALSE(fits({edit(write_file, "/big", 6145)}, 0));
    CHECK_FALSE(fits({edit(write_file, "/l", 1)}, 1023)); // a link has none
    // An append may lie in the room of the last block, whatever its size is.
    CHECK(fits({edit(append_file, "/big", 65536)}, 0));
    CHECK_FALSE(fits({edit(append_file, "/big", 65537)}, 0));
    CHECK_FALSE(fits({edit(make_folder, "/n")}, 1023));
    CHECK(fits({edit(make_folder, "/n")}, 1024));
    CHECK(fits({edit(make_symlink, "/n")}, 0));
    // A folder goes with all that lies below: two folders and a file of 3072, and 1024 for each.
    CHECK(fits({edit(remove, "/d"), edit(write_file, "/n", 6144)}, 0));
    CHECK_FALSE(fits({edit(remove, "/d"), edit(write_file, "/n", 6145)}, 0));
    CHECK(fits({edit(remove, "/none")}, 0));
    // Inodes: new files, folders and links take one; three are given back by the folder.
    for (const EditKind kind : {write_file, make_folder, make_symlink}) {
        CHECK(fits({edit(kind, "/n")}, 4096, 1));
        CHECK_FALSE(fits({edit(kind, "/n"), edit(kind, "/m")}, 4096, 1));
        CHECK(fits({edit(kind, "/n"), edit(kind, "/m")}, 4096, 1, 0)); // a format that has none
    }
    CHECK(fits({edit(write_file, "/big", 1)}, 4096, 0));
    CHECK(
        fits({edit(remove, "/d"), edit(make_symlink, "/1"), edit(make_symlink, "/2"), edit(make_symlink, "/3")}, 0, 0));
    CHECK_FALSE(fits({edit(remove, "/d"), edit(make_symlink, "/1"), edit(make_symlink, "/2"), edit(make_symlink, "/3"),
                      edit(make_symlink, "/4")},
                     0, 0));
    CHECK(fits({edit(write_file, "/boot/n", 1 << 20)}, 0, 0));
}
