#include "formats/base/error.hpp"
#include "libconvert/edit/file_contexts.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using vm2oci::test::MemoryGuest;

namespace {

std::string label(const FileContexts& contexts, std::string_view path, FileType type = FileType::regular) {
    return contexts.label(path, type).value_or("none");
}

} // namespace

// What libselinux answers to the same: tests/integration/edit/selinux.sh asks it.
TEST_CASE("The last line that matches counts, and a line without metacharacters before all") {
    const FileContexts contexts({"# a comment\n"
                                 "/etc/exact\tu:o:exact:s0\n"
                                 "/.*\t\tu:o:default:s0\n"
                                 "/etc(/.*)?\tu:o:etc:s0\n"
                                 "/etc/.*\\.key -- u:o:key:s0\n"
                                 "/etc/folder -d u:o:folder:s0\n"
                                 "/etc/.*act u:o:act:s0\n"
                                 "/run/.* <<none>>\n",
                                 "/home/[^/]+/\\.ssh(/.*)? u:o:ssh:s0\n", "/etc/late(/.*)? u:o:late:s0\n", "", ""});
    CHECK(label(contexts, "/x") == "u:o:default:s0");
    CHECK(label(contexts, "/etc", FileType::directory) == "u:o:etc:s0");
    CHECK(label(contexts, "/etcetera") == "u:o:default:s0");
    CHECK(label(contexts, "/etc/a.key") == "u:o:key:s0");
    CHECK(label(contexts, "/etc/a.key", FileType::symlink) == "u:o:etc:s0");
    CHECK(label(contexts, "/etc/folder") == "u:o:etc:s0");
    CHECK(label(contexts, "/etc/folder", FileType::directory) == "u:o:folder:s0");
    CHECK(label(contexts, "/etc/exact") == "u:o:exact:s0");
    CHECK(label(contexts, "/etc/enact") == "u:o:act:s0");
    CHECK(label(contexts, "/etc/late/a") == "u:o:late:s0");
    CHECK(label(contexts, "/home/me/.ssh/authorized_keys") == "u:o:ssh:s0");
    CHECK(label(contexts, "/home/me/assh") == "u:o:default:s0");
    CHECK(label(contexts, "/run/x") == "none");
    CHECK(label(contexts, std::string_view("/etc/\xff\n.key")) == "u:o:key:s0");
}

TEST_CASE("Characters that may be absent, and alternatives, do not hide a line") {
    const FileContexts contexts({"/optiona?l u:o:optional:s0\n"
                                 "/repeat{2}x u:o:repeat:s0\n"
                                 "/one|/two u:o:either:s0\n"
                                 "/in/(one|two) u:o:inside:s0\n"
                                 "/class[|)]x u:o:class:s0\n",
                                 "", "", "", ""});
    CHECK(label(contexts, "/optionl") == "u:o:optional:s0");
    CHECK(label(contexts, "/repeattx") == "u:o:repeat:s0");
    CHECK(label(contexts, "/two") == "u:o:either:s0");
    CHECK(label(contexts, "/in/two") == "u:o:inside:s0");
    CHECK(label(contexts, "/class|x") == "u:o:class:s0");
    CHECK(label(contexts, "/neither") == "none");
}

TEST_CASE("Paths are rewritten by the user's list, then by the distribution's") {
    const FileContexts contexts({"/lib/.* u:o:lib:s0\n/home/.* u:o:home:s0\n/top u:o:top:s0\n", "", "",
                                 "/export/home /homes\n/jail /\n", "/usr/lib /lib\n/homes /home\n# /top /lib\n"});
    CHECK(label(contexts, "/usr/lib/x") == "u:o:lib:s0");
    CHECK(label(contexts, "/usr/library") == "none");
    CHECK(label(contexts, "/export/home/x") == "u:o:home:s0");
    CHECK(label(contexts, "/jail/top") == "u:o:top:s0");
}

TEST_CASE("What libselinux refuses is refused, and what is not understood has no label") {
    CHECK_THROWS_AS(FileContexts({"/etc\n", "", "", "", ""}), Error);
    CHECK_THROWS_AS(FileContexts({"/etc -x u:o:etc:s0\n", "", "", "", ""}), Error);
    std::string endless;
    for (int i = 0; i < 60'000; ++i)
        endless += "/x u:o:x:s0\n";
    CHECK_THROWS_AS(FileContexts({endless, "", "", "", ""}), Error);
    const FileContexts backwards({"/.* u:o:default:s0\n/etc/(?!x).* u:o:etc:s0\n", "", "", "", ""});
    CHECK(label(backwards, "/etc/y") == "none");
    CHECK(label(backwards, "/usr") == "u:o:default:s0");
}

TEST_CASE("Only guests where SELinux is on have a policy to follow") {
    MemoryGuest guest;
    guest.file("/etc/selinux/config", "SELINUX=permissive\nSELINUXTYPE=mine\n")
        .file("/etc/selinux/mine/contexts/files/file_contexts", "/.* u:o:default:s0\n")
        .file("/etc/selinux/mine/contexts/files/file_contexts.local", "/etc/x u:o:x:s0\n")
        .file("/etc/selinux/mine/contexts/files/file_contexts.subs", "/etc/y /etc/x\n");
    REQUIRE(guest_file_contexts(guest));
    CHECK(label(*guest_file_contexts(guest), "/etc/y") == "u:o:x:s0");
    CHECK(selinux_mode(guest) == SelinuxMode::permissive);
    guest.file("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=../mine\n");
    CHECK_FALSE(guest_file_contexts(guest));
    guest.file("/etc/selinux/config", "SELINUX=disabled\nSELINUXTYPE=mine\n");
    CHECK_FALSE(guest_file_contexts(guest));
    CHECK_FALSE(guest_file_contexts(MemoryGuest()));
}
