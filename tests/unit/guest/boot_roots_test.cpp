// The root that boot loaders name, as distributions write their menus (GRUB's manuals, the Boot Loader Specification,
// SYSLINUX' wiki).
#include "libconvert/guest/boot_roots.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::MemoryGuest;

namespace {

std::string roots_of(const MemoryGuest& guest, const std::string& folder = "/boot") {
    std::string out;
    for (const BootRoot& each : read_boot_roots(guest, folder))
        out += each.root + (each.flags.empty() ? "" : " [" + each.flags + "]") + ";";
    return out;
}

std::string roots_of(const char* path, const std::string& text) {
    return roots_of(MemoryGuest().file(path, text));
}

const std::string kTwo = "menuentry 'One' --class x --id 'first' {\n\tlinux /v root=/dev/a ro\n}\n"
                         "menuentry \"Two words\" $menuentry_id_option 'second' {\n\tlinux16 /v ro root=UUID=b\n}\n";
const std::string kMenu =
    "menuentry 'One' {\n linux /v root=a\n}\nsubmenu 'More' {\n menuentry 'Inner' {\n  linuxefi /v "
    "root=b\n }\n menuentry 'Second inner' --id in2 {\n  linux /v root=c\n }\n}\nmenuentry 'Last' "
    "{\n linux /v root=d\n}\n";

} // namespace

TEST_CASE("GRUB's default is a title, an identifier or a number of the topmost menu") {
    struct Case {
        const char* what;
        std::string head;
        std::string menu;
        const char* roots; // the default first, then all
    };
    const Case kCases[] = {
        {"no default", "", kTwo, "/dev/a;/dev/a;UUID=b;"},
        {"the first number", "set default=0\n", kTwo, "/dev/a;/dev/a;UUID=b;"},
        {"the second number", "set default=\"1\"\n", kTwo, "UUID=b;/dev/a;UUID=b;"},
        {"a title of two words", "set default='Two words'\n", kTwo, "UUID=b;/dev/a;UUID=b;"},
        {"an identifier", "set default=second\n", kTwo, "UUID=b;/dev/a;UUID=b;"},
        {"by --id", "set default=first\n", kTwo, "/dev/a;/dev/a;UUID=b;"},
        {"none of them", "set default=third\n", kTwo, "/dev/a;UUID=b;"},
        {"the last of several", "set default=0\nset default=1\n", kTwo, "UUID=b;/dev/a;UUID=b;"},
        {"not of an entry's own", "set default=1\n",
         "menuentry x {\n set default=0\n linux /v root=a\n}\nmenuentry y {\n linux /v root=b\n}\n", "b;a;b;"},
        {"a number counts what stands in the topmost menu", "set default=2\n", kMenu, "d;a;b;c;d;"},
        {"a menu's number means its first entry", "set default=1\n", kMenu, "b;a;b;c;d;"},
        {"an entry of a menu", "set default='More>Second inner'\n", kMenu, "c;a;b;c;d;"},
        {"an entry of a menu, by its identifier", "set default='1>in2'\n", kMenu, "c;a;b;c;d;"},
    };
    for (const Case& each : kCases) {
        CAPTURE(each.what);
        CHECK(roots_of("/boot/grub/grub.cfg", each.head + each.menu) == each.roots);
        CHECK(roots_of("/boot/grub2/grub.cfg", each.head + each.menu) == each.roots);
    }
}

TEST_CASE("GRUB's saved entry is that of its environment") {
    MemoryGuest guest;
    guest.file("/boot/grub2/grub.cfg", "set default=\"${saved_entry}\"\n" + kTwo);
    CHECK(roots_of(guest) == "/dev/a;/dev/a;UUID=b;");
    guest.file("/boot/grub2/grubenv", "# GRUB Environment Block\n#saved_entry=first\nsaved_entry=second\n####");
    CHECK(roots_of(guest) == "UUID=b;/dev/a;UUID=b;");
    guest.file("/boot/grub2/grub.cfg", "set default=\"${next_entry}\"\n" + kTwo);
    CHECK(roots_of(guest) == "UUID=b;/dev/a;UUID=b;");
    guest.file("/boot/grub2/grub.cfg", "set default=0\n" + kTwo);
    CHECK(roots_of(guest) == "/dev/a;/dev/a;UUID=b;");
    guest.file("/boot/grub2/grub.cfg", kTwo); // none is said
    CHECK(roots_of(guest) == "UUID=b;/dev/a;UUID=b;");
}

TEST_CASE("What a command line says of the root is its last root= and all of its rootflags=") {
    struct Case {
        const char* words;
        const char* roots;
    };
    for (const Case& each : {
             Case{"root=a", "a;a;"},
             {"root=a root=b", "b;b;"},
             {"root=", ""},
             {"ro quiet", ""},
             {"xroot=a", ""},
             {"root=\"a\"", "a;a;"},
             {"'root=a'", "a;a;"},
             {"root=UUID=1-2 rootflags=subvol=@", "UUID=1-2 [subvol=@];UUID=1-2 [subvol=@];"},
             {"rootflags=a rootflags=b root=c", "c [a,b];c [a,b];"},
             {"root=a rootfstype=btrfs", "a;a;"},
         }) {
        CAPTURE(each.words);
        CHECK(roots_of("/boot/grub/grub.cfg", "menuentry x {\n linux /v " + std::string(each.words) + "\n}\n") ==
              each.roots);
    }
    // The first kernel of an entry counts, and what stands before any entry is nobody's.
    CHECK(roots_of("/boot/grub/grub.cfg", "linux /v root=z\nmenuentry x {\n linux /v root=a\n linux /w root=b\n}\n") ==
          "a;a;");
}

TEST_CASE("Entries of the Boot Loader Specification come newest first") {
    MemoryGuest guest;
    guest.file("/boot/loader/entries/m-5.9.conf", "title Old\noptions root=old\n");
    guest.file("/boot/loader/entries/m-5.14.conf", "title\tNew one\n  options\troot=new\noptions rootflags=x\n");
    guest.file("/boot/loader/entries/m-6.conf.bak", "options root=no\n");
    CHECK(roots_of(guest) == "new [x];new [x];old;");
    // GRUB, which reads them, starts what its environment names, by the file's name.
    guest.file("/boot/grub2/grub.cfg", "set default=1\nblscfg\n" + kTwo);
    CHECK(roots_of(guest) == "new [x];new [x];old;");
    guest.file("/boot/grub2/grubenv", "saved_entry=m-5.9\n");
    CHECK(roots_of(guest) == "old;new [x];old;");
    guest.file("/boot/grub2/grubenv", "saved_entry=m-5.9.conf\n");
    CHECK(roots_of(guest) == "old;new [x];old;");
    guest.file("/boot/grub2/grubenv", "saved_entry=Old\n");
    CHECK(roots_of(guest) == "old;new [x];old;");
    guest.file("/boot/grub2/grubenv", "saved_entry=1\n");
    CHECK(roots_of(guest) == "old;new [x];old;");
    // Enterprise Linux 8: the words stand in the environment.
    guest.file("/boot/loader/entries/m-5.14.conf", "options $kernelopts $tuned_params\n");
    guest.file("/boot/grub2/grubenv", "saved_entry=m-5.14\nkernelopts=root=env ro\n");
    CHECK(roots_of(guest) == "env;env;old;");
    // A file system of its own for /boot has the same without the folder.
    CHECK(roots_of(MemoryGuest().file("/loader/entries/a.conf", "options root=x\n"), "") == "x;x;");
    CHECK(roots_of(MemoryGuest().file("/grub2/grub.cfg", kTwo), "") == "/dev/a;/dev/a;UUID=b;");
    CHECK(roots_of(MemoryGuest().file("/grub2/grub.cfg", kTwo)).empty());
}

TEST_CASE("loader entries are tried by release, newest first, and rescue last") {
    struct Row {
        const char* guest;
        std::vector<std::string> newest_first;
    };
    const Row rows[] = {
        {"CentOS 7 with BLS",
         {"3.10.0-1160.el7.x86_64", "3.10.0-957.1.3.el7.x86_64", "3.10.0-957.el7.x86_64", "0-rescue"}},
        {"Rocky 9",
         {"5.14.0-503.11.1.el9_5.x86_64", "5.14.0-362.8.1.el9_3.x86_64", "5.14.0-362.el9.x86_64", "0-rescue"}},
        {"Fedora", {"6.10.3-200.fc40.x86_64", "6.9.12-200.fc40.x86_64", "6.9.4-200.fc40.x86_64", "0-rescue"}}};
    for (const Row& row : rows) {
        CAPTURE(row.guest);
        // As the folder lists them, and the other way around.
        for (const bool backwards : {false, true}) {
            MemoryGuest guest;
            for (std::size_t i = 0; i < row.newest_first.size(); ++i) {
                const std::string& release = row.newest_first[backwards ? row.newest_first.size() - 1 - i : i];
                guest.file("/boot/loader/entries/0123456789abcdef0123456789abcdef-" + release + ".conf",
                           "title " + release + "\noptions root=" + release + "\n");
            }
            std::string expected = row.newest_first.front() + ";"; // the default
            for (const std::string& release : row.newest_first)
                expected += release + ";";
            CHECK(roots_of(std::move(guest)) == expected);
        }
    }
}

TEST_CASE("GRUB Legacy and SYSLINUX are read in their own ways") {
    const std::string legacy = "title One\n\troot (hd0,0)\n\tkernel /v ro root=/dev/sda1\n\tinitrd /i\n"
                               "title Xen\n kernel /xen.gz dom0\n module /v root=/dev/sda2\n module /i\n";
    struct Case {
        const char* path;
        std::string text;
        const char* roots;
    };
    const Case kCases[] = {
        {"/boot/grub/menu.lst", legacy, "/dev/sda1;/dev/sda1;/dev/sda2;"},
        {"/boot/grub/grub.conf", "default=1\n" + legacy, "/dev/sda2;/dev/sda1;/dev/sda2;"},
        {"/boot/grub/menu.lst", "default\t\t1\n" + legacy, "/dev/sda2;/dev/sda1;/dev/sda2;"},
        {"/boot/grub/menu.lst", "default saved\n" + legacy, "/dev/sda1;/dev/sda1;/dev/sda2;"},
        {"/boot/grub/menu.lst", "default 7\n" + legacy, "/dev/sda1;/dev/sda2;"},
        {"/boot/grub/menu.lst", "kernel /v root=a\n", ""},
        {"/boot/extlinux.conf", "DEFAULT two\nLABEL one\n APPEND root=a\nLABEL two\n append root=b\n", "b;a;b;"},
        {"/boot/extlinux/extlinux.conf", "label one\n append root=a\nlabel two\n menu default\n append root=b\n",
         "b;a;b;"},
        {"/boot/syslinux/syslinux.cfg", "LABEL one\n APPEND root=a\n", "a;a;"},
        {"/boot/extlinux.conf", "append root=z\nlabel one\n menu label x\n append root=a rootflags=b\n",
         "a [b];a [b];"},
        {"/boot/extlinux.conf", "\n# nothing\n", ""},
    };
    for (const Case& each : kCases) {
        CAPTURE(each.path, each.text);
        CHECK(roots_of(each.path, each.text) == each.roots);
    }
    CHECK(roots_of(MemoryGuest()).empty());
}

TEST_CASE("Whatever a menu holds, reading it ends and names no root that is not there") {
    const std::string whole = "set default=1\n" + kMenu;
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const std::string roots = roots_of("/boot/grub/grub.cfg", whole.substr(0, size));
        CAPTURE(size, roots);
        CHECK(std::count(roots.begin(), roots.end(), ';') <= 5);
        CHECK(roots.find_first_not_of("abcd;") == std::string::npos);
    }
    CHECK(roots_of("/boot/grub/grub.cfg", "}\n}\n}\nsubmenu\nmenuentry\n linux root=a\n").find("a") ==
          std::string::npos);
}
