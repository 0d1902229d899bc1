#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "libconvert/bundle/kernel.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/support/memory_guest.hpp"

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

TEST_CASE("a root that proves itself is opened by the kernel before anything is mounted") {
    const RootDisk disk = root();
    CommandLineFacts facts{"quiet rw", "amd64", disk, BundleRootFormat::erofs, true, true};
    facts.verity = VerityRoot{};
    facts.verity->data_blocks = 2;
    facts.verity->tree_block = 3;
    const std::string zeros(64, '0');
    CHECK(bundle_command_line(facts) ==
          "dm-mod.create=\"vm2oci-root,,,ro,0 16 verity 1 /dev/vda /dev/vda 4096 4096 2 3 sha256 " + zeros + " " +
              zeros +
              " 1 panic_on_corruption\" root=/dev/dm-0 rootfstype=erofs ro quiet console=tty0 console=ttyS0,115200");
    // What others add to the line leaves the table whole.
    CHECK(add_kernel_words(bundle_command_line(facts), "panic=1").find(" 1 panic_on_corruption\" root=") !=
          std::string::npos);
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

TEST_CASE("what is for init stays behind all that is for the kernel") {
    const RootDisk disk = root();
    CHECK(bundle_command_line(
              {"quiet -- single --verbose", "amd64", disk, BundleRootFormat::qcow2, true, true, "security=selinux"}) ==
          "root=UUID=1234 ro quiet console=tty0 console=ttyS0,115200 security=selinux noresume -- single --verbose");
    // A word for init is none for the kernel.
    CHECK(bundle_command_line({"-- console=ttyS0 rw root=/x", "amd64", disk, BundleRootFormat::raw, false, false}) ==
          "root=/dev/vda rootfstype=ext4 rw console=tty0 console=ttyS0,115200 -- console=ttyS0 rw root=/x");
}

TEST_CASE("words that are added are the kernel's, wherever init's begin") {
    CHECK(add_kernel_words("root=/dev/vda ro", "reboot=k panic=1") == "root=/dev/vda ro reboot=k panic=1");
    CHECK(add_kernel_words("root=/dev/vda -- single", "vm2oci.agent") == "root=/dev/vda vm2oci.agent -- single");
    CHECK(add_kernel_words("", "quiet") == "quiet");
    CHECK(add_kernel_words("a --b", "c") == "a --b c");
    CHECK(add_kernel_words("dyndbg=\"file x.c +p ; -- \" ro -- \"a b\"", "c") ==
          "dyndbg=\"file x.c +p ; -- \" ro c -- \"a b\"");
    CHECK(
        bundle_command_line({"\"x=root=/y  root=/z\" quiet", "amd64", root(), BundleRootFormat::qcow2, false, true}) ==
        "root=/dev/vda rootfstype=ext4 ro \"x=root=/y  root=/z\" quiet console=tty0 console=ttyS0,115200");
}

TEST_CASE("what a command line loses can be told") {
    const RootDisk disk = root();
    using Words = std::vector<std::string>;
    CHECK(words_left_out({"root=/dev/sda1 quiet resume=UUID=1 $extra -- init-arg", "amd64", disk}) ==
          Words{"root=/dev/sda1", "resume=UUID=1", "$extra"});
    CHECK(words_left_out({"quiet quiet -- root=/x", "amd64", disk}).empty());
    CHECK(words_left_out({"rw quiet", "amd64", disk, BundleRootFormat::erofs}) == Words{"rw"});
}

TEST_CASE("a kernel for another architecture is refused") {
    std::string x86(0x1000, '\0');
    x86.replace(0x202, 4, "HdrS");
    CHECK(kernel_architecture(x86) == "386");
    x86[0x236] = 1;
    CHECK(kernel_architecture(x86) == "amd64");
    std::string arm(128, '\0');
    arm.replace(56, 4, "ARM\x64");
    CHECK(kernel_architecture(arm) == "arm64");
    std::string elf = std::string("\x7f") + "ELF\2\1\1" + std::string(11, '\0') + "\x3e" + std::string(64, '\0');
    CHECK(kernel_architecture(elf) == "amd64");
    CHECK(kernel_architecture("MZ").empty());
    CHECK_NOTHROW(require_kernel_for(x86, "amd64"));
    CHECK_NOTHROW(require_kernel_for(x86, "386"));
    CHECK_NOTHROW(require_kernel_for(x86, ""));
    CHECK_NOTHROW(require_kernel_for("?", "arm64"));
    CHECK_THROWS_AS(require_kernel_for(x86, "arm64"), Error);
    CHECK_THROWS_AS(require_kernel_for(arm, "amd64"), Error);
    CHECK_THROWS_AS(require_kernel_for(elf, "riscv64"), Error);
}

TEST_CASE("roots that our own kernel cannot mount are known before") {
    const auto obstacle = [](std::uint32_t incompatible, std::uint32_t read_only) {
        test::MemoryDevice device(1 << 16);
        std::array<std::byte, 8> bits{};
        store_le<std::uint32_t>(bits.data(), incompatible);
        store_le<std::uint32_t>(bits.data() + 4, read_only);
        device.put(1024 + 96, bits);
        return obstacle_for_own_kernel("ext4", device).value_or("");
    };
    CHECK(obstacle(0x2c2, 0x46b).empty()); // as mke2fs makes it
    CHECK(obstacle(0x2, 0x3).empty());
    CHECK(obstacle(0x2c2 | 0x20000, 0x46b).find("casefold") != std::string::npos);
    CHECK(obstacle(0x2c2 | 0x10000, 0x46b).find("encrypt") != std::string::npos);
    CHECK(obstacle(0x2c2 | 0x40000000, 0x46b).find("0x40000000") != std::string::npos);
    CHECK(obstacle(0x2c2, 0x46b | 0x8000).find("verity") != std::string::npos);
    CHECK(obstacle(0x2c2, 0x46b | 0x80000).find("read-only") != std::string::npos);
    const test::MemoryDevice empty(1 << 16);
    CHECK_FALSE(obstacle_for_own_kernel("xfs", empty));
    CHECK_FALSE(obstacle_for_own_kernel("btrfs", empty));
    CHECK(obstacle_for_own_kernel("f2fs", empty));
    CHECK(obstacle_for_own_kernel("reiserfs", empty));
    CHECK(obstacle_for_own_kernel("", empty));
}

TEST_CASE("a guest without init, and one with SELinux, are known") {
    test::MemoryGuest guest;
    guest.file("/usr/bin/true", "x");
    CHECK(missing_init(guest, "quiet") == "/sbin/init");
    CHECK(missing_init(guest, "init=/usr/bin/true").empty());
    CHECK(missing_init(guest, "init=/bin/none") == "/bin/none");
    CHECK(missing_init(guest, "quiet -- init=/usr/bin/true") == "/sbin/init");
    CHECK(missing_init(guest, "init=/usr/bin/true quiet init=/opt/init") == "/opt/init");
    CHECK(missing_init(guest, "init=/opt/init init=/usr/bin/true -- init=/x").empty());
    guest.file("/bin/sh", "x");
    CHECK(missing_init(guest, "").empty());

    CHECK(guard_word("enforcing", "quiet") == "security=selinux");
    CHECK(guard_word("permissive", "") == "security=selinux");
    CHECK(guard_word("enforcing", "-- selinux=0") == "security=selinux");
    for (const char* line : {"security=apparmor", "lsm=selinux", "quiet selinux=0"})
        CHECK(guard_word("enforcing", line).empty());
    CHECK(guard_word("disabled", "").empty());
    CHECK(guard_word("", "").empty());
}

TEST_CASE("a kernel that will not find the disk, or may not, is told") {
    std::string image(0x1000, '\0');
    image.replace(0x202, 4, "HdrS");
    test::MemoryGuest guest;
    guest.file("/boot/vmlinuz-1", image);
    GuestInfo info;
    info.kernels.resize(1);
    info.kernels[0].path = "/boot/vmlinuz-1";
    CHECK(read_guest_kernel(guest, info).remarks.size() == 1);
    info.kernels[0].boots_on_virtio = false;
    CHECK(read_guest_kernel(guest, info).remarks.size() == 1);
    info.kernels[0].boots_on_virtio = true;
    CHECK(read_guest_kernel(guest, info).remarks.empty());
}
