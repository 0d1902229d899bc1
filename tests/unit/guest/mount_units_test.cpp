#include "libconvert/guest/mount_units.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::MemoryGuest;

TEST_CASE("a mount unit's name is its place") {
    CHECK(place_of_unit("home.mount") == "/home");
    CHECK(place_of_unit("var-lib-data\\x2d1.mount") == "/var/lib/data-1");
    CHECK(place_of_unit("-.mount") == "/");
    CHECK(place_of_unit("home.service").empty());
    CHECK(place_of_unit("x\\xzz.mount").empty());
}

TEST_CASE("units of systemd are read as lines of fstab") {
    MemoryGuest guest;
    guest.file("/etc/systemd/system/srv-db.mount", "[Unit]\n[Mount]\nWhat=/dev/disk/by-label/DB\nWhere=/srv/db\n"
                                                   "Type=xfs\nOptions=noatime,\\\n nofail\n[Install]\nWhat=/no\n");
    guest.symlink("/etc/systemd/system/local-fs.target.wants/srv-db.mount", "../srv-db.mount");
    guest.file("/etc/systemd/system/opt.mount", "[Mount]\nWhat=UUID=1\n");
    guest.file("/etc/systemd/system/opt.mount.d/10.conf", "[Mount]\n# What=/dev/sdz\nWhat=/dev/sdb1\n");
    guest.file("/etc/systemd/system/home.mount", "[Mount]\nWhat=LABEL=home\n");
    guest.symlink("/etc/systemd/system/multi-user.target.requires/home.automount",
                  "/etc/systemd/system/home.automount");
    guest.symlink("/etc/systemd/system/var.mount", "/dev/null");
    guest.file("/etc/systemd/system/dev-hugepages.mount", "[Mount]\nWhat=hugetlbfs\n");
    guest.file("/etc/systemd/system/mnt.mount", "[Mount]\nWhere=/mnt\n");
    guest.file("/etc/systemd/system/swap.swap", "[Swap]\nWhat=/dev/sdb2\n");
    guest.file("/usr/lib/systemd/system/var.mount", "[Mount]\nWhat=/dev/sdb9\n");
    guest.symlink("/usr/lib/systemd/system/local-fs.target.wants/var.mount", "../var.mount");
    guest.file("/usr/lib/systemd/system/oem.mount", "[Mount]\nWhat=/dev/disk/by-label/OEM\n");
    guest.symlink("/usr/lib/systemd/system/local-fs.target.wants/oem.mount", "../oem.mount");
    guest.file("/usr/lib/systemd/system/idle.mount", "[Mount]\nWhat=/dev/sdb3\n");

    const std::vector<MountUnit> own = read_mount_units(guest, UnitOrigin::administrator);
    REQUIRE(own.size() == 4);
    CHECK(own[0].entry.mount_point == "/home");
    CHECK(own[0].entry.options.empty());
    CHECK(own[1].entry.mount_point == "/opt");
    CHECK(own[1].entry.device == "/dev/sdb1");
    CHECK(has_option(own[1].entry, "noauto"));
    CHECK(own[2].file == "/etc/systemd/system/srv-db.mount");
    CHECK(own[2].entry.mount_point == "/srv/db");
    CHECK(own[2].entry.device == "/dev/disk/by-label/DB");
    CHECK(own[2].entry.type == "xfs");
    CHECK_FALSE(has_option(own[2].entry, "noauto"));
    CHECK(own[3].entry.type == "swap");
    const std::vector<MountUnit> vendor = read_mount_units(guest, UnitOrigin::vendor);
    REQUIRE(vendor.size() == 1);
    CHECK(vendor[0].entry.mount_point == "/oem");
}

TEST_CASE("units that every guest of a distribution has are none of its volumes") {
    MemoryGuest guest;
    // Enterprise Linux 7 and Fedora: systemd's own, for machines that nobody has made.
    guest.file("/usr/lib/systemd/system/var-lib-machines.mount",
               "[Unit]\nConditionPathExists=/var/lib/machines.raw\n[Mount]\nWhat=/var/lib/machines.raw\n"
               "Where=/var/lib/machines\nType=btrfs\nOptions=loop\n");
    guest.symlink("/usr/lib/systemd/system/remote-fs.target.wants/var-lib-machines.mount", "../var-lib-machines.mount");
    // Ubuntu: one for each package of snapd.
    guest.file("/etc/systemd/system/snap-core20-1974.mount",
               "[Unit]\nDescription=Mount unit for core20\n[Mount]\nWhat=/var/lib/snapd/snaps/core20_1974.snap\n"
               "Where=/snap/core20/1974\nType=squashfs\nOptions=nodev,ro,x-gdu.hide\nLazyUnmount=yes\n"
               "[Install]\nWantedBy=multi-user.target\n");
    guest.symlink("/etc/systemd/system/multi-user.target.wants/snap-core20-1974.mount",
                  "/etc/systemd/system/snap-core20-1974.mount");
    guest.file("/etc/systemd/system/srv.mount",
               "[Unit]\nConditionPathExists=!/etc/no-srv\nConditionPathExists=|/nowhere\n[Mount]\nWhat=/dev/sdb1\n");
    CHECK(read_mount_units(guest, UnitOrigin::vendor).empty());
    CHECK(read_mount_units(guest, UnitOrigin::administrator).size() == 1);
    guest.file("/var/lib/machines.raw", "made");
    guest.file("/etc/no-srv", "");
    CHECK(read_mount_units(guest, UnitOrigin::vendor).size() == 1);
    CHECK(read_mount_units(guest, UnitOrigin::administrator).empty());
}

TEST_CASE("the automounter's places are those of its maps, if it starts") {
    MemoryGuest guest;
    guest.file("/etc/auto.master",
               "# local\n/misc /etc/auto.misc\n/net -hosts\n+dir:/etc/auto.master.d\n+auto.master\n");
    guest.file("/etc/auto.master.d/people.autofs", "/home /etc/auto.home --timeout=60\n/- /etc/auto.direct\n");
    guest.file("/etc/auto.master.d/old.off", "/srv /etc/auto.srv\n");
    CHECK(read_automounts(guest).empty());
    guest.symlink("/etc/systemd/system/multi-user.target.wants/autofs.service",
                  "/usr/lib/systemd/system/autofs.service");
    const std::vector<FstabEntry> found = read_automounts(guest);
    REQUIRE(found.size() == 1);
    CHECK(found[0].mount_point == "/home");
    CHECK(found[0].device == "/etc/auto.home");
}
