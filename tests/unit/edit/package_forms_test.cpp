// Packages of agents as distributions build them: RPM's header and payload (format_v4.md), tar and ar.
#include "formats/base/fd.hpp"
#include "libconvert/edit/agent_package.hpp"
#include "libconvert/edit/rpm_scripts.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/edit/edit_fixture.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <fstream>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

void put_number(std::string& out, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        out += static_cast<char>(value >> shift);
}

// A header structure with entries of these tags, and `data` bytes behind them.
std::string header(const std::vector<std::uint32_t>& tags, std::size_t data) {
    std::string out("\x8e\xad\xe8\x01\0\0\0\0", 8);
    put_number(out, static_cast<std::uint32_t>(tags.size()));
    put_number(out, static_cast<std::uint32_t>(data));
    for (const std::uint32_t tag : tags) {
        put_number(out, tag);
        put_number(out, 6); // a string
        put_number(out, 0);
        put_number(out, 1);
    }
    return out + std::string(data, 'd');
}

std::string rpm(const std::vector<std::uint32_t>& tags, std::size_t signature_data = 4,
                const std::string& payload = "") {
    std::string out("\xed\xab\xee\xdb\x03\x00", 6);
    out.resize(96);
    std::string signature = header({1000}, signature_data);
    signature.resize((signature.size() + 7) / 8 * 8);
    return out + signature + header(tags, 10) + payload;
}

// A member of a cpio archive as RPM writes it ("new ASCII").
std::string member(const std::string& name, unsigned inode, unsigned mode, unsigned links, const std::string& content) {
    std::string out =
        fmt::format("070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}", inode, mode,
                    0, 0, links, 0, content.size(), 0, 0, 0, 0, name.size() + 1, 0);
    out += name + '\0';
    out.resize((out.size() + 3) / 4 * 4);
    out += content;
    out.resize((out.size() + 3) / 4 * 4);
    return out;
}

struct Member {
    const char* path;
    mode_t type;
    const char* content; // a link's target
    bool is_hard_link = false;
};

std::string tar(const std::vector<Member>& members) {
    std::string out(1024 * 1024, '\0');
    std::size_t used = 0;
    archive* writer = archive_write_new();
    archive_write_set_format_pax_restricted(writer);
    archive_write_open_memory(writer, out.data(), out.size(), &used);
    for (const Member& each : members) {
        archive_entry* entry = archive_entry_new();
        archive_entry_set_pathname(entry, each.path);
        archive_entry_set_perm(entry, 0750);
        archive_entry_set_uid(entry, 12);
        archive_entry_set_gid(entry, 34);
        archive_entry_set_filetype(entry, each.type);
        const std::string content = each.content;
        if (each.is_hard_link)
            archive_entry_set_hardlink(entry, each.content);
        else if (each.type == AE_IFLNK)
            archive_entry_set_symlink(entry, each.content);
        else
            archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
        archive_write_header(writer, entry);
        if (each.type == AE_IFREG && !each.is_hard_link)
            archive_write_data(writer, content.data(), content.size());
        archive_entry_free(entry);
    }
    archive_write_close(writer);
    archive_write_free(writer);
    out.resize(used);
    return out;
}

std::string shown(const AgentRequest& agent) {
    std::string out;
    for (const AgentFile& each : agent.files)
        out += each.path +
               (each.type == FileType::directory ? "/"
                : each.type == FileType::symlink ? "@"
                                                 : "=") +
               each.content + ";";
    return out;
}

using Names = std::vector<std::string>;

} // namespace

TEST_CASE("Scripts of an RPM are told by their tags, or by what runs them") {
    CHECK(rpm_scripts(rpm({1000, 1001})).empty());
    struct Case {
        std::uint32_t tag;
        const char* name;
    };
    for (const Case& each : {Case{1023, "preinst"},
                             {1024, "postinst"},
                             {1025, "prerm"},
                             {1026, "postrm"},
                             {1151, "pretrans"},
                             {1152, "posttrans"},
                             {5103, "preuntrans"},
                             {5104, "postuntrans"},
                             // "%post -p /sbin/ldconfig"
                             {1085, "preinst"},
                             {1086, "postinst"},
                             {1087, "prerm"},
                             {1088, "postrm"},
                             {1153, "pretrans"},
                             {1154, "posttrans"},
                             {5105, "preuntrans"},
                             {5106, "postuntrans"}}) {
        CAPTURE(each.tag);
        CHECK(rpm_scripts(rpm({1000, each.tag, 1100})) == Names{each.name});
    }
    CHECK(rpm_scripts(rpm({1023, 1024, 1085, 1086})) == Names{"preinst", "postinst"});
    CHECK(rpm_scripts(rpm({1022, 1027, 1084, 1089, 1150, 1155, 5102, 5107})).empty());
    // The signature ends at a multiple of eight, whatever its size.
    for (std::size_t data = 0; data < 17; ++data) {
        CAPTURE(data);
        CHECK(rpm_scripts(rpm({1024}, data)) == Names{"postinst"});
    }
}

TEST_CASE("What is no RPM, or is cut, has no scripts") {
    CHECK(rpm_scripts("").empty());
    CHECK(rpm_scripts("!<arch>\n").empty());
    const std::string whole = rpm({1023, 1024, 1025});
    REQUIRE(rpm_scripts(whole).size() == 3);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CAPTURE(size);
        CHECK(rpm_scripts(whole.substr(0, size)).empty());
    }
    // Numbers that lead far behind the end; and magics that are none.
    for (const std::size_t at : {96U + 8U, 96U + 12U, 136U + 8U, 136U + 12U, 0U, 96U, 136U}) {
        std::string damaged = whole;
        damaged[at] = '\x7f';
        CAPTURE(at);
        CHECK(rpm_scripts(damaged).empty());
    }
}

TEST_CASE("Hard links of an RPM have their content with the last name, and all names get it") {
    // As brp-python-hardlink leaves compiled files of Python; rpm writes the content once, with the last of them.
    const std::string payload = member("./usr/lib/x/a.pyc", 7, 0100644, 3, "") +
                                member("./usr/lib/x/a.opt-1.pyc", 7, 0100644, 3, "") +
                                member("./usr/lib/x/a.opt-2.pyc", 7, 0100644, 3, "code") +
                                member("./usr/lib/x/other", 8, 0100644, 1, "text") + member("TRAILER!!!", 0, 0, 1, "");
    const std::string wanted = "/usr/lib/x/a.pyc=code;/usr/lib/x/a.opt-1.pyc=code;/usr/lib/x/a.opt-2.pyc=code;"
                               "/usr/lib/x/other=text;";
    CHECK(shown(read_agent_package(payload, "x.cpio")) == wanted);
    const AgentRequest agent = read_agent_package(rpm({1024}, 4, payload), "x.rpm");
    CHECK(shown(agent) == wanted);
    CHECK(agent.scripts_left == Names{"postinst"});
    CHECK(agent.name == "x.rpm");
    CHECK(agent.distribution.empty());
}

TEST_CASE("Members of a tar keep their kinds, owners and modes") {
    const AgentRequest agent = read_agent_package(tar({{"./", AE_IFDIR, ""},
                                                       {"opt/", AE_IFDIR, ""},
                                                       {"opt/x", AE_IFREG, "program"},
                                                       {"opt/y", AE_IFREG, "opt/x", true},
                                                       {"opt/l", AE_IFLNK, "../x"},
                                                       {"opt/m", AE_IFREG, "opt/l", true},
                                                       {"//opt/./z", AE_IFREG, ""}}),
                                                  "x.tar");
    CHECK(shown(agent) == "/opt/;/opt/x=program;/opt/y=program;/opt/l@../x;/opt/m@../x;/opt/z=;");
    CHECK(agent.files[1].permissions == 0750);
    CHECK(agent.files[1].uid == 12);
    CHECK(agent.files[1].gid == 34);
    CHECK_FALSE(agent.files[1].only_for);
    // What no guest needs is left out, and what only begins so is not.
    CHECK(shown(read_agent_package(tar({{"usr/share/doc", AE_IFDIR, ""},
                                        {"usr/share/doc/x/README", AE_IFREG, "r"},
                                        {"usr/share/man/man1/x.1", AE_IFREG, "m"},
                                        {"usr/share/locale/de/x.mo", AE_IFREG, "l"},
                                        {"usr/share/lintian/x", AE_IFREG, "l"},
                                        {"usr/lib/.build-id/ab/cd", AE_IFLNK, "x"},
                                        {"usr/share/docs", AE_IFREG, "d"},
                                        {"usr/share/x", AE_IFREG, "x"}}),
                                   "x.tar")) == "/usr/share/docs=d;/usr/share/x=x;");
}

TEST_CASE("Members that lead elsewhere, or are no files, are refused by name") {
    struct Case {
        std::vector<Member> members;
        ErrorKind kind;
        const char* why;
    };
    const Case kCases[] = {
        {{{"../x", AE_IFREG, ""}}, ErrorKind::unsafe, "'x.tar' holds a path with '..'"},
        {{{"a/../x", AE_IFREG, ""}}, ErrorKind::unsafe, "'x.tar' holds a path with '..'"},
        {{{"a", AE_IFREG, "../x", true}}, ErrorKind::unsafe, "'x.tar' holds a path with '..'"},
        {{{"a", AE_IFREG, "b", true}}, ErrorKind::corrupt, "'x.tar' holds a hard link to nothing"},
        {{{"dev/null", AE_IFCHR, ""}}, ErrorKind::unsafe, "'x.tar' holds a device: '/dev/null'"},
        {{{"pipe", AE_IFIFO, ""}}, ErrorKind::unsafe, "'x.tar' holds a device: '/pipe'"},
        {{{"./", AE_IFDIR, ""}}, ErrorKind::corrupt, "'x.tar' holds no files"},
        {{{"usr/share/doc/x", AE_IFREG, ""}}, ErrorKind::corrupt, "'x.tar' holds no files"},
    };
    for (const Case& each : kCases) {
        CAPTURE(each.why);
        CHECK(refused(each.kind, [&] { read_agent_package(tar(each.members), "x.tar"); }) == each.why);
    }
    std::string ar = "!<arch>\n";
    ar += fmt::format("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", "debian-binary", 0, 0, 0, "100644", 4) + "2.0\n";
    CHECK(refused(ErrorKind::corrupt, [&] { read_agent_package(ar, "x.deb"); }) ==
          "'x.deb' is an ar archive, and no Debian package");
}

TEST_CASE("Further names of a large file count as much as the file: an archive of a megabyte is no 256 MiB of memory") {
    const std::string content(512 * 1024, 'x');
    std::vector<std::string> names;
    for (int i = 0; i < 600; ++i)
        names.push_back(fmt::format("n{}", i));
    const auto with_links = [&](std::size_t links) {
        std::vector<Member> members = {{"file", AE_IFREG, content.c_str()}};
        for (std::size_t i = 0; i < links; ++i)
            members.push_back({names[i].c_str(), AE_IFREG, "file", true});
        return tar(members);
    };
    CHECK(read_agent_package(with_links(3), "x.tar").files.back().content == content);
    CHECK(refused(ErrorKind::limit, [&] { read_agent_package(with_links(600), "x.tar"); }) ==
          "'x.tar' is larger than 256 MiB when unpacked");
}

TEST_CASE("A Debian package has the scripts of its control archive alone") {
    const std::string control = tar({{"./control", AE_IFREG, "Package: x\n"},
                                     {"./preinst", AE_IFREG, "#!/bin/sh\n"},
                                     {"./prerm", AE_IFREG, "#!/bin/sh\n"},
                                     {"./postrm", AE_IFREG, "#!/bin/sh\n"},
                                     {"./config/postinst", AE_IFREG, "no script\n"}});
    const std::string data = tar({{"./usr/bin/x", AE_IFREG, "x"}, {"./postinst", AE_IFREG, "a file\n"}});
    std::string deb = "!<arch>\n";
    for (const auto& [name, content] : {std::pair<std::string, std::string>("debian-binary", "2.0\n"),
                                        {"control.tar", control},
                                        {"data.tar", data}}) {
        deb += fmt::format("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", name, 0, 0, 0, "100644", content.size()) + content;
        deb += content.size() % 2 != 0 ? "\n" : "";
    }
    const AgentRequest agent = read_agent_package(deb, "x.deb");
    CHECK(agent.scripts_left == Names{"preinst", "prerm", "postrm"});
    CHECK(shown(agent) == "/usr/bin/x=x;/postinst=a file\n;");
    const std::size_t data_begins = deb.find("data.tar");
    REQUIRE(data_begins != std::string::npos);
    for (std::size_t size = 8; size < data_begins + 60 + 512; size += 37) {
        CAPTURE(size);
        CHECK_THROWS_AS(read_agent_package(deb.substr(0, size), "x.deb"), Error);
    }
}

TEST_CASE("Agents are taken from folders, and from a program with what starts it") {
    TemporaryFolder folder;
    const std::filesystem::path root = folder.path() / "tree";
    std::filesystem::create_directories(root / "usr/bin");
    std::ofstream(root / "usr/bin/x") << "program";
    std::filesystem::permissions(root / "usr/bin/x", std::filesystem::perms(0751));
    std::filesystem::create_symlink("x", root / "usr/bin/y");
    const AgentRequest tree = load_agent(root.string());
    CHECK(shown(tree) == "/usr/;/usr/bin/;/usr/bin/x=program;/usr/bin/y@x;");
    CHECK(tree.name == "tree");
    CHECK(tree.files[2].permissions == 0751);

    std::ofstream(folder.path() / "x.service") << "[Service]\n";
    std::ofstream(folder.path() / "xd") << "#!/sbin/openrc-run\n";
    const std::string program = (root / "usr/bin/x").string();
    const AgentRequest with_unit = load_agent(program + ":" + (folder.path() / "x.service").string());
    CHECK(shown(with_unit) == "/usr/local/bin/x=program;/etc/systemd/system/x.service=[Service]\n;");
    CHECK(with_unit.name == "x");
    CHECK(with_unit.files[0].permissions == 0755);
    CHECK(with_unit.files[1].permissions == 0644);
    const AgentRequest with_script = load_agent(program + ":" + (folder.path() / "xd").string());
    CHECK(shown(with_script) == "/usr/local/bin/x=program;/etc/init.d/xd=#!/sbin/openrc-run\n;");
    CHECK(with_script.files[1].permissions == 0755);

    const auto refusal = [&](ErrorKind kind, const std::string& what) {
        return refused(kind, [&] { load_agent(what); });
    };
    CHECK(refusal(ErrorKind::usage, program + ":" + root.string()) ==
          "the agent " + program + ":" + root.string() + ": an agent as FILE:UNIT is two regular files");
    const std::string none = (folder.path() / "none").string();
    CHECK_THAT(refusal(ErrorKind::not_found, none),
               Catch::StartsWith("the agent " + none + ": no such file; it takes "));
    CHECK_THAT(refusal(ErrorKind::not_found, none + ":" + program), Catch::Contains("no such file; it takes "));
    std::ofstream(folder.path() / "x.tar") << tar({{"opt/x", AE_IFREG, "t"}});
    const AgentRequest packed = load_agent((folder.path() / "x.tar").string());
    CHECK(shown(packed) == "/opt/x=t;");
    CHECK(packed.name == "x.tar");
    std::filesystem::create_directory(folder.path() / "odd");
    REQUIRE(mkfifo((folder.path() / "odd/pipe").c_str(), 0600) == 0);
    CHECK_THAT(refusal(ErrorKind::unsupported, (folder.path() / "odd").string()),
               Catch::EndsWith("/odd/pipe is neither a file nor a folder"));
}
