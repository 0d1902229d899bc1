#include "libconvert/bundle/kernel.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

RootDisk root() {
    RootDisk made;
    made.type = "ext4";
    made.uuid = "1234";
    return made;
}

} // namespace

TEST_CASE("a kernel with an initrd looks for its root by UUID, and one without by the disk's name") {
    const RootDisk disk = root();
    const std::string words = "root=/dev/sda1 ro net.ifnames=0 resume=/dev/sda2 BOOT_IMAGE=/vmlinuz $vt_handoff quiet";
    CHECK(bundle_command_line({words, "amd64", disk, BundleRootFormat::qcow2, true, true}) ==
          "root=UUID=1234 ro net.ifnames=0 quiet console=tty0 console=ttyS0,115200 noresume");
    CHECK(bundle_command_line({words, "amd64", disk, BundleRootFormat::qcow2, false, true}) ==
          "root=/dev/vda rootfstype=ext4 ro net.ifnames=0 quiet console=tty0 console=ttyS0,115200");
}

TEST_CASE("a root that nobody remounts is writable from the beginning, and erofs never is") {
    const RootDisk disk = root();
    CHECK(bundle_command_line({"", "arm64", disk, BundleRootFormat::raw, false, false}) ==
          "root=/dev/vda rootfstype=ext4 rw console=tty0 console=ttyAMA0,115200");
    CHECK(bundle_command_line({"rw rootflags=noatime", "amd64", disk, BundleRootFormat::erofs, true, true}) ==
          "root=/dev/vda rootfstype=erofs ro console=tty0 console=ttyS0,115200");
}

TEST_CASE("consoles that the guest has are kept, and options of a file system only while it is the same") {
    RootDisk disk = root();
    CHECK(bundle_command_line(
              {"rw rootflags=subvol=@ console=ttyS0,9600", "amd64", disk, BundleRootFormat::qcow2, false, true}) ==
          "root=/dev/vda rootfstype=ext4 rw rootflags=subvol=@ console=ttyS0,9600");
    disk.shape = RootShape::joined;
    CHECK(bundle_command_line({"rw rootflags=subvol=@", "amd64", disk, BundleRootFormat::qcow2, false, true}) ==
          "root=/dev/vda rootfstype=ext4 rw console=tty0 console=ttyS0,115200");
}
