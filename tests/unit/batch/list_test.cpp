// Lists of batches: what a line and a YAML member mean, and what is refused with its line.
#include "formats/base/error.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/vm2oci/batch_list.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace vm2oci;
using namespace vm2oci::cli;

namespace {

using Words = std::vector<std::string>;

std::vector<std::string> nothing(const std::string& /*pattern*/) {
    return {};
}

std::vector<BatchLine> read(const std::string& text) {
    return parse_batch_list(text, nothing);
}

std::string refusal(const std::string& text, const FindFiles& find = nothing) {
    try {
        parse_batch_list(text, find);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::usage);
        return error.what();
    }
    FAIL("accepted: " << text);
    return "";
}

} // namespace

TEST_CASE("a line is split as a shell splits it, and nothing in it is expanded") {
    const auto lines = read("# the old ones\n"
                            "\n"
                            "  web01.qcow2   oci:images:web01 --fix   --label 'owner=the web team' # a comment\r\n"
                            "\"my disk.raw\" docker://registry.example/vm/db:1 --label a=\\#1 --env=\"A=\\\"x\\\"\"\n"
                            "$HOME/x~.img oci:images:x#1 --label empty=''");
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].line == 3);
    CHECK(lines[0].source == "web01.qcow2");
    CHECK(lines[0].destination == "oci:images:web01");
    CHECK(lines[0].options == Words{"--fix", "--label", "owner=the web team"});
    CHECK(lines[1].source == "my disk.raw");
    CHECK(lines[1].options == Words{"--label", "a=#1", "--env=A=\"x\""});
    CHECK(lines[2].source == "$HOME/x~.img");
    CHECK(lines[2].destination == "oci:images:x#1");
    CHECK(lines[2].options == Words{"--label", "empty="});
}

TEST_CASE("a machine is called after its source, in a way that is fit for a tag") {
    const std::pair<const char*, const char*> rows[] = {
        {"web01.qcow2", "web01"},
        {"qcow2:exports/web01.qcow2.gz", "web01"},
        {"/srv/exports/DB 01 (old).vmdk.zst", "DB-01--old-"},
        {"ova:exports/erp.ova:2", "erp"},
        {"oci:images:web01", "web01"},
        {"oci:a/b:web02", "web02"},
        {"oci-archive:dir/file.tar:web03", "web03"},
        {"docker://registry.example:5000/vm/web04:1.2", "web04"},
        {"docker://registry.example/vm/web05@sha256:"
         "0000000000000000000000000000000000000000000000000000000000000000",
         "web05"},
        {"nbd://host/export1", "export1"},
        {"https://host/disks/web06.raw.xz", "web06"},
        {"..qcow2", "machine"},
        {"/", "machine"},
    };
    for (const auto& [source, name] : rows) {
        CAPTURE(source);
        CHECK(name_of_source(source) == name);
    }
    CHECK(name_of_source(std::string(300, 'a')).size() == 128);
}

TEST_CASE("patterns become machines, and {name} stands for each") {
    const FindFiles find = [](const std::string& pattern) {
        CHECK(pattern == "exports/*.ova");
        return Words{"exports/db.ova", "exports/web.ova"};
    };
    const auto lines =
        parse_batch_list("ova:exports/*.ova oci:images:{name} --hostname {name} --label n={name}-{name}", find);
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].source == "ova:exports/db.ova");
    CHECK(lines[0].destination == "oci:images:db");
    CHECK(lines[1].options == Words{"--hostname", "web", "--label", "n=web-web"});
    CHECK(refusal("exports/*.ova oci:images:same", find) ==
          "line 1: 'exports/web.ova' goes to 'oci:images:same', and so does 'exports/db.ova' of line 1; {name} in a "
          "destination is the machine's name");
    CHECK(refusal("exports/*.qcow2 oci:images:{name}") == "line 1: no file fits 'exports/*.qcow2'");
}

TEST_CASE("YAML has defaults, names and options in both forms") {
    const auto lines = read("defaults:\n"
                            "  destination: docker://registry.example/vm/{name}:1\n"
                            "  options: [--fix, --label, 'a=b c']\n"
                            "machines:\n"
                            "  - web01.qcow2\n"
                            "  - source: disk-7.vmdk\n"
                            "    name: db\n"
                            "    options: --boot-test --memory 2G\n"
                            "  - source: x.raw\n"
                            "    destination: oci:images:x\n");
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].destination == "docker://registry.example/vm/web01:1");
    CHECK(lines[0].options == Words{"--fix", "--label", "a=b c"});
    CHECK(lines[1].name == "db");
    CHECK(lines[1].options == Words{"--fix", "--label", "a=b c", "--boot-test", "--memory", "2G"});
    CHECK(lines[2].destination == "oci:images:x");
    CHECK(lines[2].line == 9);
}

TEST_CASE("what is no list is refused with its line") {
    CHECK(refusal("") == "the list names no machine");
    CHECK(refusal("# nothing\n") == "the list names no machine");
    CHECK(refusal("\nweb01.qcow2") == "line 2: a line is SOURCE DEST [OPTIONS]");
    CHECK(refusal("--fix web01.qcow2 oci:x:y") == "line 1: a line is SOURCE DEST [OPTIONS]");
    CHECK(refusal("a.raw oci:x:y --label 'open") == "line 1: a quote is not closed");
    CHECK(refusal("machines:\n  - name: web\n    destination: oci:x:y\n") == "line 2: a machine has a source");
    CHECK(refusal("machines:\n  - a.raw\n") == "line 2: a machine has a destination, of its own or in defaults");
    CHECK(refusal("machines:\n  - {source: a.raw, destination: 'oci:x:y', tags: 3}\n") ==
          "line 2: 'tags' is none of source, name, destination, options");
    CHECK(refusal("machines: 3\n") == "line 1: machines is a list");
    CHECK(refusal("defaults: {}\nmachine: []\n") == "line 2: 'machine' is neither defaults nor machines");
    CHECK(refusal("defaults: {source: a}\nmachines: []\n") == "line 1: every machine has its own source");
    CHECK(refusal("machines:\n  - {source: a.raw, destination: 'oci:x:y', name: 'a b'}\n") ==
          "line 2: 'a b' is no name: letters, digits, '.', '_' and '-'");
    CHECK(refusal("a.raw oci:x:y\nb.raw oci:x:y\n")
              .find("line 2: 'b.raw' goes to 'oci:x:y', and so does 'a.raw' of "
                    "line 1") == 0);
    CHECK(refusal("machines: [\n").find("line ") == 0);
}

TEST_CASE("the words of every machine are read before anything is converted") {
    const auto refused = [](const std::string& line) {
        try {
            plan_conversions(read(line));
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::usage);
            return std::string(error.what());
        }
        FAIL("accepted: " << line);
        return std::string();
    };
    CHECK(refused("a.raw null:\nb.raw oci:x:b --no-such-option").find("line 2, b: ") == 0);
    CHECK(refused("a.raw oci:x:a --root erofs").find("line 1, a: ") == 0);
    CHECK(refused("- null:") == "line 1, machine: standard input is for one machine alone");
    CHECK(refused("a.raw oci:x:a --digest-file d").find("a batch keeps the digests itself") != std::string::npos);
    CHECK(refused("a.raw oci:x:a --dry-run").find("batch --dry-run") != std::string::npos);
    CHECK(refused("a.raw oci:x:a --help").find("no page of help") != std::string::npos);
}

TEST_CASE("what a conversion takes, reads and keeps others from is known from its words") {
    test::TemporaryFolder folder;
    const std::string base = folder.path().string();
    for (const char* name : {"web.vmdk", "web-flat.vmdk", "key.pub", "other.raw"})
        std::ofstream(folder.path() / name) << "x";
    const auto planned =
        plan_conversions(read(base + "/web.vmdk oci-archive:" + base +
                              "/all.tar:web --boot-test --memory 2G --cpus 3\n" + base + "/other.raw raw:" + base +
                              "/copy.raw\n" + "docker://registry.example/vm/a:1 oci:x:a\n" + "nbd://host/x oci:x:b\n"));
    REQUIRE(planned.size() == 4);
    CHECK(planned[0].item.cost.processors == 3);
    CHECK(planned[0].item.cost.memory > (std::uint64_t{2} << 30));
    CHECK(planned[0].item.exclusive == base + "/all.tar");
    CHECK(planned[0].item.is_image);
    CHECK(*planned[0].item.inputs == std::vector<std::filesystem::path>{base + "/web-flat.vmdk", base + "/web.vmdk"});
    CHECK(planned[1].item.cost.processors == 1);
    CHECK_FALSE(planned[1].item.is_image);
    CHECK(planned[1].item.exclusive == base + "/copy.raw");
    // A tag or an export may be another one tomorrow.
    CHECK_FALSE(planned[2].item.inputs);
    CHECK_FALSE(planned[3].item.inputs);
}
