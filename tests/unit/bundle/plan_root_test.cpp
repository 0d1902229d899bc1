#include "formats/block/empty.hpp"
#include "libconvert/bundle/plan_root.hpp"
#include "tests/support/memory_guest.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

constexpr const char* kRoot = "11111111-2222-4333-8444-555555555555";

Volume volume(std::string name, std::string type, std::string uuid, ContentKind kind = ContentKind::file_system) {
    Volume made;
    made.name = std::move(name);
    made.device = std::make_shared<EmptyDevice>(1024 * 1024);
    made.signature = Signature{kind, std::move(type), std::move(uuid), "", ""};
    return made;
}

// Partition 1: /boot; 2: swap; a logical volume: the root.
DiskLayout layout() {
    DiskLayout made;
    for (unsigned number = 1; number <= 2; ++number) {
        Partition partition;
        partition.number = number;
        made.table.partitions.push_back(partition);
    }
    made.volumes.push_back(volume("partition 1", "ext4", "aaaa-1"));
    made.volumes.back().partition = 0;
    made.volumes.push_back(volume("partition 2", "swap", "aaaa-2", ContentKind::swap));
    made.volumes.back().partition = 1;
    made.volumes.push_back(volume("logical volume vg/root", "xfs", kRoot));
    made.volumes.back().logical_volume = "vg/root";
    return made;
}

RootDisk root(RootShape shape) {
    RootDisk made;
    made.shape = shape;
    made.type = shape == RootShape::joined ? "ext4" : "xfs";
    made.uuid = kRoot;
    made.volumes = {2};
    if (shape == RootShape::joined)
        made.volumes.push_back(0);
    return made;
}

std::string content_of(const EditPlan& plan, const std::string& path) {
    const auto found =
        std::find_if(plan.edits.begin(), plan.edits.end(), [&](const Edit& edit) { return edit.path == path; });
    return found == plan.edits.end() ? "unchanged" : found->content;
}

} // namespace

TEST_CASE("fstab of a lone root names it by its UUID and nothing that was left behind") {
    test::MemoryGuest guest;
    guest.file("/etc/fstab", "# a comment\n"
                             "/dev/mapper/vg-root  /  xfs  inode64,noatime  0 0\n"
                             "UUID=aaaa-1 /boot ext4 defaults 0 2\n"
                             "/dev/sda2 none swap sw 0 0\n"
                             "server:/home /home nfs defaults 0 0\n"
                             "tmpfs /tmp tmpfs defaults 0 0\n");
    const std::string sliced =
        content_of(plan_lone_root(guest, layout(), root(RootShape::slice), BundleRootKind::disk), "/etc/fstab");
    CHECK(sliced == "# a comment\n"
                    "UUID=11111111-2222-4333-8444-555555555555  /  xfs  inode64,noatime  0 0\n"
                    "# not in this bundle: UUID=aaaa-1 /boot ext4 defaults 0 2\n"
                    "# not in this bundle: /dev/sda2 none swap sw 0 0\n"
                    "server:/home /home nfs defaults 0 0\n"
                    "tmpfs /tmp tmpfs defaults 0 0\n");
    const std::string joined =
        content_of(plan_lone_root(guest, layout(), root(RootShape::joined), BundleRootKind::disk), "/etc/fstab");
    CHECK(joined.find("UUID=11111111-2222-4333-8444-555555555555 / ext4 errors=remount-ro 0 1\n") != std::string::npos);
    CHECK(joined.find("inode64") == std::string::npos);
    const std::string read_only =
        content_of(plan_lone_root(guest, layout(), root(RootShape::slice), BundleRootKind::erofs), "/etc/fstab");
    CHECK(read_only.find("# not in this bundle: /dev/mapper/vg-root") != std::string::npos);
}

TEST_CASE("an fstab that is right already stays") {
    test::MemoryGuest guest;
    guest.file("/etc/fstab", "UUID=11111111-2222-4333-8444-555555555555 / xfs defaults 0 0\n");
    CHECK(plan_lone_root(guest, layout(), root(RootShape::slice), BundleRootKind::disk).edits.empty());
}

TEST_CASE("sub-volumes of the root's own file system stay mounted") {
    test::MemoryGuest guest;
    guest.file("/etc/fstab",
               "/dev/mapper/vg-root / btrfs subvol=@ 0 0\n/dev/mapper/vg-root /home btrfs subvol=@home 0 0\n");
    CHECK(content_of(plan_lone_root(guest, layout(), root(RootShape::slice), BundleRootKind::disk), "/etc/fstab") ==
          "UUID=11111111-2222-4333-8444-555555555555 / btrfs subvol=@ 0 0\n"
          "UUID=11111111-2222-4333-8444-555555555555 /home btrfs subvol=@home 0 0\n");
}

TEST_CASE("boot loaders, crypttab and the place to resume from forget the old disk") {
    test::MemoryGuest guest;
    guest.file("/boot/grub/grub.cfg", "\tlinux /vmlinuz root=/dev/mapper/vg-root ro rd.lvm.lv=vg/root quiet\n");
    guest.file("/etc/crypttab", "swap /dev/sda2 /dev/urandom swap\nother UUID=unknown none luks\n"
                                "# vault /dev/sdb1 none luks\nvault /srv/vault.img none luks\n"
                                "usb /dev/sdc1 none luks,noauto,discard\nbackup\tPARTLABEL=b\tnone\tluks,nofail\n");
    guest.file("/etc/initramfs-tools/conf.d/resume", "RESUME=UUID=aaaa-2\n");
    const EditPlan plan = plan_lone_root(guest, layout(), root(RootShape::slice), BundleRootKind::disk);
    CHECK(content_of(plan, "/boot/grub/grub.cfg") ==
          "\tlinux /vmlinuz root=UUID=11111111-2222-4333-8444-555555555555 ro quiet\n");
    CHECK(content_of(plan, "/etc/crypttab") ==
          "# not in this bundle: swap /dev/sda2 /dev/urandom swap\n# not in this bundle: other UUID=unknown none luks\n"
          "# vault /dev/sdb1 none luks\nvault /srv/vault.img none luks\n"
          "usb /dev/sdc1 none luks,noauto,discard\n# not in this bundle: backup\tPARTLABEL=b\tnone\tluks,nofail\n");
    CHECK(content_of(plan, "/etc/initramfs-tools/conf.d/resume") == "RESUME=none\n");
    for (const auto& [text, kept] : {std::pair{"RESUME=UUID=gone\n", false}, std::pair{"RESUME=\"/dev/sdb3\"\n", false},
                                     std::pair{"RESUME=none\n", true}, std::pair{"RESUME=auto\n", true}}) {
        guest.file("/etc/initramfs-tools/conf.d/resume", text);
        const EditPlan other = plan_lone_root(guest, layout(), root(RootShape::slice), BundleRootKind::disk);
        CHECK(content_of(other, "/etc/initramfs-tools/conf.d/resume") == (kept ? "unchanged" : "RESUME=none\n"));
    }
}

TEST_CASE("no initrd waits for what was encrypted, and a root that was opened is the bundle's") {
    for (const char* word : {"rd.luks.uuid=1", "rd.luks.name=1=root", "luks.name=1=root", "luks.uuid=1",
                             "rd.luks.options=discard", "cryptdevice=UUID=1:root", "cryptopts=target=root"}) {
        test::MemoryGuest guest;
        guest.file("/boot/grub/grub.cfg", std::string("\tlinux /vmlinuz root=/dev/mapper/root ") + word + " quiet\n");
        const EditPlan plan = plan_lone_root(guest, layout(), root(RootShape::slice), BundleRootKind::disk);
        CHECK(content_of(plan, "/boot/grub/grub.cfg") ==
              "\tlinux /vmlinuz root=UUID=11111111-2222-4333-8444-555555555555 quiet\n");
    }
    // The first volume of the layout holds LUKS, the last one is what it encrypts.
    DiskLayout encrypted = layout();
    const std::size_t inside = encrypted.volumes.size();
    encrypted.volumes.push_back(encrypted.volumes.front());
    encrypted.volumes.back().name = "LUKS in partition 1";
    encrypted.volumes.back().partition.reset();
    encrypted.volumes.back().encrypted = 0;
    encrypted.guest_disks.mapped = {{"root", "/dev/sda1"}};
    RootDisk opened = root(RootShape::slice);
    opened.volumes = {inside};
    test::MemoryGuest guest;
    guest.file("/etc/fstab", "/dev/mapper/root / btrfs subvol=@ 0 0\n/dev/mapper/root /home btrfs subvol=@home 0 0\n");
    CHECK(content_of(plan_lone_root(guest, encrypted, opened, BundleRootKind::disk), "/etc/fstab") ==
          "UUID=11111111-2222-4333-8444-555555555555 / btrfs subvol=@ 0 0\n"
          "UUID=11111111-2222-4333-8444-555555555555 /home btrfs subvol=@home 0 0\n");
}

TEST_CASE("the lists of what is built into our kernel come to where the guest looks for modules") {
    const test::TemporaryFolder made;
    const fs::path& folder = made.path();
    test::MemoryGuest guest;
    guest.symlink("/lib", "usr/lib").folder("/usr/lib");
    CHECK_THROWS_AS(plan_kernel_modules(guest, folder / "absent"), Error);
    CHECK_THROWS_AS(plan_kernel_modules(guest, folder), Error);
    const fs::path release = folder / "6.1.0-vm2oci";
    fs::create_directory(release);
    for (const char* name : {"modules.order", "modules.builtin"})
        std::ofstream(release / name) << name;

    const EditPlan plan = plan_kernel_modules(guest, folder);
    std::vector<std::string> written;
    for (const Edit& edit : plan.edits)
        if (edit.kind == EditKind::write_file)
            written.push_back(edit.path + " from " + edit.host_file->filename().string());
    CHECK(written == std::vector<std::string>{"/usr/lib/modules/6.1.0-vm2oci/modules.builtin from modules.builtin",
                                              "/usr/lib/modules/6.1.0-vm2oci/modules.order from modules.order"});
}

TEST_CASE("what a machine with one disk does not have goes from fstab, and what it has stays") {
    const auto mended = [](const std::string& fstab, BundleRootKind kind, const std::string& crypttab = "") {
        test::MemoryGuest guest;
        guest.file("/etc/fstab", fstab + "\n");
        if (!crypttab.empty())
            guest.file("/etc/crypttab", crypttab);
        const std::string text =
            content_of(plan_lone_root(guest, layout(), root(RootShape::slice), kind), "/etc/fstab");
        return text == "unchanged" ? "kept" : text == "# not in this bundle: " + fstab + "\n" ? "left" : text;
    };
    for (const char* line :
         {"UUID=gone none swap sw 0 0", "/dev/sdb2 swap swap defaults",
          "/dev/sdb1 /data ext4 nofail,x-systemd.device-timeout=5", "LABEL=backup /backup xfs nofail",
          "/dev/mapper/cryptswap1 none swap sw", "/dev/disk/by-id/ata-X-part2 none swap sw"}) {
        INFO(line);
        CHECK(mended(line, BundleRootKind::disk, "cryptswap1 /dev/sda2 /dev/urandom swap,offset=1024\n") == "left");
    }
    for (const char* line : {"tmpfs /tmp tmpfs rw", "nas:/x /home nfs nofail", "/swapfile none swap sw",
                             "/dev/sr0 /media auto ro", "/dev/sdc1 /usb ext4 noauto", "/dev/zram0 none swap sw",
                             "/srv/a.iso /iso iso9660 loop", "/home/x /x none bind"}) {
        INFO(line);
        CHECK(mended(line, BundleRootKind::disk) == "kept");
    }
    CHECK(mended("/swap.img none swap sw 0 0", BundleRootKind::erofs) == "left");
    CHECK(mended("/dev/zram0 none swap sw 0 0", BundleRootKind::erofs) == "kept");
}
