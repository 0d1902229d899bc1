// Firmware, boot loaders, what they tell the kernel, and on which lines a guest can be spoken to.
#include "formats/partition/partition.hpp"
#include "libconvert/inspect/guest_summary.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/unit/inspect/inspect_fixture.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <map>

using namespace vm2oci;
using namespace std::string_literals;
using test::MemoryGuest;
using test::put_bytes;
using test::Words;

namespace {

constexpr std::size_t kSector = 512;

// A small FAT12 by Microsoft's description: one sector of boot record, one table, a root of 64 entries, clusters of a
// sector, each file's one behind the other. Paths are of eight and three capitals.
class EspImage {
  public:
    EspImage() : image_(kSector * (kData + 2000), '\0'), table_(kSector * kTable, '\0') {
        put_bytes(image_, 11, kSector, 2);
        put_bytes(image_, 13, 1, 1);
        put_bytes(image_, 14, 1, 2);
        put_bytes(image_, 16, 1, 1);
        put_bytes(image_, 17, 64, 2);
        put_bytes(image_, 19, kData + 2000, 2);
        put_bytes(image_, 22, kTable, 2);
    }
    EspImage& file(const std::string& path, const std::string& content) {
        const std::size_t slash = path.rfind('/');
        folders_[slash == std::string::npos ? "" : path.substr(0, slash)].push_back({path, content, false});
        return *this;
    }
    EspImage& folder(const std::string& path) {
        const std::size_t slash = path.rfind('/');
        folders_[slash == std::string::npos ? "" : path.substr(0, slash)].push_back({path, "", true});
        return *this;
    }
    std::shared_ptr<const BlockDevice> device() {
        const std::string root = entries("");
        image_.replace((1 + kTable) * kSector, root.size(), root);
        image_.replace(kSector, table_.size(), table_);
        auto device = std::make_shared<test::MemoryDevice>(image_.size());
        device->put(0, image_);
        return device;
    }

  private:
    static constexpr std::size_t kTable = 7;
    static constexpr std::size_t kData = 1 + kTable + 4;
    struct Item {
        std::string path;
        std::string content;
        bool is_folder;
    };

    std::string entries(const std::string& folder) {
        std::string all;
        for (const Item& item : folders_[folder]) {
            const std::string content = item.is_folder ? entries(item.path) : item.content;
            std::string entry(32, '\0');
            const std::string name = item.path.substr(item.path.rfind('/') + 1);
            const std::size_t dot = std::min(name.find('.'), name.size());
            entry.replace(0, 11,
                          fmt::format("{:8}{:3}", name.substr(0, dot), dot < name.size() ? name.substr(dot + 1) : ""));
            entry[11] = item.is_folder ? 0x10 : 0;
            put_bytes(entry, 26, store(item.is_folder ? content + std::string(32, '\0') : content), 2);
            put_bytes(entry, 28, item.is_folder ? 0 : content.size(), 4);
            all += entry;
        }
        return all;
    }
    std::size_t store(const std::string& content) {
        const std::size_t first = next_;
        for (std::size_t at = 0; at < content.size(); at += kSector) {
            const std::string part = content.substr(at, kSector);
            image_.replace((kData + next_ - 2) * kSector, part.size(), part);
            link(next_, at + kSector < content.size() ? next_ + 1 : 0xfff);
            ++next_;
        }
        return content.empty() ? 0 : first;
    }
    void link(std::size_t cluster, std::size_t value) {
        const std::size_t at = cluster * 3 / 2;
        const unsigned old = static_cast<unsigned char>(table_[at]) |
                             static_cast<unsigned>(static_cast<unsigned char>(table_[at + 1])) << 8;
        put_bytes(table_, at, cluster % 2 == 0 ? (old & 0xf000) | value : (old & 0x000f) | value << 4, 2);
    }

    std::string image_;
    std::string table_;
    std::map<std::string, std::vector<Item>> folders_;
    std::size_t next_ = 2;
};

// A disk of a boot sector and partitions; volumes as they would be found.
struct BootDisk {
    OpenedGuest opened = test::opened_of(MemoryGuest());
    std::shared_ptr<test::MemoryDevice> disk = std::make_shared<test::MemoryDevice>(1 << 20);

    BootDisk() { opened.disk = disk; }
    BootDisk& guest(MemoryGuest guest) {
        opened.guest = std::make_unique<MemoryGuest>(std::move(guest));
        return *this;
    }
    BootDisk& partition(const std::string& type, std::shared_ptr<const BlockDevice> device,
                        const char* content = "vfat", bool active = false) {
        Partition partition;
        partition.number = static_cast<unsigned>(opened.layout.table.partitions.size() + 1);
        partition.type = type;
        partition.active = active;
        Volume volume;
        volume.name = "partition " + std::to_string(partition.number);
        volume.partition = opened.layout.table.partitions.size();
        volume.device = std::move(device);
        volume.signature = Signature{ContentKind::file_system, content, "", "", ""};
        opened.layout.table.partitions.push_back(partition);
        opened.layout.volumes.push_back(std::move(volume));
        return *this;
    }
    BootInfo boot(LargeFiles large_files = LargeFiles::read) { return inspect_guest(opened, {}, large_files).boot; }
};

constexpr const char* kEsp = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
constexpr const char* kBiosBoot = "21686148-6449-6e6f-744e-656564454649";
constexpr const char* kLinux = "0fc63daf-8483-4772-8e79-3d69d8477de4";

BootInfo boot_of(MemoryGuest guest) {
    return inspect_boot(test::opened_of(std::move(guest)));
}

} // namespace

TEST_CASE("the first sector tells which loader a BIOS starts") {
    struct Row {
        std::string code;
        const char* loader;
    };
    for (const Row& row : {Row{"\xeb\x63\x90 GRUB \0Geom"s, "grub"},
                           {std::string(380, 'x') + "GRUB ", "grub"},
                           {std::string(436, 'x') + "GRUB ", ""}, // beyond the code
                           {std::string(6, '\0') + "LILO", "lilo"},
                           {"Missing operating system.", "syslinux"},
                           {"GRUB", ""},
                           {"", ""}}) {
        CAPTURE(row.code.size());
        BootDisk machine;
        machine.disk->put(0, row.code);
        CHECK(machine.boot().loader == row.loader);
    }
    BootDisk tiny;
    tiny.opened.disk = std::make_shared<test::MemoryDevice>(439);
    CHECK(tiny.boot().loader.empty());
    BootDisk least;
    auto disk = std::make_shared<test::MemoryDevice>(440);
    disk->put(100, "LILO");
    least.opened.disk = disk;
    CHECK(least.boot().loader == "lilo");
}

TEST_CASE("a BIOS boots what has code, and with a GPT a place for the loader's core") {
    struct Row {
        TableKind kind;
        bool has_code;
        const char* type;
        bool active;
        bool bios;
    };
    for (const Row& row : {Row{TableKind::mbr, true, "0x83", false, true},
                           {TableKind::mbr, false, "0x83", true, false},
                           {TableKind::gpt, true, kLinux, false, false},
                           {TableKind::gpt, true, kBiosBoot, false, true},
                           {TableKind::gpt, true, kLinux, true, true},
                           {TableKind::gpt, false, kBiosBoot, true, false},
                           {TableKind::none, true, "0x83", false, true}}) {
        CAPTURE(static_cast<int>(row.kind), row.type);
        BootDisk machine;
        machine.opened.layout.table.kind = row.kind;
        machine.opened.layout.table.has_boot_code = row.has_code;
        machine.partition(row.type, std::make_shared<EmptyDevice>(4096), "ext4", row.active);
        CHECK(machine.boot().bios == row.bios);
        CHECK(machine.boot().uefi == false);
    }
}

TEST_CASE("EFI's programs are named with their signatures, and the fallback among them") {
    EspImage esp;
    esp.folder("EFI").folder("EFI/BOOT").file("EFI/BOOT/BOOTX64.EFI", test::pe_head(0x8664, 0x80, true));
    esp.file("EFI/BOOT/FBX64.EFI", test::pe_head(0x8664)).file("EFI/BOOT/README.TXT", "text");
    esp.folder("EFI/DEBIAN").file("EFI/DEBIAN/GRUBX64.EFI", test::pe_head(0x8664, 0x100, true, false));
    esp.file("EFI/DEBIAN/EMPTY.EFI", "").folder("EFI/DEBIAN/SUB").file("EFI/LOOSE.EFI", test::pe_head(0x8664));
    BootDisk machine;
    machine.partition(kEsp, esp.device());
    const BootInfo boot = machine.boot();
    struct Row {
        const char* path;
        bool is_signed;
    };
    const Row rows[] = {{"EFI/BOOT/BOOTX64.EFI", true},
                        {"EFI/BOOT/FBX64.EFI", false},
                        {"EFI/DEBIAN/EMPTY.EFI", false},
                        {"EFI/DEBIAN/GRUBX64.EFI", true}};
    REQUIRE(boot.efi_programs.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(boot.efi_programs[i].path == rows[i].path);
        CHECK(boot.efi_programs[i].is_signed == rows[i].is_signed);
    }
    CHECK(boot.efi_fallback == "EFI/BOOT/BOOTX64.EFI");
    CHECK(boot.uefi);
    CHECK_FALSE(boot.bios);
    CHECK(boot.loader.empty());
    // From far away the fallback alone is read.
    const BootInfo from_far = machine.boot(LargeFiles::leave);
    REQUIRE(from_far.efi_programs.size() == 4);
    CHECK(from_far.efi_programs[0].is_signed == true);
    CHECK_FALSE(from_far.efi_programs[1].is_signed.has_value());
    CHECK_FALSE(from_far.efi_programs[2].is_signed.has_value());
    CHECK(from_far.efi_fallback == "EFI/BOOT/BOOTX64.EFI");
}

TEST_CASE("a fallback is a program for some processor, by its name's beginning and its head") {
    struct Row {
        const char* name;
        std::string head;
        bool is_fallback;
    };
    for (const Row& row : {Row{"BOOTAA64.EFI", test::pe_head(0xaa64), true},
                           {"BOOTIA32.EFI", test::pe_head(0x014c), true},
                           {"BOOTX64.EFI", "not a program", false},
                           {"BOOTX64.EFI", test::pe_head(0x0ebc), false},
                           {"GRUBX64.EFI", test::pe_head(0x8664), false},
                           {"BOOTX64.BAK", test::pe_head(0x8664), false}}) {
        CAPTURE(row.name);
        EspImage esp;
        esp.folder("EFI").folder("EFI/BOOT").file(std::string("EFI/BOOT/") + row.name, row.head);
        BootDisk machine;
        machine.partition(kEsp, esp.device());
        CHECK(machine.boot().efi_fallback == (row.is_fallback ? std::string("EFI/BOOT/") + row.name : ""));
    }
    EspImage elsewhere;
    elsewhere.folder("EFI").folder("EFI/OTHER").file("EFI/OTHER/BOOTX64.EFI", test::pe_head(0x8664));
    BootDisk machine;
    machine.partition(kEsp, elsewhere.device());
    CHECK(machine.boot().efi_fallback.empty());
    CHECK(machine.boot().uefi);
}

TEST_CASE("a signature is told from a head, however it is cut") {
    const std::string whole = test::pe_head(0x8664, 0x80, true);
    const std::size_t announced = 0x80 + 24 + 112 + 4 * 8 + 8; // behind the fifth directory
    for (const std::size_t length : {std::size_t{1}, std::size_t{0x3f}, std::size_t{0x90}, announced - 1, announced}) {
        CAPTURE(length);
        EspImage esp;
        esp.folder("EFI").folder("EFI/A").file("EFI/A/A.EFI", whole.substr(0, length));
        BootDisk machine;
        machine.partition(kEsp, esp.device());
        CHECK(machine.boot().efi_programs.at(0).is_signed == (length == announced));
    }
}

TEST_CASE("systemd-boot is known by its folder, and other partitions of FAT by what lies in them") {
    EspImage systemd;
    systemd.folder("EFI").folder("EFI/SYSTEMD").file("EFI/SYSTEMD/SYSTEMDX.EFI", test::pe_head(0x8664));
    BootDisk machine;
    machine.partition("0x0c", systemd.device());
    CHECK(machine.boot().loader == "systemd-boot");
    CHECK(machine.boot().uefi); // of a stick, say: no partition is called ESP
    // Once programs were found, only what is called ESP is looked into.
    EspImage esp;
    esp.folder("EFI").folder("EFI/BOOT").file("EFI/BOOT/BOOTX64.EFI", test::pe_head(0x8664));
    BootDisk both;
    both.partition(kEsp, esp.device()).partition("0x0c", systemd.device());
    CHECK(both.boot().efi_programs.size() == 1);
    BootDisk two;
    two.partition(kEsp, esp.device()).partition("0xef", systemd.device());
    CHECK(two.boot().efi_programs.size() == 2);
    // What is no FAT, or a damaged one, hides nothing else.
    BootDisk broken;
    broken.partition(kEsp, std::make_shared<EmptyDevice>(4096)).partition(kEsp, esp.device());
    CHECK(broken.boot().efi_programs.size() == 1);
    BootDisk other;
    other.partition(kEsp, esp.device(), "ntfs");
    CHECK_FALSE(other.boot().uefi);
    EspImage file;
    file.file("EFI", "a file of that name");
    BootDisk no_folder;
    no_folder.partition(kEsp, file.device());
    CHECK_FALSE(no_folder.boot().uefi);
    // What the disk throws comes through.
    auto failing = std::make_shared<test::MemoryDevice>(4096);
    failing->fail_reads(0, 512);
    BootDisk gone;
    gone.partition(kEsp, failing);
    CHECK_THROWS_WITH(gone.boot(), "this read fails on purpose");
}

TEST_CASE("a guest says in one word what firmware starts it") {
    EspImage esp;
    esp.folder("EFI").folder("EFI/BOOT").file("EFI/BOOT/BOOTX64.EFI", test::pe_head(0x8664));
    for (const bool bios : {false, true})
        for (const bool uefi : {false, true}) {
            BootDisk machine;
            machine.opened.layout.table.kind = TableKind::mbr;
            machine.opened.layout.table.has_boot_code = bios;
            if (uefi)
                machine.partition("0xef", esp.device());
            CHECK(summarise_guest(machine.opened).firmware == (bios && uefi ? "bios uefi"
                                                               : bios       ? "bios"
                                                               : uefi       ? "uefi"
                                                                            : ""));
        }
}

TEST_CASE("command lines stand where each loader of each release keeps them") {
    struct Row {
        const char* who;
        std::vector<std::pair<const char*, const char*>> files;
        Words lines;
        const char* loader;
    };
    const Row rows[] = {
        {"Debian 12",
         {{"/boot/grub/grub.cfg",
           "menuentry 'Debian' {\n\tlinux\t/boot/vmlinuz-6.1.0 root=UUID=1 ro  quiet\n\tinitrd\t/x\n}\n"
           "menuentry 'recovery' {\n\tlinux /boot/vmlinuz-6.1.0 root=UUID=1 ro single\n}\n"}},
         {"root=UUID=1 ro  quiet", "root=UUID=1 ro single"},
         "grub"},
        {"RHEL 7",
         {{"/boot/grub2/grub.cfg", "linux16 /vmlinuz-3.10 root=/dev/mapper/rhel-root ro\n"}},
         {"root=/dev/mapper/rhel-root ro"},
         "grub"},
        {"Fedora 20 on UEFI",
         {{"/boot/grub2/grub.cfg", "  linuxefi /vmlinuz-3.10 root=/dev/sda2\n"}},
         {"root=/dev/sda2"},
         "grub"},
        {"without words", {{"/boot/grub/grub.cfg", "linux /vmlinuz\nlinuxrc x\nlinux\n"}}, {""}, "grub"},
        {"RHEL 6",
         {{"/boot/grub/grub.conf", "default=0\ntitle RHEL\n\troot (hd0,0)\n\tkernel /vmlinuz-2.6.32 ro root=/dev/sda2\n"
                                   "\tinitrd /x\n"}},
         {"ro root=/dev/sda2"},
         "grub-legacy"},
        {"SLES 11",
         {{"/boot/grub/menu.lst", "    kernel /boot/vmlinuz-3.0 root=/dev/sda2 splash=silent\n"}},
         {"root=/dev/sda2 splash=silent"},
         "grub-legacy"},
        {"Fedora 40",
         {{"/boot/loader/entries/a.conf", "title Fedora\noptions root=UUID=2 ro rhgb\n"},
          {"/boot/grub2/grub.cfg", "blscfg\nmore\n"}},
         {"root=UUID=2 ro rhgb"},
         "grub"},
        {"RHEL 8",
         {{"/boot/loader/entries/a.conf", "options $kernelopts $tuned_params\n"},
          {"/boot/grub2/grubenv", "# GRUB Environment Block\nsaved_entry=x\nkernelopts=root=/dev/mapper/rhel-root ro "
                                  "crashkernel=auto \n####"}},
         {"root=/dev/mapper/rhel-root ro crashkernel=auto"},
         ""},
        {"systemd-boot, /boot/efi",
         {{"/boot/efi/loader/entries/arch.conf", "options\troot=LABEL=arch rw\n"}},
         {"root=LABEL=arch rw"},
         ""},
        {"systemd-boot, /efi",
         {{"/efi/loader/entries/arch.conf", "options root=LABEL=arch rw\n"}},
         {"root=LABEL=arch rw"},
         ""},
        {"Alpine",
         {{"/boot/extlinux.conf", "LABEL virt\n  APPEND root=UUID=3 modules=ext4\n"}},
         {"root=UUID=3 modules=ext4"},
         "extlinux"},
        {"syslinux", {{"/boot/syslinux/syslinux.cfg", "append root=/dev/sda1\n"}}, {"root=/dev/sda1"}, "extlinux"},
        {"extlinux in a folder",
         {{"/boot/extlinux/extlinux.conf", "append root=/dev/sda1 ro\n"}},
         {"root=/dev/sda1 ro"},
         "extlinux"},
        {"a unified image", {{"/etc/kernel/cmdline", " root=UUID=4 rw \nsecond\n"}}, {"root=UUID=4 rw"}, ""},
        {"a unified image beside entries",
         {{"/etc/kernel/cmdline", "root=UUID=4\n"}, {"/boot/extlinux.conf", "append root=UUID=5\n"}},
         {"root=UUID=5"},
         "extlinux"},
        {"nothing", {{"/boot/grub/menu.lst", "kernelopts x\nkernel\n"}}, {}, ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.who);
        MemoryGuest guest;
        for (const auto& [path, text] : row.files)
            guest.file(path, text);
        const BootInfo boot = boot_of(std::move(guest));
        CHECK(boot.command_lines == row.lines);
        CHECK(boot.loader == row.loader);
    }
}

TEST_CASE("serial consoles are what is no screen, each once, also of GRUB's defaults") {
    struct Row {
        const char* words;
        Words consoles;
    };
    for (const Row& row : {Row{"console=tty0 console=ttyS0,115200n8", {"ttyS0,115200n8"}},
                           {"console=ttyAMA0 console=ttyS1 console=ttyS1", {"ttyAMA0", "ttyS1"}},
                           {"console=hvc0 console=xvc0", {"hvc0", "xvc0"}},
                           {"console=tty1", {}},
                           {"console=tty", {}},
                           {"xconsole=ttyS0 console ttyS0", {}},
                           {"", {}}}) {
        CAPTURE(row.words);
        CHECK(boot_of(MemoryGuest().file("/boot/grub/grub.cfg", std::string("linux /x ") + row.words + "\n"))
                  .serial_consoles == row.consoles);
        CHECK(boot_of(MemoryGuest().file("/etc/default/grub",
                                         std::string("GRUB_CMDLINE_LINUX=\"") + row.words + "\" # for the lab\n"))
                  .serial_consoles == row.consoles);
    }
    MemoryGuest both;
    both.file("/boot/grub/grub.cfg", "linux /x console=ttyS0\nlinux /y console=ttyS0 console=ttyS1\n");
    both.file("/etc/default/grub", "GRUB_CMDLINE_LINUX='console=ttyS2 console=ttyS0'\n");
    CHECK(boot_of(std::move(both)).serial_consoles == Words{"ttyS0", "ttyS1", "ttyS2"});
}
