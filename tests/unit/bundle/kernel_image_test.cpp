// Kernels as files: what they are, which release, for which processor, and how an ELF file comes out of them.
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "libconvert/bundle/elf_kernel.hpp"
#include "libconvert/bundle/kernel.hpp"
#include "tests/support/memory_guest.hpp"
#include "tests/support/packed.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace vm2oci;
using test::gzip;
using test::zstd;

namespace {

void put(std::string& bytes, std::size_t at, std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i)
        bytes.at(at + i) = static_cast<char>(value >> 8 * i);
}

// Documentation/arch/x86/boot.rst: sectors of setup at 0x1f1, "HdrS", the protocol, where the version stands,
// xloadflags, and where the payload lies behind the setup.
std::string bz_image(const std::string& payload, unsigned setup = 27, unsigned protocol = 0x020f) {
    const std::size_t protected_mode = ((setup == 0 ? 4 : setup) + 1) * 512;
    std::string image(protected_mode + 64, '\0');
    put(image, 0x1f1, setup, 1);
    image.replace(0x202, 4, "HdrS");
    put(image, 0x206, protocol, 2);
    put(image, 0x20e, 0x400, 2);
    put(image, 0x236, 3, 2);
    const std::string version = "6.1.0-18-amd64 (debian@x) #1 SMP";
    image.replace(0x600, version.size(), version);
    put(image, 0x248, 64, 4);
    put(image, 0x24c, payload.size(), 4);
    return image + payload + "behind it";
}

std::string elf(unsigned machine, bool big_endian = false) {
    std::string head(64, '\0');
    head.replace(0, 4,
                 "\x7f"
                 "ELF");
    head[5] = big_endian ? 2 : 1;
    head[big_endian ? 18 : 19] = static_cast<char>(machine >> 8);
    head[big_endian ? 19 : 18] = static_cast<char>(machine);
    return head + "the kernel's code";
}

std::string arm_image(const std::string& more = "") {
    std::string image(128, '\0');
    image.replace(56, 4, "ARM\x64");
    return image + more;
}

std::string with_size(std::string packed, std::size_t size) {
    packed.resize(packed.size() + 4);
    put(packed, packed.size() - 4, size, 4);
    return packed;
}

template <class Action>
std::string refusal_of(Action&& action, ErrorKind kind) {
    try {
        action();
    } catch (const Error& error) {
        return error.kind() == kind ? error.what() : std::string("another kind: ") + error.what();
    }
    return {};
}

} // namespace

TEST_CASE("a kernel's ELF file is taken out of whatever it is packed in") {
    const std::string kernel = elf(62) + std::string(300'000, 'k');
    const std::size_t size = kernel.size();
    CHECK(elf_kernel(kernel) == kernel);
    CHECK((elf_kernel(bz_image(gzip(kernel))) == kernel)); // whose own last four bytes say how long it is
    CHECK((elf_kernel(bz_image(with_size(zstd(kernel), size))) == kernel));
    CHECK((elf_kernel(bz_image(with_size(kernel, size))) == kernel)); // CONFIG_KERNEL_UNCOMPRESSED
    // One block of literals, as lz4 has it: a token, a length, the bytes.
    const std::string small = elf(62);
    std::string block = "\xf0" + std::string(1, static_cast<char>(small.size() - 15)) + small;
    std::string lz4("\x02\x21\x4c\x18\0\0\0\0", 8);
    put(lz4, 4, block.size(), 4);
    CHECK(elf_kernel(bz_image(with_size(lz4 + block, small.size()))) == small);
}

TEST_CASE("setup has as many sectors as it says, and four where it says none") {
    const std::string kernel = elf(62);
    for (const unsigned setup : {0u, 1u, 4u, 27u, 255u}) {
        CAPTURE(setup);
        if (setup == 1) // too short for this image's own version
            continue;
        CHECK(elf_kernel(bz_image(gzip(kernel), setup)) == kernel);
    }
}

TEST_CASE("an arm64 Image and what is no kernel hold no ELF file, and are not refused") {
    CHECK_FALSE(elf_kernel(arm_image()).has_value());
    CHECK_FALSE(elf_kernel("").has_value());
    CHECK_FALSE(elf_kernel(bz_image(gzip(elf(62))).substr(0, 0x25f)).has_value());
    std::string no_magic = bz_image(gzip(elf(62)));
    no_magic[0x203] = 'D';
    CHECK_FALSE(elf_kernel(no_magic).has_value());
}

TEST_CASE("kernels that hold no ELF file that can be read are refused with why") {
    const std::string packed = gzip(elf(62));
    CHECK(refusal_of([&] { elf_kernel(bz_image(packed, 27, 0x0207)); }, ErrorKind::unsupported) ==
          "the kernel is older than Linux 2.6.26: no ELF file can be taken out of it");
    CHECK(elf_kernel(bz_image(packed, 27, 0x0208)).has_value());
    constexpr const char* kBeyond = "the kernel's payload reaches beyond its image";
    for (const auto& [field, value] : {std::pair<std::size_t, std::uint64_t>{0x248, 0xffffffff},
                                       {0x24c, 0xffffffff},
                                       {0x24c, 7},
                                       {0x24c, packed.size() + 10}}) {
        CAPTURE(field, value);
        std::string image = bz_image(packed);
        put(image, field, value, 4);
        CHECK(refusal_of([&] { elf_kernel(image); }, ErrorKind::corrupt) == kBeyond);
    }
    CHECK(refusal_of([&] { elf_kernel(bz_image("no such compression")); }, ErrorKind::unsupported) ==
          "the kernel is compressed in a way that is not known");
    CHECK(refusal_of([&] { elf_kernel(bz_image(std::string("\x89LZO\0\r\n\x1a\n....", 13))); },
                     ErrorKind::unsupported) == "the kernel is compressed with lzo");
    CHECK(refusal_of([&] { elf_kernel(bz_image(gzip("no program"))); }, ErrorKind::corrupt) ==
          "the kernel unpacks to something that is no ELF file");
    CHECK(refusal_of([&] { elf_kernel(bz_image(packed.substr(0, packed.size() - 9))); }, ErrorKind::corrupt) ==
          "its gzip stream is damaged");
}

TEST_CASE("the release of a kernel stands in its setup, or in the banner that it prints") {
    CHECK(kernel_release(bz_image("x")) == "6.1.0-18-amd64");
    std::string none = bz_image("x");
    put(none, 0x20e, 0, 2);
    CHECK(kernel_release(none).empty());
    std::string beyond = bz_image("x");
    put(beyond, 0x20e, 0xffff, 2);
    CHECK(kernel_release(beyond).empty());
    struct Row {
        std::string text;
        const char* release;
    };
    for (const Row& row : {Row{"Linux version 6.6.15 (x@y) (gcc) #1 SMP\n", "6.6.15"},
                           {"Linux version %s (%s)\nLinux version 5.10.0-28-arm64 (debian)", "5.10.0-28-arm64"},
                           {"Linux version ", ""},
                           {"Linux version x.y", ""},
                           {"linux version 6.1", ""},
                           {"Linux version 7" + std::string("\x01", 1), "7"},
                           {"Linux version 6" + std::string(200, '6'), nullptr}}) {
        CAPTURE(row.text);
        CHECK(kernel_release(arm_image(row.text)) == (row.release == nullptr ? std::string(128, '6') : row.release));
        CHECK(kernel_release(elf(183) + row.text) == (row.release == nullptr ? std::string(128, '6') : row.release));
    }
}

TEST_CASE("a kernel's processor is told by its head") {
    struct Row {
        std::string image;
        const char* architecture;
    };
    std::string old = bz_image("x");
    put(old, 0x236, 2, 2);
    for (const Row& row : {Row{bz_image("x"), "amd64"},
                           {old, "386"},
                           {arm_image(), "arm64"},
                           {elf(62), "amd64"},
                           {elf(3), "386"},
                           {elf(40), "arm"},
                           {elf(183), "arm64"},
                           {elf(243), "riscv64"},
                           {elf(22, true), "s390x"},
                           {elf(21), "ppc64le"},
                           {elf(21, true), "ppc64"},
                           {elf(8), ""},
                           {elf(62).substr(0, 19), ""},
                           {arm_image().substr(0, 64), ""},
                           {"", ""},
                           {"MZ", ""}})
        CHECK(kernel_architecture(row.image) == row.architecture);
}

TEST_CASE("kernels run the programs of their own processor, and of its smaller brother") {
    for (const auto& [kernel, programs, runs] : {std::tuple{"amd64", "amd64", true},
                                                 {"amd64", "386", true},
                                                 {"386", "amd64", false},
                                                 {"arm64", "arm", true},
                                                 {"arm", "arm64", false},
                                                 {"arm64", "amd64", false},
                                                 {"", "arm64", true},
                                                 {"arm64", "", true},
                                                 {"ppc64", "ppc64le", false},
                                                 {"amd64", "arm", false},
                                                 {"arm64", "386", false}}) {
        CAPTURE(kernel, programs);
        CHECK(runs_programs_of(kernel, programs) == runs);
    }
    CHECK(refusal_of([] { require_kernel_for(arm_image(), "amd64"); }, ErrorKind::unsupported) ==
          "the kernel is for arm64, and the guest's programs are for amd64");
    CHECK(refusal_of([] { require_kernel_for("unknown", "amd64"); }, ErrorKind::unsupported).empty());
}

TEST_CASE("files are kernels by their content, wherever they come from") {
    const test::TemporaryFolder folder;
    const auto path = folder.path() / "vmlinuz";
    const auto write = [&](const std::string& text) { std::ofstream(path, std::ios::binary) << text; };
    for (const std::string& image : {bz_image("x"), elf(62), arm_image()}) {
        write(image);
        const BundleKernel kernel = read_kernel_file(KernelOrigin::file, path);
        CHECK((kernel.image == image));
        CHECK(kernel.origin == KernelOrigin::file);
        CHECK_FALSE(kernel.initramfs.has_value());
    }
    for (const std::string& image : {std::string(), std::string("\x1f\x8b\x08 a packed Image"),
                                     arm_image().substr(0, 64), bz_image("x").substr(0, 0x260)}) {
        write(image);
        CHECK(refusal_of([&] { read_kernel_file(KernelOrigin::file, path); }, ErrorKind::unsupported) ==
              path.string() + " is no kernel: a bzImage, an ELF vmlinux or an arm64 Image is needed");
    }
    const auto gone = folder.path() / "gone";
    CHECK(refusal_of([&] { read_kernel_file(KernelOrigin::file, gone); }, ErrorKind::not_found) ==
          gone.string() + ": no such file");
    CHECK(refusal_of([&] { read_initramfs_file(gone); }, ErrorKind::not_found) == gone.string() + ": no such file");
    write("any bytes");
    CHECK(read_initramfs_file(path) == "any bytes");
}

TEST_CASE("a guest's kernel is its newest, with its initrd, and a remark where it may not find the disk") {
    test::MemoryGuest guest;
    guest.file("/boot/vmlinuz-2", bz_image("x")).file("/boot/initrd-2", "initrd").file("/boot/vmlinuz-1", elf(62));
    guest.file("/boot/other", "text");
    GuestInfo info;
    CHECK(refusal_of([&] { read_guest_kernel(guest, info); }, ErrorKind::unsupported) ==
          "the guest has no kernel in /boot");
    info.kernels.resize(2);
    info.kernels[0].path = "/boot/vmlinuz-2";
    info.kernels[0].version = "2";
    info.kernels[0].boots_on_virtio = true;
    info.kernels[0].initrd = InitrdInfo{"/boot/initrd-2", 6, "", "", 0};
    info.kernels[1].path = "/boot/vmlinuz-1";
    const BundleKernel kernel = read_guest_kernel(guest, info);
    CHECK((kernel.image == bz_image("x")));
    CHECK(kernel.release == "6.1.0-18-amd64");
    CHECK(kernel.initramfs == "initrd");
    CHECK(kernel.remarks.empty());
    CHECK(kernel.origin == KernelOrigin::guest);
    for (const std::optional<bool> boots : {std::optional<bool>(false), std::optional<bool>()}) {
        info.kernels[0].boots_on_virtio = boots;
        CHECK(
            read_guest_kernel(guest, info).remarks ==
            std::vector<std::string>{"kernel 2 may not find a virtio disk: its drivers are neither built in nor in its "
                                     "initrd; the fix 'virtio' adds them"});
    }
    info.kernels[0].initrd.reset();
    CHECK_FALSE(read_guest_kernel(guest, info).initramfs.has_value());
    for (const char* path : {"/boot/other", "/boot/gone"}) {
        info.kernels[0].path = path;
        CHECK(refusal_of([&] { read_guest_kernel(guest, info); }, ErrorKind::unsupported) ==
              "'" + std::string(path) + "' in the guest is no kernel that can be started directly");
    }
}

TEST_CASE("init is looked for as the kernel does") {
    const auto missing = [](const std::vector<std::string>& files, const std::string& line) {
        test::MemoryGuest guest;
        for (const std::string& file : files)
            guest.file(file, "");
        return missing_init(guest, line);
    };
    for (const char* path : {"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"})
        CHECK(missing({path}, "quiet").empty());
    CHECK(missing({"/usr/bin/init"}, "") == "/sbin/init");
    CHECK(missing({"/sbin/init"}, "init=/bin/other") == "/bin/other");
    CHECK(missing({"/bin/other"}, "init=/gone init=/bin/other").empty());
    CHECK(missing({"/sbin/init"}, "quiet -- init=/gone").empty());
    CHECK(missing({"/sbin/init"}, "rdinit=/gone").empty());
}
