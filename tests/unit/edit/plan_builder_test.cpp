#include "formats/base/error.hpp"
#include "libconvert/edit/plan_builder.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace vm2oci;
using vm2oci::test::MemoryGuest;

namespace {

ErrorKind kind_of_failure(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& error) {
        return error.kind();
    }
    FAIL("nothing was thrown");
    return ErrorKind::io;
}

const Edit* find_edit(const EditPlan& plan, const std::string& path) {
    for (const Edit& edit : plan.edits)
        if (edit.path == path)
            return &edit;
    return nullptr;
}

} // namespace

TEST_CASE("Later planners see what earlier ones planned") {
    MemoryGuest guest;
    guest.file("/etc/fstab", "old\n").file("/var/lib/a/b", "x");
    PlanBuilder plan(guest);
    plan.begin("one");
    plan.write("/etc/fstab", "new\n", "because");
    CHECK(plan.read_text("/etc/fstab") == "new\n");
    plan.remove("/var/lib/a", "because");
    CHECK_FALSE(plan.exists("/var/lib/a/b"));
    CHECK(plan.list("/var/lib").empty());
    plan.write("/var/lib/a/c", "y", "because");
    CHECK(plan.list("/var/lib/a") == std::vector<std::string>{"c"});
    plan.make_symlink("/etc/link", "../var/lib/a", "because");
    CHECK(plan.read_text("/etc/link/c") == "y");
}

TEST_CASE("Two writes of one file are one edit with both reasons") {
    MemoryGuest guest;
    guest.file("/etc/fstab", "old\n");
    PlanBuilder plan(guest);
    plan.begin("one");
    plan.write("/etc/fstab", "new\n", "first");
    plan.begin("two");
    plan.write("/etc/fstab", "newer\n", "second");
    REQUIRE(plan.plan().edits.size() == 1);
    CHECK(plan.plan().edits[0].content == "newer\n");
    CHECK(plan.plan().edits[0].operation == "one, two");
    CHECK(plan.plan().edits[0].reason == "first; second");
}

TEST_CASE("A write of what is there already is no edit, a change of its mode is one") {
    MemoryGuest guest;
    guest.file("/etc/a", "same", 0600);
    PlanBuilder plan(guest);
    plan.write("/etc/a", "same", "because");
    CHECK_FALSE(plan.changed());
    plan.write("/etc/a", "same", "because", {0644, {}, {}, {}});
    CHECK(plan.changed());
}

TEST_CASE("Paths resolve inside the guest's root") {
    MemoryGuest guest;
    guest.symlink("/etc", "/../../tmp/outside").folder("/tmp/outside").symlink("/var", "usr/var").folder("/usr/var");
    PlanBuilder plan(guest);
    plan.write("/etc/hostname", "x\n", "because");
    plan.write("/var/lib/new/file", "y", "because");
    CHECK(find_edit(plan.plan(), "/tmp/outside/hostname") != nullptr);
    CHECK(find_edit(plan.plan(), "/usr/var/lib/new/file") != nullptr);
    CHECK(find_edit(plan.plan(), "/usr/var/lib/new")->kind == EditKind::make_folder);
    CHECK(plan.resolve("/a/../../b/./c", FinalLink::follow) == "/b/c");
}

TEST_CASE("A link at the end is followed for a write, and itself removed") {
    MemoryGuest guest;
    guest.symlink("/etc/hostname", "../srv/name").file("/srv/name", "old");
    PlanBuilder plan(guest);
    plan.write("/etc/hostname", "new", "because");
    CHECK(plan.plan().edits[0].path == "/srv/name");
    plan.remove("/etc/hostname", "because");
    CHECK(plan.plan().edits[1].path == "/etc/hostname");
    CHECK(plan.exists("/srv/name"));
}

TEST_CASE("Loops, devices, fifos and folders are refused") {
    MemoryGuest guest;
    guest.symlink("/loop", "loop").special("/etc/fifo", FileType::fifo).special("/etc/disk", FileType::block_device);
    guest.folder("/etc/folder").file("/etc/file", "");
    for (int i = 0; i < 60; ++i)
        guest.symlink("/chain" + std::to_string(i), "chain" + std::to_string(i + 1));
    PlanBuilder plan(guest);
    for (const char* path :
         {"/loop/x", "/loop", "/etc/fifo", "/etc/disk", "/etc/folder", "/etc/file/below", "/chain0", "/"}) {
        INFO(path);
        CHECK(kind_of_failure([&] { plan.write(path, "x", "because"); }) == ErrorKind::unsafe);
    }
    CHECK(kind_of_failure([&] { plan.make_symlink("/etc/folder", "x", "because"); }) == ErrorKind::unsafe);
    CHECK_FALSE(plan.changed());
    CHECK_FALSE(plan.exists("/loop/x"));
    CHECK_FALSE(plan.read_text("/etc/fifo"));
}

TEST_CASE("A folder with a mount point below stays") {
    MemoryGuest guest;
    guest.file("/var/log/x", "").mount({"/", "partition 1", "ext4", "", "", {}});
    guest.mount({"/var/log", "partition 2", "ext4", "", "", {}});
    PlanBuilder plan(guest);
    plan.remove("/var", "because");
    CHECK_FALSE(plan.changed());
    REQUIRE(plan.plan().findings.size() == 1);
}

TEST_CASE("Patterns match as in a shell") {
    MemoryGuest guest;
    guest.file("/home/a/.x_history", "").file("/home/b/.y_history", "").file("/home/b/z", "").file("/etc/k1", "");
    PlanBuilder plan(guest);
    CHECK(plan.glob("/home/*/.*_history") == std::vector<std::string>{"/home/a/.x_history", "/home/b/.y_history"});
    CHECK(plan.glob("/home/*/*") == std::vector<std::string>{"/home/b/z"});
    CHECK(plan.glob("/etc/k?") == std::vector<std::string>{"/etc/k1"});
    CHECK(plan.glob("/no/*").empty());
}

TEST_CASE("A plan prints no content, and escapes what the guest says") {
    MemoryGuest guest;
    guest.symlink("/etc/hostname", "a\nb");
    PlanBuilder plan(guest);
    plan.begin("hostname");
    plan.write("/etc/hostname", "secret", "because");
    const std::string text = to_text(plan.plan());
    CHECK(text.find("secret") == std::string::npos);
    CHECK(text.find("/etc/a\\x0ab (6 B)") != std::string::npos);
    CHECK(to_json(plan.plan())["changed"][0]["size"] == 6);
}

TEST_CASE("Nothing is changed or looked for below what the guest mounts and is not mounted") {
    MemoryGuest guest;
    guest.folder("/srv/db").folder("/data").symlink("/var/lib", "/data/lib").file("/etc/hostname", "a\n");
    guest.missing({"/data", "UUID=7", "it is encrypted", MountNeed::required});
    guest.missing({"/srv/db", "nas:/db", "a server's", MountNeed::optional});
    PlanBuilder plan(guest);
    plan.begin("test");
    SECTION("a write through a link") {
        plan.write("/var/lib/cloud/seed/meta-data", "x", "because");
        try {
            std::move(plan).finish();
            FAIL("nothing was thrown");
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::unsupported);
            for (const char* part : {"/data", "UUID=7", "it is encrypted"})
                CHECK(std::string(error.what()).find(part) != std::string::npos);
        }
    }
    SECTION("a removal that finds nothing") {
        plan.remove("/var/lib/dbus/machine-id", "because");
        CHECK(kind_of_failure([&] { std::move(plan).finish(); }) == ErrorKind::unsupported);
    }
    SECTION("a pattern that finds nothing") {
        CHECK(plan.glob("/data/*/.history").empty());
        CHECK(kind_of_failure([&] { std::move(plan).finish(); }) == ErrorKind::unsupported);
    }
    SECTION("a write below what may be absent") {
        plan.write("/srv/db/new", "x", "because");
        CHECK(kind_of_failure([&] { std::move(plan).finish(); }) == ErrorKind::unsupported);
    }
    SECTION("elsewhere all is as ever, and what is missing is told") {
        CHECK(plan.glob("/srv/db/*").empty());
        plan.write("/etc/hostname", "b\n", "because");
        const EditPlan made = std::move(plan).finish();
        CHECK(made.edits.size() == 1);
        CHECK(made.findings.size() == 2);
    }
    SECTION("a folder with such a mount point in it stays") {
        plan.remove("/srv", "because");
        const EditPlan made = std::move(plan).finish();
        CHECK(made.edits.empty());
        CHECK(made.findings.size() == 1);
    }
}

TEST_CASE("A file system in a missing one is written to, and a bundle's plan knows no missing ones") {
    MemoryGuest guest;
    guest.folder("/data/inner");
    guest.mount({"/", "", "ext4", "", "", std::nullopt}).mount({"/data/inner", "", "ext4", "", "", std::nullopt});
    guest.missing({"/data", "LABEL=far", "this disk has no such volume", MountNeed::required});
    PlanBuilder plan(guest);
    plan.begin("test");
    plan.write("/data/inner/a", "x", "because");
    CHECK(std::move(plan).finish().edits.size() == 1);
    PlanBuilder lone(guest, MissingMounts::ignore);
    lone.write("/data/b", "x", "because");
    CHECK(std::move(lone).finish().edits.size() == 1);
}

TEST_CASE("To ask for one file below a missing mount is to look for it there") {
    MemoryGuest guest;
    guest.folder("/var/lib").folder("/usr").symlink("/lib", "usr/lib").symlink("/etc/name", "/var/lib/name");
    guest.missing({"/var/lib", "LABEL=state", "it is encrypted", MountNeed::required});
    guest.missing({"/usr", "partition 2", "it is of no known kind", MountNeed::required});
    PlanBuilder plan(guest);
    plan.begin("test");
    SECTION("a status") {
        CHECK_FALSE(plan.status("/var/lib/dbus/machine-id", FinalLink::keep));
    }
    SECTION("a file's text, through a link") {
        CHECK_FALSE(plan.read_text("/lib/systemd/system/ssh.service"));
    }
    SECTION("a link at the end") {
        CHECK_FALSE(plan.exists("/etc/name"));
    }
    SECTION("where a link leads") {
        CHECK_FALSE(plan.read_link("/usr/bin/sh"));
    }
    CHECK(kind_of_failure([&] { std::move(plan).finish(); }) == ErrorKind::unsupported);
}

TEST_CASE("A pattern looks below a mount point that is yet to be made") {
    MemoryGuest guest;
    guest.file("/home/ann/.history", "x");
    guest.missing({"/home/zoe", "LABEL=zoe", "this disk has no such volume", MountNeed::required});
    for (const char* pattern : {"/home/*/.history", "/home/z*/.ssh/*", "/*/*/x"}) {
        PlanBuilder plan(guest);
        plan.begin("test");
        plan.glob(pattern);
        CHECK(kind_of_failure([&] { std::move(plan).finish(); }) == ErrorKind::unsupported);
    }
    for (const char* pattern : {"/home/a*/.history", "/home/ann/*", "/etc/*/zoe", "/*"}) {
        PlanBuilder plan(guest);
        plan.begin("test");
        plan.glob(pattern);
        CHECK(std::move(plan).finish().edits.empty());
    }
}

namespace {

MissingMount bind_of(const std::string& source, const std::string& mount_point) {
    return {mount_point, source, "it comes from another place", MountNeed::optional, MissingRemedy::none, source};
}

} // namespace

TEST_CASE("What a bind mount shows is changed where it lies") {
    MemoryGuest guest;
    guest.folder("/home").file("/export/people/ann/.history", "x").folder("/tmp").symlink("/people", "export/people");
    guest.file("/home/hidden", "x");
    SECTION("in this guest") {
        guest.missing(bind_of("/people", "/home"));
        PlanBuilder plan(guest);
        plan.begin("test");
        CHECK(plan.list("/home") == std::vector<std::string>{"ann"});
        for (const std::string& path : plan.glob("/home/*/.history"))
            plan.remove(path, "because");
        plan.write("/home/ann/.ssh/authorized_keys", "key", "because");
        plan.remove("/home", "because");
        const EditPlan made = std::move(plan).finish();
        CHECK(find_edit(made, "/export/people/ann/.history") != nullptr);
        CHECK(find_edit(made, "/export/people/ann/.ssh/authorized_keys") != nullptr);
        CHECK(find_edit(made, "/export/people") == nullptr);
        CHECK(made.edits.size() == 3);
    }
    SECTION("on what is not mounted, whatever the order") {
        guest.missing(bind_of("/export/people", "/home"));
        guest.missing({"/export", "LABEL=e", "it is encrypted", MountNeed::required});
        PlanBuilder plan(guest);
        plan.begin("test");
        CHECK(plan.glob("/home/*/.none").empty());
        CHECK(kind_of_failure([&] { std::move(plan).finish(); }) == ErrorKind::unsupported);
    }
    SECTION("nothing else looks") {
        guest.missing(bind_of("/export/people", "/home"));
        PlanBuilder plan(guest);
        plan.begin("test");
        plan.write("/etc/hostname", "a", "because");
        CHECK(std::move(plan).finish().edits.size() == 1 + 1); // and /etc
    }
}

TEST_CASE("Bind mounts that show something else than their folder are not looked into") {
    for (const char* between : {"/home/ann", "/export/people/ann"}) {
        MemoryGuest guest;
        guest.folder("/home/ann").folder("/export/people/ann");
        guest.missing(bind_of("/export/people", "/home"));
        guest.missing({between, "LABEL=a", "this disk has no such volume", MountNeed::optional});
        PlanBuilder plan(guest);
        plan.begin("test");
        CHECK(plan.glob("/home/bob/.history").empty());
        CHECK(kind_of_failure([&] { std::move(plan).finish(); }) == ErrorKind::unsupported);
    }
    // Its own ancestor, and a folder that is not there.
    for (const char* source : {"/", "/nowhere"}) {
        MemoryGuest guest;
        guest.folder("/mnt/all");
        guest.missing(bind_of(source, "/mnt/all"));
        PlanBuilder plan(guest);
        plan.begin("test");
        plan.write("/mnt/all/x", "x", "because");
        CHECK(kind_of_failure([&] { std::move(plan).finish(); }) == ErrorKind::unsupported);
    }
}
