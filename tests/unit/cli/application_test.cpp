// What every command does the same way.
#include "tests/support/small_disk.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/cli/said.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using namespace vm2oci;
using test::Said;
using test::say;

namespace {

std::size_t lines_of(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

} // namespace

TEST_CASE("an error is one line, and --verbose says where it was thrown") {
    const Said plain = say({"inspect", "/no/such/disk"});
    CHECK(plain.code == 1);
    CHECK(plain.out.empty());
    CHECK(lines_of(plain.err) == 1);
    CHECK(plain.err.starts_with("vm2oci: /no/such/disk: "));
    const Said verbose = say({"inspect", "-v", "/no/such/disk"});
    CHECK(verbose.code == 1);
    CHECK(lines_of(verbose.err) == 2);
    CHECK(verbose.err.find("thrown at") != std::string::npos);
    CHECK(verbose.err.find(".cpp:") != std::string::npos);
    CHECK(lines_of(say({"-q", "inspect", "/no/such/disk"}).err) == 1);
}

TEST_CASE("with --json an error is a document") {
    const Said said = say({"--json", "inspect", "/no/such/disk"});
    const auto document = nlohmann::json::parse(said.out);
    CHECK(document["error"]["kind"] == "not_found");
    CHECK(document["error"]["exit_code"] == said.code);
}

TEST_CASE("what a foreign disk is named after is a source, and no destination") {
    for (const char* format : {"vmdk", "vhd", "vhdx", "vdi"}) {
        INFO(format);
        const Said said = say({"convert", "raw:/no/such/disk", std::string(format) + ":out.img"});
        CHECK(said.code == 2);
        CHECK(said.err.find("qcow2:PATH or raw:PATH") != std::string::npos);
    }
}

TEST_CASE("with --quiet a warning is told in the JSON alone, and an error still is") {
    const test::TemporaryFolder folder;
    const std::string disk = (folder.path() / "disk.raw").string();
    test::write_small_disk(disk, "web");
    const std::string data = (folder.path() / "user-data").string();
    std::ofstream(data) << "#cloud-config\n";
    const std::vector<std::string> convert = {"convert", "--user-data", data, "--cloud-init-as", "disk", disk, "null:"};
    const auto with = [&](std::vector<std::string> words) {
        words.insert(words.begin(), convert.begin(), convert.end());
        return say(words);
    };
    CHECK(with({}).err.find("warning: the cloud-init data") != std::string::npos);
    CHECK(with({"--progress", "none", "--quiet"}).err.empty());
    const Said quiet = with({"--quiet", "--json"});
    CHECK(quiet.code == 0);
    CHECK(quiet.err.empty());
    const nlohmann::json remarks = nlohmann::json::parse(quiet.out)["remarks"];
    REQUIRE(remarks.size() == 1);
    CHECK(remarks[0].get<std::string>().find("passwords") != std::string::npos);
    const Said failed = say({"convert", "--quiet", disk + ".absent", "null:"});
    CHECK(failed.code == 1);
    CHECK(failed.err.find("No such file") != std::string::npos);
}

TEST_CASE("a value that is given and empty is no value that was not given") {
    const test::TemporaryFolder folder;
    const std::string disk = (folder.path() / "a.raw").string();
    test::write_small_disk(disk, "web");
    const std::vector<std::string> empty = {"--digest-file", "--ca",     "--sbom", "--name",
                                            "--key",         "--tmpdir", "--reuse"};
    for (const std::string& option : empty) {
        CAPTURE(option);
        const Said said = say({"convert", option, "", "raw:" + disk, "null:"});
        CHECK(said.code == 2);
        CHECK(said.err == "vm2oci: " + option + " is given and empty\n");
    }
    // But a kernel may be told nothing besides its root, which only a guest could be refused for.
    CHECK(say({"convert", "--as", "bundle", "--cmdline", "", "raw:" + disk, "null:"}).code == 3);
    CHECK(say({"convert", "-q", "--sysprep=", "raw:" + disk, "null:"}).err.find("is given and empty") ==
          std::string::npos);
}

TEST_CASE("what the destination cannot bear is refused by name") {
    const test::TemporaryFolder folder;
    const auto in_folder = [&](const char* name) { return (folder.path() / name).string(); };
    test::write_small_disk(in_folder("a.raw"), "web");
    const std::string disk = "raw:" + in_folder("a.raw");
    const std::string file = "qcow2:" + in_folder("b.qcow2");
    for (const std::vector<std::string>& words :
         std::vector<std::vector<std::string>>{{"--created", "86400", disk, file},
                                               {"--as", "vm", "--created", "86400", disk, "null:"},
                                               {"--as", "podman-machine", "--created", "86400", disk, "null:"},
                                               {"--as", "virtlet", "--created", "86400", disk, in_folder("out")},
                                               {"--mount-from", "team/base", disk, file},
                                               {"--mount-from", "team/base", disk, "oci:" + in_folder("images:x")},
                                               {"--mount-from", "team/base", disk, "null:"}}) {
        CAPTURE(words);
        std::vector<std::string> arguments = {"-q", "convert"};
        arguments.insert(arguments.end(), words.begin(), words.end());
        const Said said = say(arguments);
        CHECK(said.code == 2);
        CHECK(
            said.err.starts_with("vm2oci: --" + std::string(words.front() == "--as" ? "created" : words[0].substr(2))));
    }
    CHECK(say({"-q", "convert", "--created", "86400", disk, "null:"}).code == 0);
    CHECK(say({"-q", "inspect", "--arch", "arm64", disk}).code == 2);
    CHECK(say({"-q", "manifest", "--arch", "arm64", disk}).code == 2);
    CHECK(say({"-q", "convert", "--arch", "riscv64", disk, file}).code == 2);
    // An image says what it is for, and is not taken for another.
    const std::string image = "oci:" + in_folder("stored:x");
    REQUIRE(say({"-q", "convert", "--arch", "s390x", disk, image}).code == 0);
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {"inspect", image}, {"manifest", image}, {"check", image}, {"convert", image, file}}) {
        std::vector<std::string> right = {"-q", words[0], "--arch", "s390x"};
        std::vector<std::string> wrong = {"-q", words[0], "--arch", "ppc64le"};
        right.insert(right.end(), words.begin() + 1, words.end());
        wrong.insert(wrong.end(), words.begin() + 1, words.end());
        CAPTURE(words);
        CHECK(say(wrong).err.find("'ppc64le' is asked for, and the image is for 's390x'") != std::string::npos);
        CHECK(say(right).err.find("is asked for") == std::string::npos);
    }
    CHECK(say({"-q", "convert", "--arch", "arm64", image, "null:"}).code ==
          0); // an image that is made is for what is said
    CHECK(say({"-q", "index", "create", "--mount-from", "a/b", "oci:" + in_folder("i:x"), "oci:a:b"}).code == 2);
    CHECK(say({"-q", "push", "--mount-from", "a/b", "--against", "oci:a:v1", "oci:a:v2", "oci-archive:d.tar"}).code ==
          2);
}

TEST_CASE("a manifest of an image does not pass over what is said of disks") {
    const test::TemporaryFolder folder;
    const auto in_folder = [&](const char* name) { return (folder.path() / name).string(); };
    test::write_small_disk(in_folder("a.raw"), "web");
    const std::string image = "oci:" + in_folder("images:x");
    REQUIRE(say({"-q", "convert", "raw:" + in_folder("a.raw"), image}).code == 0);
    CHECK(say({"-q", "manifest", image}).code == 0);
    for (const char* option : {"--backing", "--data-file", "--extent", "--disk"}) {
        CAPTURE(option);
        const Said said = say({"-q", "manifest", option, in_folder("a.raw"), image});
        CHECK(said.code == 2);
        CHECK(said.err.find("an image tells of its machine's disks itself") != std::string::npos);
    }
}

TEST_CASE("--help fits a screen and names every option; --help=all explains each") {
    for (const char* command :
         {"boot", "check", "convert", "index", "inject", "inspect", "manifest", "pull", "push", "verify"}) {
        INFO(command);
        const Said short_page = say({command, "--help"});
        const Said whole = say({command, "--help=all"});
        CHECK(short_page.code == 0);
        CHECK(lines_of(short_page.out) <= 50);
        CHECK(say({command, "x", "-h", "--no-such"}).out == short_page.out);
        CHECK(say({"help", command}).out == whole.out);
        std::istringstream lines(whole.out);
        unsigned options = 0;
        for (std::string line; std::getline(lines, line);) {
            const std::size_t at = line.find("--");
            if (!line.starts_with("  -") || at > 8)
                continue;
            const std::string name = line.substr(at, line.find_first_of(" [,", at) - at);
            INFO(name);
            CHECK(short_page.out.find(name) != std::string::npos);
            ++options;
        }
        CHECK(options >= 8);
    }
}
