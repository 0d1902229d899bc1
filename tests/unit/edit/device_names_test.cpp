#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/edit/planners.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;
using vm2oci::test::MemoryGuest;

namespace {

// What --fix=devices makes of a guest's fstab; the same text where it changes nothing.
std::string fixed(const std::string& fstab, const std::vector<DiskVolume>& volumes, const std::string& options = "") {
    MemoryGuest guest;
    guest.file("/etc/fstab", fstab).file("/boot/initrd.img-1", "");
    if (!options.empty())
        guest.file("/boot/grub/grub.cfg", "linux /vmlinuz " + options + "\n");
    EditRequest request;
    request.fixes = select_fixes("devices");
    for (const Edit& edit : plan_edits(guest, volumes, request).edits)
        if (edit.path == "/etc/fstab")
            return edit.content;
    return fstab;
}

const std::vector<DiskVolume> kThree = {{1, "ext4", "boot-uuid"}, {2, "ext4", "root-uuid"}, {3, "swap", "swap-uuid"}};

} // namespace

TEST_CASE("--fix=devices means by a name what the mounter means by it") {
    const std::string wanted =
        "UUID=root-uuid / ext4 defaults 0 1\nUUID=boot-uuid /boot ext4 defaults 0 2\nUUID=swap-uuid none swap sw 0 0\n";
    // The name of the disk, and what stands between it and the partition's number.
    for (const auto& [disk, dash] :
         {std::pair("/dev/sda", ""), std::pair("/dev/xvda", ""), std::pair("/dev/hda", ""), std::pair("/dev/sdb", ""),
          std::pair("/dev/nvme0n1", "p"), std::pair("/dev/mmcblk0", "p"), std::pair("/dev/cciss/c0d0", "p"),
          std::pair("/dev/ida/c0d0", "p"), std::pair("/dev/mapper/mpatha", ""),
          std::pair("/dev/mapper/mpathb", "-part"), std::pair("/dev/mapper/360050763808182f5fc0000000000000d", "-part"),
          std::pair("/dev/disk/by-id/scsi-36000c29a1b2c3d4e5f60718293a4b5c6", "-part"),
          std::pair("/dev/disk/by-id/ata-VBOX_HARDDISK_VB1-2", "-part"),
          std::pair("/dev/disk/by-id/nvme-eui.0025388b01", "-part"),
          std::pair("/dev/disk/by-path/pci-0000:00:10.0-scsi-0:0:0:0", "-part"),
          std::pair("/dev/disk/azure/root", "-part"), std::pair("/dev/i2o/hda", ""),
          std::pair("/dev/mpath/mpath0", "p"), std::pair("/dev/disk/by-dname/sda", "-part")}) {
        INFO(disk);
        const auto name = [&](int number) { return std::string(disk) + dash + std::to_string(number); };
        CHECK(fixed(name(2) + " / ext4 defaults 0 1\n" + name(1) + " /boot ext4 defaults 0 2\n" + name(3) +
                        " none swap sw 0 0\n",
                    kThree) == wanted);
        // A second time there is nothing left to do.
        CHECK(fixed(wanted, kThree) == wanted);
    }
}

TEST_CASE("--fix=devices leaves what lies on other disks, and names that stay right") {
    for (const char* line :
         {"/dev/sdb1 /data ext4 defaults 0 2\n", "/dev/nvme1n1p1 /data xfs defaults 0 0\n",
          "/dev/disk/by-id/ata-OTHER-part1 /data ext4 nofail 0 2\n", "/dev/cciss/c0d1p1 /data ext3 defaults 1 2\n",
          "/dev/mapper/vg-data /data xfs defaults 0 0\n", "/dev/disk/by-id/dm-uuid-LVM-abc /data ext4 defaults 0 2\n",
          "/dev/disk/by-dname/vg0-data /data ext4 defaults 0 2\n", "/dev/i2o/hdb1 /data ext3 nofail 1 2\n",
          "/dev/md0 /data ext4 defaults 0 2\n", "PARTUUID=x /data ext4 defaults 0 2\n"}) {
        INFO(line);
        const std::string fstab = std::string("UUID=root-uuid / ext4 defaults 0 1\n") + line;
        CHECK(fixed(fstab, kThree, "root=UUID=root-uuid") == fstab);
    }
    // A root that says sdb, on the partition where it is: then sda is another disk.
    CHECK(fixed("/dev/sdb2 / ext4 defaults 0 1\n/dev/sda1 /old ext4 nofail 0 2\n", kThree) ==
          "UUID=root-uuid / ext4 defaults 0 1\n/dev/sda1 /old ext4 nofail 0 2\n");
}

TEST_CASE("--fix=devices learns the disk from what firmware starts, as the mounter does") {
    for (const char* place : {"/boot", "/boot/efi", "/efi"})
        for (const char* disk :
             {"/dev/disk/by-id/scsi-36000c29a1b2c3d4e5f60718293a4b5c6-part", "/dev/disk/by-id/virtio-0a1b-part",
              "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0-part"})
            for (const char* root : {"UUID=root-uuid", "/dev/mapper/system-root"}) {
                const std::string head = std::string(root) + " / ext4 rw 0 1\n";
                CHECK(fixed(head + disk + "1 " + place + " ext4 rw 0 2\n" + disk + "3 swap swap rw 0 0\n", kThree,
                            "quiet") ==
                      head + "UUID=boot-uuid " + place + " ext4 rw 0 2\nUUID=swap-uuid swap swap rw 0 0\n");
            }
    // Names by order tell nothing of the root's disk, and data may lie anywhere.
    const std::string other = "UUID=root-uuid / ext4 rw 0 1\n/dev/disk/by-id/ata-X-part1 /data ext4 nofail 0 2\n";
    CHECK(fixed(other, kThree, "quiet") == other);
}

TEST_CASE("--fix=devices knows the only file system of a disk without partitions") {
    const std::vector<DiskVolume> whole = {{0, "ext4", "whole-uuid"}};
    CHECK(fixed("/dev/xvda2 / ext4 noatime 0 1\n/dev/xvda1 none swap sw 0 0\n", whole) ==
          "UUID=whole-uuid / ext4 noatime 0 1\n/dev/xvda1 none swap sw 0 0\n");
    CHECK(fixed("/dev/sda1 / ext3 defaults 0 1\n", whole) == "UUID=whole-uuid / ext3 defaults 0 1\n");
    CHECK(fixed("/dev/vda / ext4 defaults 0 1\n", whole) == "UUID=whole-uuid / ext4 defaults 0 1\n");
}

TEST_CASE("--fix=devices names what it cannot change in files that are programs, and loses nothing of theirs") {
    const auto plan_of = [](const std::string& defaults) {
        MemoryGuest guest;
        guest.file("/etc/fstab", "/dev/sda2 / ext4 defaults 0 1\n")
            .file("/boot/initrd.img-1", "")
            .file("/boot/grub/grub.cfg", "linux /vmlinuz root=/dev/sda2 resume=/dev/sda3\n")
            .file("/etc/default/grub", defaults);
        EditRequest request;
        request.fixes = select_fixes("devices,console");
        return plan_edits(guest, kThree, request);
    };
    const auto told = [](const EditPlan& plan) {
        return std::any_of(plan.findings.begin(), plan.findings.end(), [](const EditFinding& each) {
            return each.text.find("/etc/default/grub has resume=/dev/sda3 in a form that is not changed here; write "
                                  "resume=UUID=swap-uuid") != std::string::npos;
        });
    };
    for (const char* defaults :
         {"SWAP='resume=/dev/sda3 quiet'\nGRUB_CMDLINE_LINUX=\"a $SWAP\"\n",
          "add() { GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX $1\"; }\nadd resume=/dev/sda3\n",
          "GRUB_CMDLINE_LINUX=\"${SITE:-resume=/dev/sda3}\"\n", "GRUB_CMDLINE_LINUX=$'a\\tresume=/dev/sda3'\n"}) {
        INFO(defaults);
        CHECK(told(plan_of(defaults)));
    }
    for (const char* defaults : {"GRUB_CMDLINE_LINUX=\"resume=/dev/sda3\"\n", "# resume=/dev/sda3\nGRUB_TIMEOUT=5\n",
                                 "GRUB_CMDLINE_LINUX=\"noresume=/dev/sda3\"\n"}) {
        INFO(defaults);
        CHECK_FALSE(told(plan_of(defaults)));
    }
    const auto made_of = [&](const std::string& defaults) {
        for (const Edit& edit : plan_of(defaults).edits)
            if (edit.path == "/etc/default/grub")
                return edit.content;
        return defaults;
    };
    const std::string console = "console=tty0 console=ttyS0,115200";
    for (const char* defaults : {": \"${GRUB_CMDLINE_LINUX:=quiet}\"\n", ". /etc/default/grub.site\n",
                                 "source /etc/site\nGRUB_TIMEOUT=5\n", "eval \"$SITE\"\n"})
        CHECK(made_of(defaults) ==
              defaults + std::string("GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX ") + console + "\"\n");
    CHECK(made_of(". /etc/site\nGRUB_CMDLINE_LINUX=\"a\"\n") ==
          ". /etc/site\nGRUB_CMDLINE_LINUX=\"a " + console + "\"\n");
    CHECK(made_of("GRUB_TIMEOUT=5\n") == "GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX=\"" + console + "\"\n");
}
