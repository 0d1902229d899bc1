#include "libconvert/edit/kernel_command_lines.hpp"
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/shell_text.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>

using namespace vm2oci;
using vm2oci::test::MemoryGuest;

namespace {

std::vector<std::string> names_of(std::string_view text) {
    std::vector<std::string> names;
    const auto assignments = shell_assignments(text);
    REQUIRE(assignments);
    for (const ShellAssignment& each : *assignments)
        names.push_back(each.name + (each.appends ? "+" : "") + (each.sometimes ? "?" : ""));
    return names;
}

const std::string kAdded = "console=tty0 console=ttyS0,115200";

// /etc/default/grub after --fix=console.
std::string with_console(const std::string& defaults) {
    MemoryGuest guest;
    guest.file("/usr/lib/systemd/systemd", "").file("/etc/default/grub", defaults);
    EditRequest request;
    request.fixes = select_fixes("console");
    for (const Edit& edit : plan_edits(guest, {}, request).edits)
        if (edit.path == "/etc/default/grub")
            return edit.content;
    return defaults;
}

std::string changed_defaults(const std::string& defaults, const CommandLineChange& change) {
    MemoryGuest guest;
    guest.file("/etc/default/grub", defaults);
    PlanBuilder plan(guest);
    change_kernel_command_lines(plan, change, "x");
    return plan.read_text("/etc/default/grub").value();
}

bool has_finding(const EditPlan& plan, const std::string& text) {
    return std::any_of(plan.findings.begin(), plan.findings.end(),
                       [&](const EditFinding& each) { return each.text.find(text) != std::string::npos; });
}

} // namespace

TEST_CASE("Assignments are found wherever a shell finds them") {
    using Names = std::vector<std::string>;
    CHECK(names_of("A=1 B='x y'; C=\"a b\"\n") == Names{"A", "B", "C"});
    CHECK(names_of("export A=1 B=2\nreadonly C=3\n") == Names{"A", "B", "C"});
    CHECK(names_of("A=1 make\nB=2\n") == Names{"B"});
    CHECK(names_of("echo A=1\n# B=2\nC=3 # D=4\n") == Names{"C"});
    CHECK(names_of("if [ -f /x ]; then A=1; else\n B=2; fi; C=3\n") == Names{"A?", "B?", "C"});
    CHECK(names_of("test -f /x && A=1\nB=2\n[ x ] || C=3; D=4\n") == Names{"A?", "B", "C?", "D"});
    CHECK(names_of("case $x in\n  a|b) A=1 ;;\n  *) B=2 ;;\nesac\nC=3\n") == Names{"A?", "B?", "C"});
    CHECK(names_of("f() {\n  A=1\n}\nB=2\n") == Names{"A?", "B"});
    CHECK(names_of("cat <<END >/dev/null\nA=1\nEND\nB=2\n") == Names{"B"});
    CHECK(names_of("A+=\" more\"\nB=$(echo \"C=1; D='2'\")\nE=`echo F=1`\n") == Names{"A+", "B", "E"});
    CHECK_FALSE(shell_assignments("A=\"open\nB=2\n"));
    CHECK_FALSE(shell_assignments("if true; then A=1\n"));
    std::string deep = "A=";
    for (int i = 0; i < 100000; ++i)
        deep += "\"$(";
    CHECK_FALSE(shell_assignments(deep));
}

TEST_CASE("Whatever a file holds, an assignment that is found can be changed, and the rest stays readable") {
    // A small generator of its own: the same texts everywhere.
    constexpr std::string_view kAlphabet = "A=A=\"'\\$`(){};&|<># \n\tif fi+x";
    std::uint32_t state = 12345;
    const auto next = [&](std::size_t limit) {
        state = state * 1664525U + 1013904223U;
        return (state >> 8) % limit;
    };
    unsigned found = 0;
    for (int round = 0; round < 60000; ++round) {
        std::string text = round % 2 == 0 ? "A=1\n" : "";
        for (std::size_t i = next(24); i != 0; --i)
            text += kAlphabet[next(kAlphabet.size())];
        const auto assignments = shell_assignments(text);
        if (!assignments)
            continue;
        shell_value(text, "A");
        without_shell_values(text, {"A"});
        const auto changed = with_shell_value(text, "A", "new word");
        if (!changed)
            continue;
        ++found;
        INFO(text);
        const auto again = shell_assignments(*changed);
        REQUIRE(again);
        CHECK(again->size() == assignments->size());
        CHECK(shell_value(*changed, "A") == "new word");
    }
    CHECK(found > 1000);
}

TEST_CASE("A console that was added is not added again") {
    for (const char* defaults :
         {"GRUB_CMDLINE_LINUX=a\\ b\"c\"'d'\n", "GRUB_CMDLINE_LINUX=\nif x; then GRUB_CMDLINE_LINUX=b; fi\n", "X=1",
          "GRUB_CMDLINE_LINUX=\"$(x)\"\nGRUB_CMDLINE_LINUX+=' y'\n", "GRUB_CMDLINE_LINUX_DEFAULT='a'\n",
          "[ x ] && GRUB_CMDLINE_LINUX=y || GRUB_CMDLINE_LINUX=z\n", "export GRUB_CMDLINE_LINUX\n"}) {
        INFO(defaults);
        const std::string once = with_console(defaults);
        CHECK(once != defaults);
        CHECK(shell_assignments(once));
        CHECK(with_console(once) == once);
    }
}

TEST_CASE("Values are read without their quotes") {
    CHECK(shell_value("A='it'\\''s'\n", "A") == "it's");
    CHECK(shell_value("A=\"x \\\"y\\\" \\$z \\n\"\n", "A") == "x \"y\" $z \\n");
    CHECK(shell_value("A=a\\ b\"c\"'d'\n", "A") == "a bcd");
    CHECK(shell_value("A=\"one \\\ntwo\"\n", "A") == "one two");
    CHECK(shell_value("A=1 # why\nB=2\nA=3\n", "A") == "3");
    CHECK(shell_value("AB=1\n", "A").empty());
    CHECK(shell_value("A=1\nbroken='\nB=2\n", "B") == "2");
    CHECK(with_shell_value("# x\nexport A='1' # y\nB=2\n", "A", "a \"b\" $c") ==
          "# x\nexport A=\"a \\\"b\\\" \\$c\" # y\nB=2\n");
    CHECK_FALSE(with_shell_value("B=2\n", "A", "1"));
    CHECK(without_shell_values("A=1\nB=2 # b\nC=3\n", {"A", "B"}) == "C=3\n");
    CHECK(without_shell_values("A=1 C=3\n", {"A"}) == " C=3\n");
    CHECK(without_shell_values("D='x\nA=1\n'\nA=2\n", {"A"}) == "D='x\nA=1\n'\n");
}

TEST_CASE("Words are added to a command line in whatever quotes it stands") {
    const std::string c = " " + kAdded;
    CHECK(with_console("GRUB_CMDLINE_LINUX=\"acpi_osi=\\\"!Windows 2015\\\" quiet\"\n") ==
          "GRUB_CMDLINE_LINUX=\"acpi_osi=\\\"!Windows 2015\\\" quiet" + c + "\"\n");
    CHECK(with_console("GRUB_CMDLINE_LINUX='splash' # mine\n") == "GRUB_CMDLINE_LINUX='splash" + c + "' # mine\n");
    CHECK(with_console("GRUB_CMDLINE_LINUX=splash\n") == "GRUB_CMDLINE_LINUX=splash\"" + c + "\"\n");
    CHECK(with_console("GRUB_CMDLINE_LINUX=\n") == "GRUB_CMDLINE_LINUX=\"" + kAdded + "\"\n");
    CHECK(with_console("GRUB_CMDLINE_LINUX=''\n") == "GRUB_CMDLINE_LINUX='" + kAdded + "'\n");
    CHECK(with_console("GRUB_CMDLINE_LINUX=\"a\"'b'\n") == "GRUB_CMDLINE_LINUX=\"a\"'b" + c + "'\n");
    CHECK(with_console("GRUB_CMDLINE_LINUX=\"$(cat /etc/cmdline)\"\n") ==
          "GRUB_CMDLINE_LINUX=\"$(cat /etc/cmdline)" + c + "\"\n");
    CHECK(with_console("GRUB_CMDLINE_LINUX=`cat /etc/cmdline`\n") ==
          "GRUB_CMDLINE_LINUX=`cat /etc/cmdline`\"" + c + "\"\n");
    CHECK(with_console("  export  GRUB_CMDLINE_LINUX=\"a \\\n  b\"; X=1\n") ==
          "  export  GRUB_CMDLINE_LINUX=\"a \\\n  b" + c + "\"; X=1\n");
    CHECK(with_console("GRUB_TIMEOUT=5") == "GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX=\"" + kAdded + "\"\n");
}

TEST_CASE("Words are added behind the last assignment that counts") {
    CHECK(with_console("GRUB_CMDLINE_LINUX=\"a\"\nGRUB_CMDLINE_LINUX=\"${GRUB_CMDLINE_LINUX} b\"\n") ==
          "GRUB_CMDLINE_LINUX=\"a\"\nGRUB_CMDLINE_LINUX=\"${GRUB_CMDLINE_LINUX} b " + kAdded + "\"\n");
    CHECK(with_console("GRUB_CMDLINE_LINUX=\"a\"\n[ -e /x ] && GRUB_CMDLINE_LINUX=\"b\"\n") ==
          "GRUB_CMDLINE_LINUX=\"a\"\n[ -e /x ] && GRUB_CMDLINE_LINUX=\"b\"\nGRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX " +
              kAdded + "\"\n");
    // Said already, in the other variable or in an earlier part.
    const std::string said = "GRUB_CMDLINE_LINUX_DEFAULT='console=ttyS0,9600n8'\nGRUB_CMDLINE_LINUX=quiet\n";
    CHECK(with_console(said) == said);
    const std::string before = "GRUB_CMDLINE_LINUX=\"console=ttyS0\"\nGRUB_CMDLINE_LINUX+=\" quiet\"\n";
    CHECK(with_console(before) == before);
    const std::string lost = "GRUB_CMDLINE_LINUX=\"console=ttyS0\"\nGRUB_CMDLINE_LINUX=\"quiet\"\n";
    CHECK(with_console(lost) == "GRUB_CMDLINE_LINUX=\"console=ttyS0\"\nGRUB_CMDLINE_LINUX=\"quiet " + kAdded + "\"\n");

    MemoryGuest guest;
    guest.file("/etc/default/grub", "GRUB_CMDLINE_LINUX=a\n")
        .file("/etc/default/grub.d/90-site.cfg", "GRUB_CMDLINE_LINUX='b'\n");
    EditRequest request;
    request.fixes = select_fixes("console");
    const EditPlan plan = plan_edits(guest, {}, request);
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].path == "/etc/default/grub.d/90-site.cfg");
    CHECK(plan.edits[0].content == "GRUB_CMDLINE_LINUX='b " + kAdded + "'\n");
}

TEST_CASE("Words go and change where they stand, and the rest of the file stays") {
    const CommandLineChange without_one = [](std::vector<std::string> words) {
        std::erase(words, "one");
        return words;
    };
    CHECK(changed_defaults("GRUB_CMDLINE_LINUX_DEFAULT='one two'\"  three\" # x\n", without_one) ==
          "GRUB_CMDLINE_LINUX_DEFAULT='two'\"  three\" # x\n");
    CHECK(changed_defaults("GRUB_CMDLINE_LINUX=\"two one\"\nif true; then GRUB_CMDLINE_LINUX=one; fi\n", without_one) ==
          "GRUB_CMDLINE_LINUX=\"two\"\nif true; then GRUB_CMDLINE_LINUX=; fi\n");
    CHECK(changed_defaults("GRUB_CMDLINE_LINUX=\"two dyndbg=\\\"file one +p\\\" one\"\n", without_one) ==
          "GRUB_CMDLINE_LINUX=\"two dyndbg=\\\"file one +p\\\"\"\n");
    const CommandLineChange renamed = [](std::vector<std::string> words) {
        for (std::string& word : words)
            if (word == "resume=/dev/sda2")
                word = "resume=UUID=\"q\"";
        return words;
    };
    CHECK(changed_defaults("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet resume=/dev/sda2\"\n", renamed) ==
          "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet resume=UUID=\\\"q\\\"\"\n");
    CHECK(changed_defaults("GRUB_CMDLINE_LINUX_DEFAULT=resume=/dev/sda2\n", renamed) ==
          "GRUB_CMDLINE_LINUX_DEFAULT=resume=UUID=\\\"q\\\"\n");
}

TEST_CASE("GRUB's scripts are changed as scripts") {
    MemoryGuest guest;
    guest.file(
        "/boot/grub/grub.cfg",
        "menuentry 'a; linux /x' { linux /vmlinuz ro; initrd /i }\n"
        "menuentry \"b\" {\n  linuxefi $kernel root=$root \\\n    quiet # why\n  # linux /old\n  linux /bare\n}\n"
        "set default_kernelopts=\"root=UUID=1 ro\"\n");
    EditRequest request;
    request.fixes = select_fixes("console");
    const EditPlan plan = plan_edits(guest, {}, request);
    REQUIRE(plan.edits.size() == 1);
    CHECK(plan.edits[0].content == "menuentry 'a; linux /x' { linux /vmlinuz ro " + kAdded +
                                       "; initrd /i }\n"
                                       "menuentry \"b\" {\n  linuxefi $kernel root=$root \\\n    quiet " +
                                       kAdded + " # why\n  # linux /old\n  linux /bare " + kAdded +
                                       "\n}\n"
                                       "set default_kernelopts=\"root=UUID=1 ro " +
                                       kAdded + "\"\n");
}

TEST_CASE("What is for init, behind two dashes, stays behind what is for the kernel") {
    CHECK(with_console("GRUB_CMDLINE_LINUX=\"quiet -- single\"\n") ==
          "GRUB_CMDLINE_LINUX=\"quiet " + kAdded + " -- single\"\n");
    CHECK(with_console("GRUB_CMDLINE_LINUX='-- 3'\n") == "GRUB_CMDLINE_LINUX='" + kAdded + " -- 3'\n");
    CHECK(with_console("GRUB_CMDLINE_LINUX=--\n") == "GRUB_CMDLINE_LINUX=\"" + kAdded + " \"--\n");
    // Of an installer: three dashes are a word like any other.
    CHECK(with_console("GRUB_CMDLINE_LINUX=\"quiet --- single\"\n") ==
          "GRUB_CMDLINE_LINUX=\"quiet --- single " + kAdded + "\"\n");

    MemoryGuest guest;
    guest.file("/boot/grub/grub.cfg", "menuentry a {\n  linux /vmlinuz ro -- console=ttyS0 single\n}\n")
        .file("/boot/loader/entries/a.conf", "linux /v\noptions ro\noptions quiet -- single\n")
        .file("/etc/kernel/cmdline", "ro -- single\n");
    EditRequest request;
    request.fixes = select_fixes("console");
    const EditPlan plan = plan_edits(guest, {}, request);
    const auto content_of = [&](const std::string& path) {
        const auto found =
            std::find_if(plan.edits.begin(), plan.edits.end(), [&](const Edit& edit) { return edit.path == path; });
        return found == plan.edits.end() ? std::string() : found->content;
    };
    CHECK(content_of("/boot/grub/grub.cfg") ==
          "menuentry a {\n  linux /vmlinuz ro " + kAdded + " -- console=ttyS0 single\n}\n");
    CHECK(content_of("/boot/loader/entries/a.conf") ==
          "linux /v\noptions ro\noptions quiet " + kAdded + " -- single\n");
    CHECK(content_of("/etc/kernel/cmdline") == "ro " + kAdded + " -- single\n");
}

TEST_CASE("Command lines that are not changed are named") {
    std::string odd = "# GRUB Environment Block\nkernelopts=root=UUID=1 ro\n";
    odd.resize(1500, '#');
    MemoryGuest guest;
    guest.file("/boot/efi/EFI/Linux/fedora-6.8.efi", "MZ")
        .file("/boot/refind_linux.conf", "\"Boot\" \"root=/dev/sda1\"\n")
        .file("/etc/kernel/cmdline", "# made by hand\nroot=UUID=1\nquiet\n")
        .file("/boot/grub2/grubenv", odd);
    EditRequest request;
    request.fixes = select_fixes("console");
    const EditPlan plan = plan_edits(guest, {}, request);
    CHECK(has_finding(plan, "fedora-6.8.efi is a unified kernel image"));
    CHECK(has_finding(plan, "refind_linux.conf has a kernel command line of its own"));
    CHECK(has_finding(plan, "has 1500 bytes"));
    REQUIRE(plan.edits.size() == 2);
    for (const Edit& edit : plan.edits)
        if (edit.path == "/etc/kernel/cmdline")
            CHECK(edit.content == "# made by hand\nroot=UUID=1\nquiet " + kAdded + "\n");
        else
            CHECK((edit.content.size() == 1500 && edit.content.find("ro " + kAdded + "\n#") != std::string::npos));

    MemoryGuest lost;
    lost.file("/boot/loader/entries/a.conf", "linux /v\noptions $kernelopts\n");
    CHECK(has_finding(plan_edits(lost, {}, request), "$kernelopts"));
    MemoryGuest full;
    std::string block = "# GRUB Environment Block\nkernelopts=" + std::string(990, 'x') + "\n";
    block.resize(1024, '#');
    full.file("/boot/grub/grubenv", block);
    const EditPlan no_room = plan_edits(full, {}, request);
    CHECK(no_room.edits.empty());
    CHECK(has_finding(no_room, "no room"));
    MemoryGuest broken;
    broken.file("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"quiet\"\"\nX=1\n");
    const EditPlan unreadable = plan_edits(broken, {}, request);
    CHECK(unreadable.edits.empty());
    CHECK(has_finding(unreadable, "no valid shell"));
}

TEST_CASE("Alpine's update-extlinux.conf gets what extlinux.conf gets") {
    MemoryGuest guest;
    guest.file("/etc/update-extlinux.conf", "root=/dev/sda1\ndefault_kernel_opts='quiet'\n")
        .file("/boot/initramfs-virt", "");
    EditRequest request;
    request.fixes = select_fixes("console,devices");
    const EditPlan plan = plan_edits(guest, {{1, "ext4", "1111-aaaa"}}, request);
    REQUIRE_FALSE(plan.edits.empty());
    CHECK(plan.edits[0].content == "root=\"UUID=1111-aaaa\"\ndefault_kernel_opts='quiet " + kAdded + "'\n");
}
