// Kernels in /boot and beside their modules, what initrd belongs to each, and where their drivers are.
#include "libconvert/inspect/initrd.hpp"
#include "tests/support/cpio_archive.hpp"
#include "tests/unit/inspect/inspect_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::MemoryGuest;
using test::Words;

namespace {

// An x86 image (Documentation/arch/x86/boot.rst): "HdrS" at 0x202, and at 0x20e where its version stands.
std::string bz_image(const std::string& version, bool is_64_bit = true) {
    std::string image(0x4000, '\0');
    image.replace(0x202, 4, "HdrS");
    test::put_bytes(image, 0x20e, 0x3000 - 0x200, 2);
    image[0x236] = is_64_bit ? 3 : 2;
    return image.replace(0x3000, version.size(), version);
}

std::string initrd_of(const Words& modules) {
    std::vector<test::CpioFile> files;
    for (const std::string& module : modules)
        files.push_back({module, "x"});
    return test::cpio(files);
}

Words paths_of(const std::vector<KernelInfo>& kernels) {
    Words paths;
    for (const KernelInfo& kernel : kernels)
        paths.push_back(kernel.path);
    return paths;
}

KernelInfo only_kernel(MemoryGuest guest, LargeFiles large_files = LargeFiles::read) {
    const std::vector<KernelInfo> kernels = test::inspect(std::move(guest), large_files).kernels;
    REQUIRE(kernels.size() == 1);
    return kernels.front();
}

std::string place_of(const std::vector<DriverInfo>& drivers, std::string_view name) {
    for (const DriverInfo& driver : drivers)
        if (driver.name == name)
            return std::string(to_string(driver.place));
    return "not asked for";
}

} // namespace

TEST_CASE("kernels and initrds of distributions belong together by their names") {
    struct Row {
        const char* who;
        const char* kernel;
        const char* initrd;
        const char* version;
    };
    const Row rows[] = {
        {"Debian 12", "vmlinuz-6.1.0-18-amd64", "initrd.img-6.1.0-18-amd64", "6.1.0-18-amd64"},
        {"Ubuntu 14.04", "vmlinuz-3.13.0-170-generic", "initrd.img-3.13.0-170-generic", "3.13.0-170-generic"},
        {"RHEL 6", "vmlinuz-2.6.32-754.el6.x86_64", "initramfs-2.6.32-754.el6.x86_64.img", "2.6.32-754.el6.x86_64"},
        {"RHEL 5", "vmlinuz-2.6.18-398.el5", "initrd-2.6.18-398.el5.img", "2.6.18-398.el5"},
        {"RHEL 9", "vmlinuz-5.14.0-362.8.1.el9_3.x86_64", "initramfs-5.14.0-362.8.1.el9_3.x86_64.img",
         "5.14.0-362.8.1.el9_3.x86_64"},
        {"SLES 12", "vmlinuz-4.12.14-122.37-default", "initrd-4.12.14-122.37-default", "4.12.14-122.37-default"},
        {"SLES on arm64", "Image-5.14.21-150500.53-default", "initrd-5.14.21-150500.53-default",
         "5.14.21-150500.53-default"},
        {"Gentoo", "kernel-6.1.12-gentoo", "initramfs-6.1.12-gentoo.img", "6.1.12-gentoo"},
        {"by hand", "bzImage-5.0", "initramfs-5.0", "5.0"},
        {"SLES 15 on s390x", "image-5.14.21-150500.55-default", "initrd-5.14.21-150500.55-default",
         "5.14.21-150500.55-default"},
        {"an ELF file alone", "vmlinux-5.0", "initrd-5.0", "5.0"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.who);
        MemoryGuest guest;
        guest.file(std::string("/boot/") + row.kernel, "x").file(std::string("/boot/") + row.initrd, initrd_of({}));
        guest.folder(std::string("/lib/modules/") + row.version);
        const KernelInfo kernel = only_kernel(std::move(guest));
        CHECK(kernel.version == row.version);
        CHECK(kernel.path == std::string("/boot/") + row.kernel);
        CHECK(kernel.size == 1);
        CHECK(kernel.has_modules);
        REQUIRE(kernel.initrd.has_value());
        CHECK(kernel.initrd->path == std::string("/boot/") + row.initrd);
        CHECK(kernel.initrd->size == 124);
        CHECK(kernel.initrd->problem.empty());
    }
}

TEST_CASE("kernels without a version in their names are called by what stands in them") {
    struct Row {
        const char* who;
        const char* kernel;
        const char* initrd;
        const char* version;
    };
    for (const Row& row : {Row{"Arch", "vmlinuz-linux", "initramfs-linux.img", "6.6.10-arch1-1"},
                           {"Arch, long-term", "vmlinuz-linux-lts", "initramfs-linux-lts.img", "6.6.9-1-lts"},
                           {"Alpine", "vmlinuz-virt", "initramfs-virt", "6.6.14-0-virt"},
                           {"Alpine, older", "vmlinuz-lts", "initramfs-lts", "5.15.1-0-lts"},
                           {"plain", "vmlinuz", "initrd.img", "5.10.0"}}) {
        CAPTURE(row.who);
        MemoryGuest guest;
        guest.file(std::string("/boot/") + row.kernel, bz_image(std::string(row.version) + " (builder@host) #1 SMP"));
        guest.file(std::string("/boot/") + row.initrd, initrd_of({}));
        guest.folder(std::string("/usr/lib/modules/") + row.version);
        const KernelInfo kernel = only_kernel(std::move(guest));
        CHECK(kernel.version == row.version);
        CHECK(kernel.architecture == "amd64");
        CHECK(kernel.has_modules);
        REQUIRE(kernel.initrd.has_value());
        CHECK(kernel.initrd->path == std::string("/boot/") + row.initrd);
    }
}

TEST_CASE("a rescue kernel has its own initrd, and stands behind the one that it is a copy of") {
    const std::string id = "0123456789abcdef0123456789abcdef";
    const std::string version = "5.14.0-70.el9.x86_64";
    MemoryGuest guest;
    for (const std::string& name : {"0-rescue-" + id, version}) {
        guest.file("/boot/vmlinuz-" + name, bz_image(version + " (mockbuild@x) #1"));
        guest.file("/boot/initramfs-" + name + ".img", initrd_of({}));
    }
    const std::vector<KernelInfo> kernels = test::inspect(std::move(guest)).kernels;
    REQUIRE(kernels.size() == 2);
    CHECK(kernels[0].path == "/boot/vmlinuz-" + version);
    CHECK(kernels[0].initrd->path == "/boot/initramfs-" + version + ".img");
    CHECK(kernels[1].path == "/boot/vmlinuz-0-rescue-" + id);
    CHECK(kernels[1].version == version);
    CHECK(kernels[1].initrd->path == "/boot/initramfs-0-rescue-" + id + ".img");
}

TEST_CASE("the version in an image ends at a blank or a zero, and has to lie inside of what is read") {
    const auto version_of = [](const std::string& image) {
        return only_kernel(MemoryGuest().file("/boot/vmlinuz-name", image)).version;
    };
    CHECK(version_of(bz_image("6.1.0 (x)")) == "6.1.0");
    CHECK(version_of(bz_image("6.1.0")) == "6.1.0");
    CHECK(version_of(bz_image(std::string(200, '6'))) == std::string(128, '6'));
    CHECK(version_of(bz_image("")) == "name");
    std::string outside = bz_image("6.1.0");
    test::put_bytes(outside, 0x20e, 0xffff, 2);
    CHECK(version_of(outside) == "name");
    CHECK(version_of(bz_image("6.1.0").substr(0, 0x20f)) == "name");
    std::string no_magic = bz_image("6.1.0");
    no_magic[0x202] = 'h';
    CHECK(version_of(no_magic) == "name");
    // From far away only the name is there.
    CHECK(only_kernel(MemoryGuest().file("/boot/vmlinuz-5.0", bz_image("6.1.0")), LargeFiles::leave).version == "5.0");
}

TEST_CASE("an image's architecture is read from whichever head it has") {
    struct Row {
        std::string image;
        const char* architecture;
    };
    std::string efi_stub = bz_image("6.1.0");
    const std::string pe = test::pe_head(0x8664, 0x80);
    efi_stub.replace(0, pe.size(), pe);
    const Row rows[] = {{bz_image("6"), "amd64"},
                        {bz_image("6", false), "386"},
                        {efi_stub, "amd64"},
                        {test::pe_head(0x014c), "386"},
                        {test::pe_head(0xaa64), "arm64"},
                        {test::pe_head(0x01c2), "arm"},
                        {test::pe_head(0x01c4), "arm"},
                        {test::pe_head(0x5064), "riscv64"},
                        {test::pe_head(0x6264), "loong64"},
                        {test::pe_head(0x0200), ""}, // Itanium
                        {test::elf_head(62), "amd64"},
                        {test::elf_head(22, true, true), "s390x"},
                        {bz_image("6").substr(0, 0x237), ""},
                        {"", ""}};
    for (const Row& row : rows)
        CHECK(only_kernel(MemoryGuest().file("/boot/vmlinuz-6", row.image)).architecture == row.architecture);
    // A PE header that lies beyond what is read, or is cut.
    std::string far = test::pe_head(0xaa64);
    test::put_bytes(far, 0x3c, 0xfffffff0, 4);
    CHECK(only_kernel(MemoryGuest().file("/boot/vmlinuz-6", far)).architecture.empty());
    CHECK(only_kernel(MemoryGuest().file("/boot/vmlinuz-6", test::pe_head(0xaa64).substr(0, 0x80 + 5)))
              .architecture.empty());
    CHECK(only_kernel(MemoryGuest().file("/boot/vmlinuz-6", test::pe_head(0xaa64).substr(0, 0x80 + 6))).architecture ==
          "arm64");
}

TEST_CASE("newest first: numbers as numbers, whatever stands between them") {
    const Words newest_first = {"10.0.0",         "6.10.0-1",   "6.9.12-200.fc40", "6.9.2-200.fc40",  "6.1.0-18-amd64",
                                "6.1.0-9-amd64",  "6.1.0",      "5.14.0-362.el9",  "5.14.0-70.2.el9", "5.14.0-70.el9",
                                "4.18.0-477.el8", "3.10.0-957", "3.2.0",           "2.6.32-754.el6"};
    MemoryGuest guest;
    Words expected;
    for (const std::string& version : newest_first) {
        guest.file("/boot/vmlinuz-" + version, "x");
        expected.push_back("/boot/vmlinuz-" + version);
    }
    CHECK(paths_of(test::inspect(std::move(guest)).kernels) == expected);
    MemoryGuest zeros;
    zeros.file("/boot/vmlinuz-6.01.5", "").file("/boot/vmlinuz-6.1.6", "").file("/boot/vmlinuz-6.0099", "");
    CHECK(paths_of(test::inspect(std::move(zeros)).kernels) ==
          Words{"/boot/vmlinuz-6.0099", "/boot/vmlinuz-6.1.6", "/boot/vmlinuz-6.01.5"});
    // Longer than any number that there is.
    MemoryGuest long_ones;
    long_ones.file("/boot/vmlinuz-6.99999999999999999999999", "").file("/boot/vmlinuz-6.100000000000000000000000", "");
    CHECK(paths_of(test::inspect(std::move(long_ones)).kernels).front() == "/boot/vmlinuz-6.100000000000000000000000");
}

TEST_CASE("what only looks like a kernel is none") {
    for (const char* name : {"vmlinuz-6.1.hmac",
                             "vmlinuz-6.1.old",
                             "vmlinuz-6.1.sig",
                             "vmlinuz-6.1.p7s",
                             "vmlinuz-6.1.bak",
                             "vmlinux-6.1.debug",
                             "vmlinuz-6.1.dpkg-bak",
                             "vmlinuz-6.1.rpmsave",
                             "vmlinuz-6.1.rpmorig",
                             "vmlinuz-6.1.dpkg-tmp",
                             "vmlinuz-6.1.dpkg-dist",
                             "vmlinuz-6.1.asc",
                             "vmlinuz-6.1.signed",
                             "vmlinuz-6.1~",
                             "vmlinux-6.1.gz",
                             "vmlinux-6.1.xz",
                             "vmlinux-6.1.bz2",
                             "vmlinux-6.1.zst",
                             "vmlinux-6.1.lz4",
                             "vmlinux-6.1.lzma",
                             "vmlinuzz",
                             "kernelsomething",
                             "System.map-6.1",
                             "config-6.1",
                             "Image.gz",
                             "grub"}) {
        CAPTURE(name);
        CHECK(test::inspect(MemoryGuest().file(std::string("/boot/") + name, "x")).kernels.empty());
    }
    for (const char* name : {"vmlinuz", "vmlinux", "bzImage", "Image", "kernel", "vmlinuz-6.1", "vmlinuz-6.1.gz"}) {
        CAPTURE(name);
        CHECK(test::inspect(MemoryGuest().file(std::string("/boot/") + name, "x")).kernels.size() == 1);
    }
    MemoryGuest links;
    links.symlink("/boot/vmlinuz", "vmlinuz-6.1").file("/boot/vmlinuz-6.1", "x").folder("/boot/kernel-5");
    CHECK(paths_of(test::inspect(std::move(links)).kernels) == Words{"/boot/vmlinuz-6.1"});
    for (const char* made : {"vmlinuz-6.1", "Image-6.1", "bzImage-6.1"}) {
        MemoryGuest elf;
        elf.file("/boot/vmlinux-6.1", "x").file(std::string("/boot/") + made, "x");
        CHECK(paths_of(test::inspect(std::move(elf)).kernels) == Words{std::string("/boot/") + made});
    }
}

TEST_CASE("kernels beside their modules count where /boot has none") {
    MemoryGuest guest;
    guest.file("/usr/lib/modules/6.7.0-1.fc40/vmlinuz", bz_image("another name"))
        .folder("/usr/lib/modules/6.6.0/kernel");
    guest.file("/usr/lib/modules/6.8.0/vmlinuz", "x").file("/boot/initramfs-6.8.0.img", initrd_of({}));
    const std::vector<KernelInfo> kernels = test::inspect(guest).kernels;
    CHECK(paths_of(kernels) == Words{"/usr/lib/modules/6.8.0/vmlinuz", "/usr/lib/modules/6.7.0-1.fc40/vmlinuz"});
    CHECK(kernels.at(0).initrd->path == "/boot/initramfs-6.8.0.img");
    CHECK(kernels.at(1).version == "6.7.0-1.fc40"); // the folder's
    CHECK_FALSE(kernels.at(1).initrd.has_value());
    guest.file("/boot/vmlinuz-5.0", "x");
    CHECK(paths_of(test::inspect(guest).kernels) == Words{"/boot/vmlinuz-5.0"});
}

TEST_CASE("a driver is where it is found first: built in, in the initrd, on the disk") {
    struct Row {
        const char* builtin;
        Words in_initrd;
        const char* dep;
        const char* place; // of virtio_blk
    };
    const std::string folder = "usr/lib/modules/6.1/kernel/drivers/block/";
    const Row rows[] = {
        {"kernel/drivers/block/virtio_blk.ko\n", {folder + "virtio_blk.ko"}, "", "builtin"},
        {"", {folder + "virtio_blk.ko.xz"}, "kernel/drivers/block/virtio_blk.ko:\n", "initrd"},
        {"", {folder + "virtio-blk.ko.zst"}, "", "initrd"},
        {"", {}, "kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio.ko.xz\n", "disk"},
        {"", {}, "/lib/modules/6.1/kernel/drivers/block/virtio_blk.ko: x\n", "disk"},    // as RHEL 5 writes them
        {"", {}, "kernel/fs/other.ko: kernel/drivers/block/virtio_blk.ko\n", "missing"}, // it only needs it
        {"", {folder + "virtio_blk_test.ko"}, "kernel/drivers/block/virtio_blk\n", "missing"},
        {"", {"etc/virtio_blk.ko"}, "", "missing"},                // no module's folder
        {"kernel/drivers/block/virtio_blk.ko", {}, "", "builtin"}, // no line feed behind it
    };
    for (const Row& row : rows) {
        CAPTURE(row.builtin, row.dep);
        MemoryGuest guest;
        guest.file("/boot/vmlinuz-6.1", "x").file("/boot/initrd.img-6.1", initrd_of(row.in_initrd));
        guest.file("/lib/modules/6.1/modules.builtin", row.builtin).file("/lib/modules/6.1/modules.dep", row.dep);
        CHECK(place_of(only_kernel(std::move(guest)).drivers, "virtio_blk") == row.place);
    }
}

TEST_CASE("machines without virtio need other drivers, by their exact names") {
    MemoryGuest guest;
    guest.file("/boot/vmlinuz-6.1", "x");
    guest.file("/lib/modules/6.1/modules.builtin",
               "kernel/drivers/ata/ata_piix.ko\nkernel/drivers/ata/ahci_platform.ko\n");
    guest.file("/lib/modules/6.1/modules.dep", "kernel/drivers/net/ethernet/intel/e1000/e1000.ko.xz:\n"
                                               "kernel/drivers/ata/acard-ahci.ko: kernel/drivers/ata/libahci.ko\n");
    const KernelInfo kernel = only_kernel(std::move(guest));
    REQUIRE(kernel.older_drivers.size() == 5);
    CHECK(place_of(kernel.older_drivers, "ata_piix") == "builtin");
    CHECK(place_of(kernel.older_drivers, "e1000") == "disk");
    CHECK(place_of(kernel.older_drivers, "e1000e") == "missing");
    CHECK(place_of(kernel.older_drivers, "ahci") == "missing");
    CHECK(place_of(kernel.older_drivers, "piix") == "missing");
    REQUIRE(kernel.drivers.size() == 6);
    for (const char* name : {"virtio", "virtio_ring", "virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net"})
        CHECK(place_of(kernel.drivers, name) == "missing");
}

TEST_CASE("a kernel finds a virtio disk if both of its drivers are at hand, and nobody guesses") {
    struct Row {
        const char* builtin;
        Words in_initrd;
        const char* boots; // "?": not known
    };
    const std::string pci = "lib/modules/6.1/kernel/virtio_pci.ko";
    const std::string blk = "lib/modules/6.1/kernel/virtio_blk.ko";
    for (const Row& row : {Row{"", {pci, blk}, "yes"},
                           {"", {pci}, "no"},
                           {"", {blk}, "no"},
                           {"", {}, "no"},
                           {"kernel/virtio_pci.ko\nkernel/virtio_blk.ko\n", {}, "yes"},
                           {"kernel/virtio_pci.ko\n", {blk}, "yes"}}) {
        MemoryGuest guest;
        guest.file("/boot/vmlinuz-6.1", "x").file("/boot/initrd.img-6.1", initrd_of(row.in_initrd));
        guest.file("/lib/modules/6.1/modules.builtin", row.builtin);
        guest.file("/lib/modules/6.1/modules.dep", "kernel/virtio_pci.ko:\nkernel/virtio_blk.ko:\n");
        const KernelInfo kernel = only_kernel(guest);
        CHECK(kernel.boots_on_virtio == (row.boots == std::string("yes")));
        const KernelInfo from_far = only_kernel(guest, LargeFiles::leave);
        CHECK(from_far.boots_on_virtio.value_or(false) == (row.builtin == std::string("kernel/virtio_pci.ko\nkernel/"
                                                                                      "virtio_blk.ko\n")));
        CHECK(from_far.boots_on_virtio != false);
    }
    // Without an initrd what lies on the disk is out of reach.
    MemoryGuest bare;
    bare.file("/boot/vmlinuz-6.1", "x");
    bare.file("/lib/modules/6.1/modules.dep", "kernel/virtio_pci.ko:\nkernel/virtio_blk.ko:\n");
    CHECK(only_kernel(bare).boots_on_virtio == false);
    CHECK(only_kernel(bare, LargeFiles::leave).boots_on_virtio == false);
    // Of an initrd that is damaged the half that was read says nothing of the other.
    MemoryGuest damaged;
    const std::string whole = initrd_of({pci, blk});
    damaged.file("/boot/vmlinuz-6.1", "x").file("/boot/initrd.img-6.1", whole.substr(0, 170));
    const KernelInfo kernel = only_kernel(std::move(damaged));
    CHECK_FALSE(kernel.boots_on_virtio.has_value());
    CHECK(place_of(kernel.drivers, "virtio_pci") == "initrd");
    CHECK(place_of(kernel.drivers, "virtio_blk") == "unknown");
    CHECK(kernel.initrd->files == 1);
    CHECK(kernel.initrd->problem.starts_with("the cpio archive ends inside "));
    CHECK(kernel.initrd->compression == "none");
}

TEST_CASE("an initrd that is not read is named with its size and why") {
    MemoryGuest guest;
    guest.file("/boot/vmlinuz-6.1", "x").file("/boot/initrd.img-6.1", std::string(777, 'x'));
    const KernelInfo kernel = only_kernel(guest, LargeFiles::leave);
    REQUIRE(kernel.initrd.has_value());
    CHECK(kernel.initrd->size == 777);
    CHECK(kernel.initrd->problem == "not read, for its size; inspect a local copy");
    CHECK(kernel.initrd->compression.empty());
    CHECK(only_kernel(guest).initrd->problem == "it is compressed in a way that is not known here");
    MemoryGuest folder;
    folder.file("/boot/vmlinuz-6.1", "x").folder("/boot/initrd.img-6.1");
    CHECK_FALSE(only_kernel(std::move(folder)).initrd.has_value());
    MemoryGuest linked;
    linked.file("/boot/vmlinuz-6.1", "x").symlink("/boot/initrd.img-6.1", "real").file("/boot/real", initrd_of({}));
    CHECK(only_kernel(std::move(linked)).initrd->size == 124);
}

TEST_CASE("the walk through an initrd ends when the operation does") {
    MemoryGuest guest;
    guest.file("/boot/initrd.img-6.1", initrd_of({"init"}));
    CHECK(inspect::read_initrd(guest, "/boot/initrd.img-6.1", {}).files == 1);
    CHECK(inspect::read_initrd(guest, "/boot/gone", {}).files == 0);
    CHECK(inspect::read_initrd(guest, "/boot/gone", {}).problem.empty());
}
