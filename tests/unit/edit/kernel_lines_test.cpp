// The kernel's command line in each place where a boot loader keeps it, by the loaders' own manuals.
#include "libconvert/edit/kernel_command_lines.hpp"
#include "tests/unit/edit/edit_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

using Words = std::vector<std::string>;

// Takes "old" and "drop=…" out; where there is none, turns "a=1" into "a=2" and adds "new=x".
Words sample_change(Words words) {
    if (std::erase_if(words, [](const std::string& word) { return word == "old" || word.starts_with("drop="); }) != 0)
        return words;
    for (std::string& word : words)
        if (word == "a=1")
            word = "a=2";
    if (std::find(words.begin(), words.end(), "new=x") == words.end())
        words.push_back("new=x");
    return words;
}

struct Changed {
    std::string text;
    EditPlan plan;
};

Changed change(const std::string& path, const std::string& text, MemoryGuest guest = MemoryGuest()) {
    guest.file(path, text);
    PlanBuilder plan(guest);
    change_kernel_command_lines(plan, sample_change, "because");
    return {plan.read_text(path).value(), plan.plan()};
}

std::string lines_of_guest(const MemoryGuest& guest) {
    const PlanBuilder plan(guest);
    std::string out;
    for (const Words& words : kernel_command_lines(plan)) {
        for (const std::string& word : words)
            out += word + " ";
        out += "|";
    }
    return out;
}

std::string environment(const std::string& settings, std::size_t size = 1024) {
    std::string text = "# GRUB Environment Block\n" + settings;
    text.resize(size, '#');
    return text;
}

} // namespace

TEST_CASE("Words are what the kernel takes for words") {
    CHECK(kernel_words("").empty());
    CHECK(kernel_words(" \t\r\n").empty());
    CHECK(kernel_words("a b") == Words{"a", "b"});
    CHECK(kernel_words("  a=\"x y\"\tb\r\n") == Words{"a=\"x y\"", "b"});
    CHECK(kernel_words("\"a b\"=c d") == Words{"\"a b\"=c", "d"});
    CHECK(kernel_words("a=\"open b c") == Words{"a=\"open b c"});
    CHECK(kernel_words("a='x y'") == Words{"a='x", "y'"}); // single quotes divide, as they do there
    CHECK(kernel_words("\"\" a") == Words{"\"\"", "a"});
}

TEST_CASE("Words that stay, go, change and come are told apart") {
    const auto shown = [](const Words& before, const Words& after) {
        const WordChanges changes = compare_words(before, after);
        REQUIRE(changes.words.size() == before.size());
        std::string out;
        for (const auto& word : changes.words)
            out += word.value_or("-") + " ";
        for (const std::string& word : changes.added)
            out += "+" + word;
        return out;
    };
    CHECK(shown({}, {}).empty());
    CHECK(shown({"a", "b"}, {"a", "b"}) == "a b ");
    CHECK(shown({"a", "b"}, {"a", "c"}) == "a c ");
    CHECK(shown({"a", "b", "c"}, {"a", "c"}) == "a - c ");
    CHECK(shown({"a", "b", "c"}, {}) == "- - - ");
    CHECK(shown({"a"}, {"a", "n", "m"}) == "a +n+m");
    CHECK(shown({"a", "a"}, {"a"}) == "a - ");
    CHECK(shown({"a", "b"}, {"b", "a", "c"}) == "- b +a+c"); // in another order it comes anew
    CHECK(shown({}, {"x"}) == "+x");
}

TEST_CASE("Every loader's lines are changed as it writes them, and all else stays") {
    struct Case {
        const char* path;
        const char* before;
        const char* after;
    };
    const Case kCases[] = {
        {"/boot/grub/grub.cfg", "menuentry 'x' {\n\tlinux /vmlinuz root=r ro old\n\tinitrd /i\n}\n",
         "menuentry 'x' {\n\tlinux /vmlinuz root=r ro\n\tinitrd /i\n}\n"},
        {"/boot/grub2/grub.cfg", "linux16 /vmlinuz a=1\nlinuxefi\t/vmlinuz   b\n",
         "linux16 /vmlinuz a=2 new=x\nlinuxefi\t/vmlinuz   b new=x\n"},
        {"/boot/grub/custom.cfg", "linux /vmlinuz\n", "linux /vmlinuz new=x\n"},
        {"/boot/grub2/custom.cfg", "linux /vmlinuz \\\n  a=1 \\\n  b\n", "linux /vmlinuz \\\n  a=2 \\\n  b new=x\n"},
        {"/boot/efi/EFI/debian/grub.cfg", "linux /v 'q w' old\n", "linux /v 'q w'\n"},
        {"/boot/grub/grub.cfg", "linux\n", "linux\n"},
        {"/boot/grub/grub.cfg", "linux /v new=x\n", "linux /v new=x\n"},
        {"/boot/grub/grub.cfg", "module /v old\n", "module /v old\n"},
        {"/boot/grub/grub.cfg", "set kernelopts=\"root=r old\"\n", "set kernelopts=\"root=r\"\n"},
        {"/boot/grub/grub.cfg", "set default_kernelopts=\"b\"\nset other=\"old\"\n",
         "set default_kernelopts=\"b new=x\"\nset other=\"old\"\n"},
        {"/boot/grub/grub.cfg", "if x; then linux /v old; else linux /w b; fi\n",
         "if x; then linux /v ; else linux /w b new=x; fi\n"},
        {"/boot/loader/entries/a.conf", "title T\nlinux /v\noptions root=r old\n",
         "title T\nlinux /v\noptions root=r\n"},
        {"/boot/loader/entries/b.conf", "options root=r drop=1\noptions a=1\ninitrd /i\n",
         "options root=r\noptions a=1\ninitrd /i\n"},
        {"/boot/loader/entries/c.conf", "options root=r -- old\n", "options root=r new=x -- old\n"},
        {"/boot/loader/entries/d.conf", "Options a=1\n", "Options a=2 new=x\n"},
        {"/boot/loader/entries/e.conf", "title T\noptionsx a=1\n", "title T\noptionsx a=1\n"},
        {"/boot/loader/entries/f.conf", "options\n", "options\n"},
        {"/boot/efi/loader/entries/a.conf", "options  \ta=1\n", "options  \ta=2 new=x\n"},
        {"/efi/loader/entries/a.conf", "options a=1\n", "options a=2 new=x\n"},
        {"/boot/extlinux.conf", "LABEL l\n  KERNEL /v\n  APPEND a=1 old\n", "LABEL l\n  KERNEL /v\n  APPEND a=1\n"},
        {"/boot/extlinux/extlinux.conf", "append b\nAppend a=1\nappends old\n",
         "append b new=x\nAppend a=2 new=x\nappends old\n"},
        {"/boot/syslinux/syslinux.cfg", "append -\n", "append - new=x\n"},
        {"/boot/grub/menu.lst", "title T\n\tkernel /v ro old\n\tinitrd /i\n", "title T\n\tkernel /v ro\n\tinitrd /i\n"},
        {"/boot/grub/menu.lst", "kernel /v\nkernel\n", "kernel /v new=x\nkernel\n"},
        {"/boot/grub/grub.conf", "kernel /xen.gz old\nmodule /v old\n", "kernel /xen.gz old\nmodule /v old\n"},
        {"/etc/kernel/cmdline", "root=r old\n", "root=r\n"},
        {"/etc/kernel/cmdline", "# c old\n\nroot=r\na=1\n", "# c old\n\nroot=r\na=2 new=x\n"},
        {"/etc/default/grub", "GRUB_CMDLINE_LINUX=\"b old\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet old\"\n",
         "GRUB_CMDLINE_LINUX=\"b new=x\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n"},
        {"/etc/default/grub", "GRUB_TIMEOUT=5\n", "GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX=\"new=x\"\n"},
        {"/etc/default/grub", "GRUB_CMDLINE_LINUX=\"new=x\"\n", "GRUB_CMDLINE_LINUX=\"new=x\"\n"},
        {"/etc/update-extlinux.conf", "default_kernel_opts=\"quiet\"\n", "default_kernel_opts=\"quiet new=x\"\n"},
        {"/etc/sysconfig/bootloader", "DEFAULT_APPEND=\"splash\"\n", "DEFAULT_APPEND=\"splash new=x\"\n"},
        {"/etc/sysconfig/bootloader", "LOADER_TYPE=\"grub2\"\n", "LOADER_TYPE=\"grub2\"\n"},
    };
    for (const Case& each : kCases) {
        CAPTURE(each.path, each.before);
        CHECK(change(each.path, each.before).text == each.after);
    }
}

TEST_CASE("GRUB's environment keeps its size, whatever is changed in it") {
    const std::string path = "/boot/grub2/grubenv";
    const std::string before = environment("saved_entry=1\nkernelopts=root=r ro\n");
    const Changed changed = change(path, before);
    CHECK(changed.text == environment("saved_entry=1\nkernelopts=root=r ro new=x\n"));
    CHECK(changed.text.size() == 1024);
    CHECK(changed.plan.findings.empty());
    // Without padding there is room for as much as was there, and no byte more.
    const std::string tight = "# GRUB Environment Block\nkernelopts=root=r\n#####";
    const Changed full = change(path, tight);
    CHECK(full.text == tight);
    CHECK(tells(full.plan, path + " has no room for a longer kernel command line"));
    const std::string fits = tight + "#"; // " new=x" has six
    const Changed fitted = change(path, fits);
    CHECK(fitted.text == "# GRUB Environment Block\nkernelopts=root=r new=x\n");
    CHECK(tells(fitted.plan, path + " has 49 bytes instead of the 1024 that GRUB's tools make, and keeps them"));
    CHECK(change(path, environment("kernelopts=new=x\n")).plan.edits.empty());
    // Not a block of GRUB's: what looks like one is named, and nothing else.
    const Changed odd = change(path, "kernelopts=root=r old\n");
    CHECK(odd.text == "kernelopts=root=r old\n");
    CHECK(tells(odd.plan, path + " is no environment block of GRUB, and is not changed"));
    CHECK(change(path, "saved_entry=1\n").plan.findings.empty());
    CHECK(change(path, environment("saved_entry=1\n")).plan.findings.empty());
    for (const char* other : {"/boot/grub/grubenv", "/boot/efi/EFI/centos/grubenv"})
        CHECK(change(other, before).text.find("kernelopts=root=r ro new=x\n") != std::string::npos);
}

TEST_CASE("A file that two names lead to is changed once") {
    MemoryGuest guest;
    guest.symlink("/boot/grub/menu.lst", "grub.conf").symlink("/boot/grub2/grubenv", "../efi/EFI/x/grubenv");
    guest.file("/boot/efi/EFI/x/grubenv", environment("kernelopts=old\n"));
    const Changed changed = change("/boot/grub/grub.conf", "kernel /v a\n", guest);
    CHECK(changed.text == "kernel /v a new=x\n");
    REQUIRE(changed.plan.edits.size() == 2);
    CHECK(changed.plan.edits[0].path == "/boot/grub/grub.conf");
    CHECK(changed.plan.edits[1].path == "/boot/efi/EFI/x/grubenv");
    CHECK(lines_of_guest(guest.file("/boot/grub/grub.conf", "kernel /v a b\n")) == "a b |old |");
}

TEST_CASE("Entries that take their words from elsewhere say where they have none") {
    MemoryGuest guest;
    guest.file("/boot/loader/entries/a.conf", "options $kernelopts old\n");
    const auto findings = [&] { return change("/etc/hostname", "", guest).plan; };
    const char* lost = "/boot/loader/entries/a.conf takes its kernel command line from GRUB's $kernelopts, and neither "
                       "grubenv nor grub.cfg was found to set it";
    CHECK(tells(findings(), lost));
    CHECK(findings().edits.empty());
    guest.file("/boot/grub2/grubenv", environment("kernelopts=a\n"));
    CHECK_FALSE(tells(findings(), lost));
    guest.file("/boot/grub2/grubenv", environment("saved_entry=a\n"));
    CHECK(tells(findings(), lost));
    guest.file("/boot/grub2/grub.cfg", "set kernelopts=\"a\"\n");
    CHECK_FALSE(tells(findings(), lost));
}

TEST_CASE("Command lines of other loaders are named where they would have changed") {
    for (const char* path : {"/etc/lilo.conf", "/boot/efi/EFI/x/elilo.conf", "/boot/refind_linux.conf",
                             "/boot/limine.conf", "/boot/limine.cfg", "/boot/limine/limine.conf", "/boot/cmdline.txt",
                             "/boot/firmware/cmdline.txt", "/boot/uEnv.txt", "/boot/armbianEnv.txt", "/etc/zipl.conf",
                             "/etc/cmdline.d/x.conf", "/usr/lib/kernel/cmdline"}) {
        CAPTURE(path);
        const std::string told = std::string(path) + " has a kernel command line of its own, which is not changed";
        CHECK(tells(change(path, "root=r old\n").plan, told));
        CHECK_FALSE(tells(change(path, "root=r new=x\n").plan, told));
        CHECK_FALSE(tells(change(path, "\n").plan, told));
    }
    for (const char* path : {"/boot/efi/EFI/Linux/a.efi", "/boot/EFI/Linux/a.efi", "/efi/EFI/Linux/a.efi"})
        CHECK(
            tells(change(path, "MZ").plan, std::string(path) + " is a unified kernel image: the command line inside"));
    const Changed broken = change("/boot/grub/grub.cfg", "linux /v 'old\n");
    CHECK(broken.text == "linux /v 'old\n");
    CHECK(tells(broken.plan, "/boot/grub/grub.cfg is no script that can be read, and is not changed"));
    CHECK(tells(change("/etc/default/grub", "GRUB_CMDLINE_LINUX='old\n").plan,
                "/etc/default/grub is no valid shell script, and is not changed"));
}

TEST_CASE("The words that loaders would use now are read from all of them") {
    MemoryGuest guest;
    CHECK(lines_of_guest(guest).empty());
    guest.file("/boot/grub/grub.cfg", "linux /v root=\"a b\" ro\nlinux /w\nset kernelopts=\"k l\"\n");
    guest.file("/boot/loader/entries/1.conf", "options a\noptions b\n");
    guest.file("/boot/loader/entries/2.conf", "options $kernelopts x\n");
    guest.file("/boot/loader/entries/3.conf", "title none\n");
    guest.file("/boot/extlinux.conf", "append c\nappend d e\n");
    guest.file("/etc/kernel/cmdline", "f\n# g\nh\n");
    guest.file("/boot/grub/grubenv", environment("kernelopts=i j\n"));
    CHECK(lines_of_guest(guest) == "root=a b ro ||k l |a b |c |d e |f h |i j |");
}

TEST_CASE("Defaults that are put together in steps get each word once") {
    struct Case {
        const char* what;
        const char* before;
        const char* after;
    };
    for (const Case& each : {
             Case{"appended", "GRUB_CMDLINE_LINUX=\"a\"\nGRUB_CMDLINE_LINUX+=\" b\"\n",
                  "GRUB_CMDLINE_LINUX=\"a\"\nGRUB_CMDLINE_LINUX+=\" b new=x\"\n"},
             {"by its own name", "GRUB_CMDLINE_LINUX=\"a\"\nGRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX b\"\n",
              "GRUB_CMDLINE_LINUX=\"a\"\nGRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX b new=x\"\n"},
             {"there already, in the first step", "GRUB_CMDLINE_LINUX=\"new=x\"\nGRUB_CMDLINE_LINUX+=\" b\"\n",
              "GRUB_CMDLINE_LINUX=\"new=x\"\nGRUB_CMDLINE_LINUX+=\" b\"\n"},
             {"lost again by the second", "GRUB_CMDLINE_LINUX=\"new=x\"\nGRUB_CMDLINE_LINUX=\"b\"\n",
              "GRUB_CMDLINE_LINUX=\"new=x\"\nGRUB_CMDLINE_LINUX=\"b new=x\"\n"},
             {"in the other variable", "GRUB_CMDLINE_LINUX=\"b\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"new=x\"\n",
              "GRUB_CMDLINE_LINUX=\"b\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"new=x\"\n"},
             {"sometimes", "GRUB_CMDLINE_LINUX=\"b\"\nif x; then GRUB_CMDLINE_LINUX=\"c\"; fi\n",
              "GRUB_CMDLINE_LINUX=\"b\"\nif x; then GRUB_CMDLINE_LINUX=\"c\"; fi\n"
              "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX new=x\"\n"},
             {"sometimes, over a line's end", "GRUB_CMDLINE_LINUX=\"b\"\n[ x ] &&\n  GRUB_CMDLINE_LINUX=\"c\"\n",
              "GRUB_CMDLINE_LINUX=\"b\"\n[ x ] &&\n  GRUB_CMDLINE_LINUX=\"c\"\n"
              "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX new=x\"\n"},
             {"set by what it reads", ". /etc/grub.local\n",
              ". /etc/grub.local\nGRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX new=x\"\n"},
             {"empty", "GRUB_CMDLINE_LINUX=\"\"\n", "GRUB_CMDLINE_LINUX=\"new=x\"\n"},
             {"empty, in single quotes", "GRUB_CMDLINE_LINUX=''\n", "GRUB_CMDLINE_LINUX='new=x'\n"},
             {"nothing at all", "GRUB_CMDLINE_LINUX=\n", "GRUB_CMDLINE_LINUX=\"new=x\"\n"},
             {"without quotes", "GRUB_CMDLINE_LINUX=b\n", "GRUB_CMDLINE_LINUX=b\" new=x\"\n"},
             {"a blank at its end", "GRUB_CMDLINE_LINUX=\"b \"\n", "GRUB_CMDLINE_LINUX=\"b new=x\"\n"},
             {"behind a substitution", "GRUB_CMDLINE_LINUX=\"$x\"\n", "GRUB_CMDLINE_LINUX=\"$x new=x\"\n"},
             {"for init", "GRUB_CMDLINE_LINUX=\"b -- c\"\n", "GRUB_CMDLINE_LINUX=\"b new=x -- c\"\n"},
             {"no newline at its end", "GRUB_TIMEOUT=5", "GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX=\"new=x\"\n"},
             {"the only word goes", "GRUB_CMDLINE_LINUX_DEFAULT=\"old\"\nGRUB_CMDLINE_LINUX=\"new=x\"\n",
              "GRUB_CMDLINE_LINUX_DEFAULT=\"\"\nGRUB_CMDLINE_LINUX=\"new=x\"\n"},
             {"the first word goes", "GRUB_CMDLINE_LINUX=\"old b new=x\"\n", "GRUB_CMDLINE_LINUX=\"b new=x\"\n"},
             {"in pieces", "GRUB_CMDLINE_LINUX=a=\"1\"' new=x'\n", "GRUB_CMDLINE_LINUX=a=\"2\"' new=x'\n"},
         }) {
        CAPTURE(each.what);
        CHECK(change("/etc/default/grub", each.before).text == each.after);
    }
    // Ubuntu's clouds have theirs in files of a folder, which is read after the main one.
    MemoryGuest guest;
    guest.file("/etc/default/grub.d/50-cloudimg.cfg", "GRUB_CMDLINE_LINUX=\"b\"\n");
    const Changed changed = change("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"a old\"\n", guest);
    CHECK(changed.text == "GRUB_CMDLINE_LINUX=\"a\"\n");
    CHECK(written(changed.plan, "/etc/default/grub.d/50-cloudimg.cfg") == "GRUB_CMDLINE_LINUX=\"b new=x\"\n");
    MemoryGuest alone;
    alone.file("/etc/default/grub.d/x.cfg", "GRUB_TERMINAL=console\n");
    PlanBuilder plan(alone);
    change_kernel_command_lines(plan, sample_change, "because");
    CHECK_FALSE(plan.changed());
}
