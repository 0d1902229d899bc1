// fstab, crypttab, units, maps of the automounter and SELinux' configuration, line by line.
#include "formats/base/error.hpp"
#include "libconvert/guest/device_name.hpp"
#include "libconvert/guest/fstab.hpp"
#include "libconvert/guest/missing_mounts.hpp"
#include "libconvert/guest/mount_units.hpp"
#include "libconvert/guest/selinux_config.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::MemoryGuest;

namespace {

std::string shown(const std::vector<FstabEntry>& entries) {
    std::string out;
    for (const FstabEntry& each : entries) {
        out += each.device + " " + each.mount_point + " " + each.type;
        for (const std::string& option : each.options)
            out += " -" + option;
        out += ";";
    }
    return out;
}

FstabEntry entry(std::string_view line) {
    return parse_fstab(line).at(0);
}

std::string unit_of(const std::string& text, const std::string& name = "srv.mount", MemoryGuest guest = MemoryGuest()) {
    guest.file("/etc/systemd/system/" + name, text);
    std::vector<FstabEntry> entries;
    for (const MountUnit& unit : read_mount_units(guest, UnitOrigin::administrator))
        entries.push_back(unit.entry);
    return shown(entries);
}

} // namespace

TEST_CASE("Lines of fstab have two fields or more, and escapes of three octal digits") {
    struct Case {
        const char* text;
        const char* entries;
    };
    for (const Case& each : {
             Case{"", ""},
             {"\n#x y\n # x y\n", ""},
             {"/dev/sda1\n", ""},
             {"/dev/sda1 /\n", "/dev/sda1 / ;"},
             {"\t/dev/sda1\t/ \text4\t rw,,noatime, 0 1\r\n", "/dev/sda1 / ext4 -rw -noatime;"},
             {"LABEL=a\\040b /x\\011y\\134z ext4 rw", "LABEL=a b /x\ty\\z ext4 -rw;"},
             {"a\\04 /x\\08y ext4", "a\\04 /x\\08y ext4;"},
             {"a\\040 /\\0401 ext4", "a  / 1 ext4;"},
             {"a /x none bind,x-systemd.requires=/y 0 0\nb /z swap",
              "a /x none -bind -x-systemd.requires=/y;b /z swap;"},
         }) {
        CAPTURE(each.text);
        CHECK(shown(parse_fstab(each.text)) == each.entries);
    }
    for (const auto& [path, normal] :
         {std::pair("", "/"), std::pair("/", "/"), std::pair("//", "/"), std::pair("/a/", "/a"),
          std::pair("a/b", "/a/b"), std::pair("/a//./b/..", "/a"), std::pair("/../a", "/a"), std::pair("/a/../..", "/"),
          std::pair("/...", "/...")}) {
        CAPTURE(path);
        CHECK(normalise_path(path) == normal);
    }
    using Pairs = std::vector<std::pair<std::string, std::string>>;
    CHECK(parse_crypttab("# c\nroot UUID=1 none luks\n  swap\t/dev/sda2\nbroken\n#x y\n") ==
          Pairs{{"root", "UUID=1"}, {"swap", "/dev/sda2"}});
}

TEST_CASE("Folders of a host are known by their types and their devices") {
    for (const char* line : {"share /s vboxsf rw", "x /s vmhgfs", "x /s hgfs", "x /s prl_fs", "x /s fuse.vmhgfs-fuse",
                             ".host:/ /s fuse", "vmhgfs-fuse /s fuse"}) {
        CAPTURE(line);
        CHECK(is_share_of_host(entry(line)));
    }
    for (const char* line : {"/dev/sda1 /s ext4", "nas:/x /s nfs", "x /s fuse", "host:/ /s fuse"}) {
        CAPTURE(line);
        CHECK_FALSE(is_share_of_host(entry(line)));
    }
}

TEST_CASE("Where the files of an entry lie is told by its type, its device and its options") {
    for (const char* line :
         {"UUID=1 /x ext4", "/dev/sda1 /x auto noauto", "LABEL=a /x xfs", "PARTUUID=1 /x vfat", "PARTLABEL=a /x ext4",
          "ID=ata-x /x ext4", "/dev/vg/lv /x btrfs", "/dev/sdb1 /x fuse.ntfs-3g", "/dev/sdb1 /x fuse",
          "LABEL=a:b /x ext4", "/dev/disk/by-path/pci-0:0 /x ext4", "/dev/mapper/a#b /x ext4", "zpool/x /x zfs",
          "/dev/fuse0 /x ext4", "tank /x unknown"}) {
        CAPTURE(line);
        CHECK(kind_of_entry(entry(line)) == EntryKind::disk);
        CHECK(need_of_entry(entry(line)) == (std::string_view(line).find("noauto") == std::string_view::npos
                                                 ? MountNeed::required
                                                 : MountNeed::optional));
    }
    for (const char* line : {"nas:/x /x nfs4",
                             "[fd00::1]:/x /x nfs",
                             "//server/share /x cifs",
                             "\\\\\\\\server\\\\share /x cifs",
                             "sshfs#me@host: /x fuse",
                             "x /x 9p",
                             "x /x virtiofs",
                             "x /x glusterfs",
                             "x /x ceph",
                             "overlay /x overlay",
                             "x /x overlay2",
                             "x /x fuse.sshfs",
                             "x /x fuse-overlayfs",
                             "/dev/fuse /x fuse",
                             "/a /x none bind",
                             "/a /x none rbind",
                             "/a /x none move",
                             "/a.img /x ext4",
                             "/a.img /x ext4 loop",
                             "UUID=1 /x ext4 loop=/dev/loop0",
                             "/dev/loop0 /x squashfs",
                             "/dev/sdc1 /x ext4 _netdev",
                             "x /x mergerfs",
                             "x /x vmhgfs",
                             "/dev/sda1 /x ocfs2"}) {
        CAPTURE(line);
        CHECK(kind_of_entry(entry(line)) == EntryKind::elsewhere);
        CHECK(need_of_entry(entry(line)) == MountNeed::optional);
    }
    for (const char* line :
         {"UUID=1 none swap", "UUID=1 /x swap", "tmpfs /x tmpfs", "proc /proc proc", "x /x cgroup2", "x /x ignore",
          "UUID=1 / ext4", "UUID=1 /./ ext4", "/dev/sr0 /x auto", "/dev/cdrom /x iso9660", "/dev/fd0 /x auto",
          "/dev/dvd1 /x udf", "/x /x none bind", "/x/ //x none bind", "x /x autofs", "UUID=1 swap ext4"}) {
        CAPTURE(line);
        CHECK(kind_of_entry(entry(line)) == EntryKind::none);
    }
    CHECK(need_of_entry(entry("UUID=1 /x ext4 nofail")) == MountNeed::optional);
    CHECK(need_of_entry(entry("UUID=1 /x ext4 nofailx")) == MountNeed::required);
    CHECK(kind_of_entry(entry("UUID=1 /x ext4 loopx")) == EntryKind::disk);
    CHECK(kind_of_entry(entry("UUID=1 /x ext4 move=a")) == EntryKind::elsewhere);
}

TEST_CASE("A unit's name is its place, in systemd's escapes") {
    for (const auto& [name, place] :
         {std::pair("srv.mount", "/srv"), std::pair("srv-db.mount", "/srv/db"), std::pair("-.mount", "/"),
          std::pair(".mount", ""), std::pair("a\\x2db.mount", "/a-b"), std::pair("a\\x2Db.mount", "/a-b"),
          std::pair("\\xc3\\xa4.mount", "/\xc3\xa4"), std::pair("a\\x2.mount", "/a\\x2"), std::pair("a\\xg0.mount", ""),
          std::pair("a\\x0g.mount", ""), std::pair("a.swap", ""), std::pair("a", ""), std::pair("mount", ""),
          std::pair("a.mount.d", ""), std::pair("a\\y.mount", "/a\\y")}) {
        CAPTURE(name);
        CHECK(place_of_unit(name) == place);
    }
}

TEST_CASE("A unit says what it mounts in its own section, and the last word counts") {
    CHECK(unit_of("[Mount]\nWhat=/dev/sdb1\nType=xfs\nOptions=a,b,,c\n") == "/dev/sdb1 /srv xfs -a -b -c -noauto;");
    CHECK(unit_of("[Mount]\nWhat=/dev/sdb1\nWhat=/dev/sdb2\n") == "/dev/sdb2 /srv  -noauto;");
    CHECK(unit_of("[Unit]\nWhat=/dev/sdb1\n").empty());
    CHECK(unit_of("What=/dev/sdb1\n").empty());
    CHECK(unit_of("[Mount]\n What = /dev/sdb1 \n") == "/dev/sdb1 /srv  -noauto;");
    CHECK(unit_of("[Mount]\nWhat=/dev/\\\n# no\nsdb1\n") == "/dev/ sdb1 /srv  -noauto;");
    CHECK(unit_of("[Mount]\nWhat=/dev/sdb1\nWhat=\n").empty());
    CHECK(unit_of("[Swap]\nWhat=/dev/sdb2\n", "dev-sdb2.swap") == "/dev/sdb2 none swap -noauto;");
    for (const char* api : {"dev-x.mount", "proc-x.mount", "run-x.mount", "sys-x.mount", "-.mount", "x.service"})
        CHECK(unit_of("[Mount]\nWhat=/dev/sdb1\n", api).empty());
    for (const char* package : {"squashfs", "erofs", "iso9660"})
        CHECK(unit_of("[Mount]\nWhat=/var/lib/x.img\nType=" + std::string(package) + "\n").empty());
    CHECK(unit_of("[Mount]\nWhat=/var/lib/x.img\nType=ext4\n") == "/var/lib/x.img /srv ext4 -noauto;");
    CHECK(unit_of("[Mount]\nWhat=/dev/sdb1\nType=squashfs\n") == "/dev/sdb1 /srv squashfs -noauto;");
}

TEST_CASE("Conditions of a unit are weighed") {
    const std::string mount = "[Mount]\nWhat=/dev/sdb1\n";
    const std::string there = "/dev/sdb1 /srv  -noauto;";
    struct Case {
        const char* conditions;
        bool starts;
    };
    for (const Case& each : {Case{"ConditionPathExists=/there\n", true},
                             {"ConditionPathExists=/none\n", false},
                             {"ConditionPathExists=!/there\n", false},
                             {"ConditionPathExists=!/none\n", true},
                             {"ConditionPathExists=|/none\n", true},
                             {"AssertPathExists=/none\n", false},
                             {"ConditionPathExists=/there\nConditionPathExists=/none\n", false},
                             {"ConditionPathExists=/none\nConditionPathExists=\n", true},
                             {"ConditionFirstBoot=yes\n", true}}) {
        CAPTURE(each.conditions);
        CHECK(unit_of("[Unit]\n" + std::string(each.conditions) + mount, "srv.mount",
                      MemoryGuest().file("/there", "")) == (each.starts ? there : ""));
    }
    CHECK(unit_of(mount + "ConditionPathExists=/none\n") == there); // of another section
    MemoryGuest with_drop_in;
    with_drop_in.file("/etc/systemd/system/srv.mount.d/a.conf", "[Mount]\nType=xfs\n");
    with_drop_in.file("/etc/systemd/system/srv.mount.d/b.conf", "[Mount]\nType=ext4\n");
    with_drop_in.file("/etc/systemd/system/srv.mount.d/c.conf.bak", "[Mount]\nType=no\n");
    CHECK(unit_of(mount, "srv.mount", with_drop_in) == "/dev/sdb1 /srv ext4 -noauto;");
}

TEST_CASE("A unit that something starts at boot is mounted, and a vendor's is one only then") {
    const std::string mount = "[Mount]\nWhat=/dev/sdb1\n";
    for (const char* link :
         {"/etc/systemd/system/local-fs.target.wants/srv.mount", "/etc/systemd/system/x.service.requires/srv.mount",
          "/usr/lib/systemd/system/x.target.upholds/srv.mount",
          "/usr/local/lib/systemd/system/x.target.wants/srv.mount",
          "/etc/systemd/system/remote-fs.target.wants/srv.automount"}) {
        CAPTURE(link);
        CHECK(unit_of(mount, "srv.mount", MemoryGuest().symlink(link, "../srv.mount")) == "/dev/sdb1 /srv ;");
    }
    CHECK(unit_of(mount, "srv.mount", MemoryGuest().symlink("/etc/systemd/system/x.d/srv.mount", "x")) ==
          "/dev/sdb1 /srv  -noauto;");
    MemoryGuest vendor;
    vendor.file("/usr/lib/systemd/system/a.mount", mount)
        .file("/usr/local/lib/systemd/system/a.mount", "[Mount]\nWhat=x\n");
    vendor.file("/lib/systemd/system/b.mount", mount).file("/lib/systemd/system/c.mount", mount);
    for (const char* name : {"a.mount", "b.mount", "c.mount"})
        vendor.symlink("/usr/lib/systemd/system/local-fs.target.wants/" + std::string(name), "x");
    vendor.file("/etc/systemd/system/c.mount", "");
    std::string places;
    for (const MountUnit& unit : read_mount_units(vendor, UnitOrigin::vendor))
        places += unit.file + " " + unit.entry.device + ";";
    CHECK(places == "/usr/local/lib/systemd/system/a.mount x;/lib/systemd/system/b.mount /dev/sdb1;");
}

TEST_CASE("The automounter is asked only where something starts it") {
    const std::string master = "/a auto.a --timeout=60\n/b \\\n auto.b\n/c -null\n/d\n/- auto.direct\nx auto.x\n";
    struct Case {
        const char* link;
        bool starts;
    };
    for (const Case& each : {Case{"/etc/systemd/system/multi-user.target.wants/autofs.service", true},
                             {"/etc/systemd/system/graphical.target.wants/autofs.service", true},
                             {"/etc/runlevels/default/autofs", true},
                             {"/etc/rc3.d/S28autofs", true},
                             {"/etc/rc.d/rc3.d/S28autofs", true},
                             {"/etc/rc2.d/S28autofs", true},
                             {"/etc/rc2.d/K28autofs", false},
                             {"/etc/rc5.d/S28autofs", false},
                             {"/etc/runlevels/boot/autofs", false},
                             {"/etc/systemd/system/multi-user.target.wants/autofs.socket", false}}) {
        CAPTURE(each.link);
        MemoryGuest guest;
        guest.symlink(each.link, "x").file("/etc/auto.master", master);
        CHECK(shown(read_automounts(guest)) == (each.starts ? "auto.a /a autofs;auto.b /b autofs;" : ""));
        CHECK(read_automounts(MemoryGuest(guest).remove("/etc/auto.master")).empty());
    }
    MemoryGuest circle;
    circle.symlink("/etc/rc3.d/S28autofs", "x").file("/etc/auto.master", "+dir:/etc/m\n/a x\n");
    circle.file("/etc/m/a.autofs", "+dir:/etc/m\n/b y\n").file("/etc/m/b.autofs", "/c z\n");
    CHECK(shown(read_automounts(circle)) == "z /c autofs;y /b autofs;x /a autofs;");
}

TEST_CASE("SELinux' mode is that of the first line that says one") {
    for (const auto& [config, mode] :
         {std::pair("", ""), std::pair("SELINUX=enforcing\n", "enforcing"),
          std::pair("SELINUX=permissive", "permissive"), std::pair("SELINUX=disabled\n", "disabled"),
          std::pair("# SELINUX=enforcing\nSELINUXTYPE=targeted\n", ""),
          std::pair("SELINUXTYPE=mls\nSELINUX=permissive\nSELINUX=enforcing\n", "permissive"),
          std::pair("  SELINUX = \"Enforcing\" # x\n", "enforcing"),
          std::pair("SELINUX=odd\nSELINUX=disabled\n", "disabled"), std::pair("SELINUX=enforcingly\n", "enforcing"),
          std::pair("SELINUX=enforcin\n", ""), std::pair("selinux=enforcing\n", ""), std::pair("SELINUX\n", ""),
          std::pair("SELINUX='PERMISSIVE'\r\n", "permissive")}) {
        CAPTURE(config);
        CHECK(selinux_mode_of(config) == mode);
    }
}
