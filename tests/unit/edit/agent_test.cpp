#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "libconvert/edit/agent_package.hpp"
#include "libconvert/edit/elf_needs.hpp"
#include "libconvert/edit/plan_edits.hpp"
#include "tests/support/memory_guest.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;
using vm2oci::test::MemoryGuest;

namespace {

const Edit* find_edit(const EditPlan& plan, const std::string& path) {
    for (const Edit& edit : plan.edits)
        if (edit.path == path)
            return &edit;
    return nullptr;
}

EditPlan install(const MemoryGuest& guest, AgentRequest agent) {
    EditRequest request;
    request.agents.push_back(std::move(agent));
    return plan_edits(guest, {}, request);
}

const char* const kUnit = "[Service]\nExecStart=/usr/bin/x\n[Install]\nWantedBy=multi-user.target\n";

AgentRequest agent_of(std::vector<AgentFile> files) {
    AgentRequest agent;
    agent.name = "x";
    agent.files = std::move(files);
    return agent;
}

std::string own_program() {
    return read_file("/proc/self/exe", 1024 * 1024 * 1024).value();
}

// An archive in memory of one file, or of what `files` has.
std::string pack(void (*format)(archive*), const std::vector<std::pair<std::string, std::string>>& files) {
    std::string out(4 * 1024 * 1024, '\0');
    std::size_t used = 0;
    archive* writer = archive_write_new();
    format(writer);
    archive_write_open_memory(writer, out.data(), out.size(), &used);
    for (const auto& [path, content] : files) {
        archive_entry* entry = archive_entry_new();
        archive_entry_set_pathname(entry, path.c_str());
        archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0755);
        archive_write_header(writer, entry);
        archive_write_data(writer, content.data(), content.size());
        archive_entry_free(entry);
    }
    archive_write_close(writer);
    archive_write_free(writer);
    out.resize(used);
    return out;
}

std::string tar_of(const std::vector<std::pair<std::string, std::string>>& files) {
    return pack(
        [](archive* writer) {
            archive_write_set_format_ustar(writer);
            archive_write_add_filter_gzip(writer);
        },
        files);
}

} // namespace

TEST_CASE("An agent's files are put in their places, and its unit is switched on") {
    MemoryGuest guest;
    guest.symlink("/lib", "usr/lib").file("/usr/lib/systemd/systemd", "");
    const EditPlan plan = install(guest, agent_of({{"/lib/systemd/system/x.service", FileType::regular, kUnit},
                                                   {"/usr/bin/x", FileType::regular, "#!/bin/sh\n", 0755}}));
    CHECK(find_edit(plan, "/usr/lib/systemd/system/x.service")->content == kUnit);
    CHECK(find_edit(plan, "/usr/bin/x")->attributes.permissions == 0755);
    const Edit* link = find_edit(plan, "/etc/systemd/system/multi-user.target.wants/x.service");
    REQUIRE(link != nullptr);
    CHECK(link->link_target == "/lib/systemd/system/x.service");
}

TEST_CASE("OpenRC gets a link in its default runlevel") {
    MemoryGuest guest;
    guest.file("/sbin/openrc", "");
    const EditPlan plan =
        install(guest, agent_of({{"/etc/init.d/x", FileType::regular, "#!/sbin/openrc-run\n", 0755}}));
    CHECK(find_edit(plan, "/etc/runlevels/default/x")->link_target == "/etc/init.d/x");
}

TEST_CASE("A program whose libraries the guest lacks is refused") {
    const std::string program = own_program();
    const auto needs = read_elf_needs(program);
    REQUIRE(needs);
    CHECK(std::find(needs->libraries.begin(), needs->libraries.end(), "libc.so.6") != needs->libraries.end());
    CHECK_FALSE(needs->versions.at("libc.so.6").empty());
    MemoryGuest guest;
    guest.file("/usr/lib/systemd/systemd", "");
    try {
        install(guest, agent_of({{"/usr/bin/x", FileType::regular, program, 0755}}));
        FAIL("nothing was refused");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::unsupported);
        CHECK_THAT(error.what(), Catch::Contains("libc.so.6"));
    }
    CHECK_FALSE(read_elf_needs("no program"));
    CHECK_THROWS_AS(read_elf_needs(program.substr(0, 128)), Error);
}

TEST_CASE("An agent of another distribution is refused") {
    MemoryGuest guest;
    guest.file("/etc/os-release", "ID=debian\nVERSION_ID=\"11\"\n");
    AgentRequest agent = agent_of({{"/usr/bin/x", FileType::regular, "x", 0755}});
    agent.distribution = "debian 12";
    CHECK_THROWS_WITH(install(guest, agent), Catch::Contains("debian 11"));
    agent.distribution = "debian 11";
    CHECK_NOTHROW(install(guest, agent));
}

TEST_CASE("Packages are unpacked, and their scripts are told and not run") {
    const std::string data = tar_of({{"./usr/bin/x", "program"}, {"./usr/share/doc/x/copyright", "text"}});
    const std::string deb = pack([](archive* writer) { archive_write_set_format_ar_bsd(writer); },
                                 {{"debian-binary", "2.0\n"},
                                  {"control.tar.gz", tar_of({{"./postinst", "#!/bin/sh\n"}})},
                                  {"data.tar.gz", data}});
    const AgentRequest agent = read_agent_package(deb, "x.deb");
    REQUIRE(agent.files.size() == 1);
    CHECK(agent.files[0].path == "/usr/bin/x");
    CHECK(agent.files[0].content == "program");
    CHECK(agent.scripts_left == std::vector<std::string>{"postinst"});
    CHECK(read_agent_package(data, "x.tar.gz").files.size() == 1);
    const std::string rpm_like =
        pack([](archive* writer) { archive_write_set_format_cpio_newc(writer); }, {{"./usr/bin/y", "program"}});
    CHECK(read_agent_package(rpm_like, "x.cpio").files[0].path == "/usr/bin/y");
}

TEST_CASE("Packages that lead out of the guest, or are none, are refused") {
    CHECK_THROWS_WITH(read_agent_package(tar_of({{"../../etc/passwd", "x"}}), "x.tar"), Catch::Contains(".."));
    CHECK_THROWS_AS(read_agent_package("garbage", "x.deb"), Error);
    CHECK_THROWS_AS(read_agent_package("", "x.deb"), Error);
}

TEST_CASE("Libraries that an agent has for poorer guests are installed where they are missing") {
    const std::string program = own_program();
    AgentRequest agent = agent_of({{"/usr/bin/x", FileType::regular, program, 0755}});
    MemoryGuest guest;
    const auto needs = read_elf_needs(program);
    guest.file(needs->interpreter, "");
    for (const std::string& library : needs->libraries)
        agent.libraries.push_back({"/usr/lib/" + library, FileType::regular, "no ELF", 0644});
    const EditPlan plan = install(guest, agent);
    CHECK(find_edit(plan, "/usr/lib/libc.so.6") != nullptr);
    // The program itself stands for a library of the right machine; without versions of its own it fits every need.
    guest.file("/usr/lib/libc.so.6", program);
    CHECK(find_edit(install(guest, agent), "/usr/lib/libc.so.6") == nullptr);
}

TEST_CASE("What one agent brings, another may need") {
    const std::string program = own_program();
    const auto needs = read_elf_needs(program);
    MemoryGuest guest;
    guest.file(needs->interpreter, "");
    AgentRequest libraries;
    libraries.name = "libraries.deb";
    for (const std::string& library : needs->libraries)
        libraries.files.push_back({"/usr/lib/" + library, FileType::regular, "no ELF", 0644});
    EditRequest request;
    request.agents = {agent_of({{"/usr/bin/x", FileType::regular, program, 0755}}), libraries};
    CHECK_NOTHROW(plan_edits(guest, {}, request));
    request.agents.pop_back();
    CHECK_THROWS_WITH(plan_edits(guest, {}, request), Catch::Contains("would not run in this guest"));
}

TEST_CASE("Each init system gets its own files and its own way to start them") {
    AgentRequest agent = agent_of(
        {{"/etc/systemd/system/x.service", FileType::regular, kUnit, 0644, 0, 0, InitSystem::systemd},
         {"/etc/init.d/x", FileType::regular, "#!/sbin/openrc-run\n", 0755, 0, 0, InitSystem::openrc},
         {"/etc/init.d/x", FileType::regular, "#!/bin/sh\n# Default-Start: 3 5\n", 0755, 0, 0, InitSystem::sysv}});
    MemoryGuest systemd;
    systemd.file("/usr/lib/systemd/systemd", "");
    EditPlan plan = install(systemd, agent);
    CHECK(find_edit(plan, "/etc/systemd/system/x.service") != nullptr);
    CHECK(find_edit(plan, "/etc/init.d/x") == nullptr);
    MemoryGuest openrc;
    openrc.file("/sbin/openrc", "");
    plan = install(openrc, agent);
    CHECK(find_edit(plan, "/etc/init.d/x")->content == "#!/sbin/openrc-run\n");
    CHECK(find_edit(plan, "/etc/runlevels/default/x") != nullptr);
    MemoryGuest sysv;
    sysv.file("/etc/inittab", "").folder("/etc/rc2.d").folder("/etc/rc3.d").folder("/etc/rc.d/rc5.d");
    plan = install(sysv, agent);
    CHECK(find_edit(plan, "/etc/rc3.d/S99x")->link_target == "/etc/init.d/x");
    CHECK(find_edit(plan, "/etc/rc.d/rc5.d/S99x") != nullptr);
    CHECK(find_edit(plan, "/etc/rc2.d/S99x") == nullptr);
}
