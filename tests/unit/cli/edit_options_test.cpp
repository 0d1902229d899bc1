// The words that change a guest, and what is said of what they did.
#include "libconvert/edit/planners.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/cli/said.hpp"
#include "tools/vm2oci/edit_options.hpp"

#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

using namespace vm2oci;
using namespace vm2oci::cli;
using test::refusal_of;
using test::Words;
using test::write_text;

namespace {

EditRequest request_of(const Words& words) {
    return test::options_with([](CLI::App& app) { return add_edit_options(app); }, words)->request();
}

// Of "--copy-in" with these words.
std::vector<CopyRequest> copies_of(const Words& values) {
    Words words;
    for (const std::string& value : values)
        words.insert(words.end(), {"--copy-in", value});
    return request_of(words).copies;
}

} // namespace

TEST_CASE("a command that says nothing of changes changes nothing") {
    const EditRequest request = request_of({});
    CHECK(request.empty());
    CHECK(request.cloud_init.place == SeedPlace::image);
    CHECK_FALSE(request.cloud_init.has_files());
    CHECK(test::options_with([](CLI::App& app) { return add_edit_options(app); }, {})->mode() == EditMode::apply);
    CHECK(test::options_with([](CLI::App& app) { return add_edit_options(app); }, {"--dry-run"})->mode() ==
          EditMode::plan_only);
}

TEST_CASE("each file of cloud-init is read into its own place, as it is") {
    const test::TemporaryFolder folder;
    const auto file = [&](const char* name) {
        return write_text(folder.path() / name, std::string("# ") + name + "\r\n\xff");
    };
    struct Row {
        const char* option;
        std::optional<std::string> CloudInitRequest::*place;
    };
    const Row rows[] = {{"--user-data", &CloudInitRequest::user_data},
                        {"--meta-data", &CloudInitRequest::meta_data},
                        {"--network-config", &CloudInitRequest::network_config},
                        {"--vendor-data", &CloudInitRequest::vendor_data}};
    for (const Row& row : rows) {
        CAPTURE(row.option);
        const CloudInitRequest read = request_of({row.option, file(row.option + 2)}).cloud_init;
        CHECK(read.*row.place == std::string("# ") + (row.option + 2) + "\r\n\xff");
        for (const Row& other : rows)
            CHECK((read.*other.place).has_value() == (other.place == row.place));
        CHECK(read.has_files());
        const std::string absent = (folder.path() / "absent").string();
        CHECK(refusal_of(
                  [&] {
                      request_of({row.option, absent});
                  },
                  ErrorKind::not_found) == std::string(row.option) + " " + absent + ": no such file");
    }
}

TEST_CASE("a seed disk needs something to put on it") {
    const test::TemporaryFolder folder;
    const std::string data = write_text(folder.path() / "ud", "#cloud-config\n");
    CHECK(refusal_of([] {
              request_of({"--cloud-init-as", "disk"});
          }) == "--cloud-init-as disk needs something to put on it (--user-data)");
    CHECK(refusal_of([] {
              request_of({"--cloud-init-as", "disk", "--hostname", "web"});
          }).find("needs something") != std::string::npos);
    CHECK(request_of({"--cloud-init-as", "disk", "--user-data", data}).cloud_init.place == SeedPlace::disk);
    CHECK(request_of({"--cloud-init-as", "disk", "--vendor-data", data}).cloud_init.place == SeedPlace::disk);
    CHECK(request_of({"--cloud-init-as", "seed"}).cloud_init.place == SeedPlace::image);
    CHECK_THROWS_AS(request_of({"--cloud-init-as", "cdrom"}), CLI::ValidationError);
}

TEST_CASE("a key is for the user behind the last colon, unless a file is called so") {
    const test::TemporaryFolder folder;
    const auto at = [&](const char* name) { return (folder.path() / name).string(); };
    write_text(at("id.pub"), "ssh-ed25519 AAAA one\n");
    write_text(at("odd:name"), "ssh-ed25519 AAAA two\n");
    write_text(at("ends:"), "ssh-ed25519 AAAA three\n");
    struct Row {
        const char* word;
        const char* keys;
        const char* user;
    };
    const Row rows[] = {{"id.pub", "one", ""},
                        {"id.pub:root", "one", "root"},
                        {"id.pub:ec2-user", "one", "ec2-user"},
                        {"odd:name", "two", ""},
                        {"odd:name:admin", "two", "admin"},
                        {"ends:", "three", ""},
                        {"ends::ubuntu", "three", "ubuntu"}};
    for (const Row& row : rows) {
        CAPTURE(row.word);
        const auto keys = request_of({"--ssh-key", at(row.word)}).ssh_keys;
        REQUIRE(keys.size() == 1);
        CHECK(keys[0].keys == std::string("ssh-ed25519 AAAA ") + row.keys + "\n");
        CHECK(keys[0].user == row.user);
    }
    for (const char* word : {"absent.pub", "absent.pub:root", "id.pub:"}) {
        CAPTURE(word);
        const std::string said = refusal_of([&] { request_of({"--ssh-key", at(word)}); }, ErrorKind::not_found);
        CHECK(said.find("--ssh-key ") == 0);
        CHECK(said.find(": no such file") != std::string::npos);
    }
    // The option does not swallow what follows, and may be given again.
    const auto two = request_of({"--ssh-key", at("id.pub"), "--ssh-key", at("odd:name:admin")}).ssh_keys;
    REQUIRE(two.size() == 2);
    CHECK(two[1].user == "admin");
}

TEST_CASE("what is copied in has a source, a place, and at will a mode and owners") {
    const test::TemporaryFolder folder;
    const std::string file = write_text(folder.path() / "motd", "hello");
    REQUIRE(::chmod(file.c_str(), 0640) == 0);
    struct Row {
        const char* behind;
        const char* destination;
        std::uint32_t permissions;
        std::uint32_t uid;
        std::uint32_t gid;
    };
    const Row rows[] = {{":/etc/motd", "/etc/motd", 0640, 0, 0},
                        {":/etc/", "/etc/motd", 0640, 0, 0},
                        {":/", "/motd", 0640, 0, 0},
                        {":/etc/motd:0600", "/etc/motd", 0600, 0, 0},
                        {":/etc/motd:755", "/etc/motd", 0755, 0, 0},
                        {":/etc/motd:0", "/etc/motd", 0, 0, 0},
                        {":/usr/bin/x:4755", "/usr/bin/x", 04755, 0, 0},
                        {":/usr/bin/x:7777", "/usr/bin/x", 07777, 0, 0},
                        {":/etc/motd:0644:1000:100", "/etc/motd", 0644, 1000, 100},
                        {":/etc/motd:644:4294967295:0", "/etc/motd", 0644, 4294967295U, 0},
                        {":/srv/a/:0400:7:8", "/srv/a/motd", 0400, 7, 8}};
    for (const Row& row : rows) {
        CAPTURE(row.behind);
        const auto copies = copies_of({file + row.behind});
        REQUIRE(copies.size() == 1);
        CHECK(copies[0].host_file == file);
        CHECK(copies[0].size == 5);
        CHECK(copies[0].destination == row.destination);
        CHECK(copies[0].permissions == row.permissions);
        CHECK(copies[0].uid == row.uid);
        CHECK(copies[0].gid == row.gid);
    }
    // Of a file's own mode what makes programs others' is not taken without being asked for.
    REQUIRE(::chmod(file.c_str(), 06751) == 0);
    CHECK(copies_of({file + ":/usr/bin/x"})[0].permissions == 0751);
}

TEST_CASE("words of --copy-in that make no sense are refused with the form that does") {
    const test::TemporaryFolder folder;
    const std::string file = write_text(folder.path() / "f", "");
    struct Row {
        std::string word;
        std::string said;
    };
    const std::string form = "--copy-in takes SRC:DEST[:MODE[:UID:GID]], MODE in octal, not '";
    const Row rows[] = {
        {file, "--copy-in takes SRC:DEST, DEST absolute, not '" + file + "'"},
        {file + ":etc/motd", "--copy-in takes SRC:DEST, DEST absolute, not '" + file + ":etc/motd'"},
        {":/etc/motd", "--copy-in takes SRC:DEST, DEST absolute, not ':/etc/motd'"},
        {file + ":/m:0644:0", "--copy-in takes SRC:DEST[:MODE[:UID:GID]], not '" + file + ":/m:0644:0'"},
        {file + ":/m:0644:0:0:0", "--copy-in takes SRC:DEST[:MODE[:UID:GID]], not '" + file + ":/m:0644:0:0:0'"},
        {file + ":/m:", form + file + ":/m:'"},
        {file + ":/m:9", form + file + ":/m:9'"},
        {file + ":/m:rwx", form + file + ":/m:rwx'"},
        {file + ":/m:-1", form + file + ":/m:-1'"},
        {file + ":/m:0644 ", form + file + ":/m:0644 '"},
        {file + ":/m:0644:root:root", form + file + ":/m:0644:root:root'"},
        {file + ":/m:0644:0:4294967296", form + file + ":/m:0644:0:4294967296'"},
        {file + ":/m:0644:0:", form + file + ":/m:0644:0:'"},
        {file + ":/m:10000", "--copy-in: 10000 is no mode"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.word);
        CHECK(refusal_of([&] { copies_of({row.word}); }) == row.said);
    }
    CHECK(refusal_of([&] { copies_of({(folder.path() / "absent:/x").string()}); }, ErrorKind::not_found)
              .find("--copy-in ") == 0);
}

TEST_CASE("a folder is copied with all that is in it, in the order of names") {
    const test::TemporaryFolder folder;
    const auto root = folder.path() / "site";
    std::filesystem::create_directories(root / "b" / "deep");
    std::filesystem::create_directories(root / "empty");
    write_text(root / "b" / "deep" / "z", "zz");
    write_text(root / "b" / "a", "a");
    write_text(root / "c", "ccc");
    const auto names_in = [&](const std::string& word) {
        std::vector<std::string> names;
        for (const CopyRequest& copy : copies_of({word}))
            names.push_back(copy.destination + " " + std::to_string(copy.size));
        return names;
    };
    const std::vector<std::string> below_srv = {"/srv/b/a 1", "/srv/b/deep/z 2", "/srv/c 3"};
    CHECK(names_in(root.string() + ":/srv") == below_srv);
    const std::vector<std::string> in_srv = {"/srv/site/b/a 1", "/srv/site/b/deep/z 2", "/srv/site/c 3"};
    CHECK(names_in(root.string() + ":/srv/") == in_srv);
    CHECK(names_in(root.string() + "/:/srv/") == in_srv);
    CHECK(names_in(root.string() + "/:/srv") == below_srv);
    const auto with_mode = copies_of({root.string() + ":/srv:0600:3:4"});
    REQUIRE(with_mode.size() == 3);
    for (const CopyRequest& copy : with_mode)
        CHECK((copy.permissions == 0600 && copy.uid == 3 && copy.gid == 4));
}

TEST_CASE("what is no file is not copied, in a folder as little as by itself") {
    const test::TemporaryFolder folder;
    const auto root = folder.path() / "in";
    std::filesystem::create_directories(root);
    REQUIRE(::mkfifo((root / "pipe").c_str(), 0600) == 0);
    for (const std::string& word : {root.string() + ":/x", (root / "pipe").string() + ":/x"})
        CHECK(refusal_of([&] { copies_of({word}); }) ==
              "--copy-in " + (root / "pipe").string() + ": only regular files and folders of them are copied");
    std::filesystem::remove(root / "pipe");
    // A link in a folder stands for its file; one to a folder, or to nothing, is no file.
    write_text(folder.path() / "target", "1234");
    std::filesystem::create_symlink(folder.path() / "target", root / "link");
    REQUIRE(copies_of({root.string() + ":/x"}).size() == 1);
    CHECK(copies_of({root.string() + ":/x"})[0].size == 4);
    std::filesystem::create_directory_symlink(folder.path(), root / "up");
    CHECK(refusal_of([&] { copies_of({root.string() + ":/x"}); }).find("/up: only regular files") != std::string::npos);
    std::filesystem::remove(root / "up");
    std::filesystem::create_symlink("nowhere", root / "dangling");
    CHECK(refusal_of([&] { copies_of({root.string() + ":/x"}); }, ErrorKind::not_found).find("/dangling") !=
          std::string::npos);
}

TEST_CASE("flags with and without a list ask for the default, for some, or for nothing") {
    std::vector<std::string> by_default;
    for (const SysprepOperation& operation : sysprep_operations())
        if (operation.by_default == SysprepDefault::on)
            by_default.push_back(operation.name);
    REQUIRE(by_default.size() > 3);
    CHECK(request_of({"--sysprep"}).sysprep == by_default);
    CHECK(request_of({"--sysprep=all"}).sysprep.size() == sysprep_operations().size());
    CHECK(request_of({"--sysprep=none"}).sysprep.empty());
    CHECK(request_of({"--sysprep=" + by_default[1]}).sysprep == std::vector<std::string>{by_default[1]});
    CHECK(request_of({"--sysprep=-" + by_default[0]}).sysprep ==
          std::vector<std::string>(by_default.begin() + 1, by_default.end()));
    CHECK(refusal_of([] { request_of({"--sysprep=no-such"}); }).find("no-such") != std::string::npos);

    CHECK(request_of({"--fix"}).fixes.names.size() == fixes().size());
    CHECK(request_of({"--fix=all"}).fixes.names.size() == fixes().size());
    CHECK(request_of({"--fix=none"}).fixes.names.empty());
    CHECK(request_of({"--fix=virtio,console"}).fixes.names == std::vector<std::string>{"console", "virtio"});
    CHECK(request_of({"--fix=-virtio"}).fixes.names.size() == fixes().size() - 1);
    CHECK(request_of({"--fix=network:pin"}).fixes.network == NetworkFix::pin);
    CHECK(refusal_of([] { request_of({"--fix=virtual"}); }).find("virtual") != std::string::npos);
}

TEST_CASE("a host name is checked when it is given") {
    CHECK(request_of({"--hostname", "web01.example.com"}).hostname == "web01.example.com");
    for (const char* name : {"web_01", "-web", "web-", "a..b", "w eb"}) {
        CAPTURE(name);
        CHECK(!refusal_of([&] { request_of({std::string("--hostname=") + name}); }).empty());
    }
}

TEST_CASE("the report says what was left, what mends it, and that a plan is one") {
    EditReport report;
    report.backend = "native";
    report.plan.edits.resize(2);
    report.plan.edits[0].path = "/etc/hostname";
    report.plan.edits[0].operation = "hostname";
    report.plan.edits[1].path = "/etc/machine-id";
    report.plan.edits[1].kind = EditKind::remove;
    report.problems = {{"virtio", "the initrd has no virtio_blk"}, {"", "the disk is encrypted"}};
    const std::string done = edit_report_text(report, EditMode::apply);
    const std::string left = "left     the initrd has no virtio_blk (--fix=virtio mends it)\n"
                             "left     the disk is encrypted\n";
    CHECK(done.ends_with(left));
    CHECK(done.find("/etc/hostname") < done.find("/etc/machine-id"));
    const std::string planned = edit_report_text(report, EditMode::plan_only);
    CHECK(planned == done + "2 changes; nothing was written\n");

    const nlohmann::ordered_json json = edit_report_json(report);
    CHECK(json["backend"] == "native");
    REQUIRE(json["left"].size() == 2);
    CHECK(json["left"][0]["fix"] == "virtio");
    CHECK(json["left"][0]["text"] == "the initrd has no virtio_blk");
    CHECK(json["left"][1]["fix"].is_null());
    CHECK(edit_report_json({})["left"].is_array());
    CHECK(edit_report_json({})["left"].empty());
}
