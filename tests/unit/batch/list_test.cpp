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

TEST_CASE("a list is what editors of other systems make of it, and a line may go on in the next") {
    const auto lines = read("\xef\xbb\xbf"
                            "a.raw oci:x:a --label 'who=the web team'\r\n"
                            "# a comment that ends so \\\r\n"
                            "b.raw \\\r\n"
                            "  oci:x:b \\\r\n"
                            "  --fix\r\n"
                            "c.raw oci:x:c --label w=\"one \\\n"
                            "two\"\n"
                            "d.raw oci:x:d # nothing\r\n");
    REQUIRE(lines.size() == 4);
    CHECK(lines[0].source == "a.raw");
    CHECK(lines[0].options == Words{"--label", "who=the web team"});
    CHECK(lines[1].line == 3);
    CHECK(lines[1].destination == "oci:x:b");
    CHECK(lines[1].options == Words{"--fix"});
    CHECK(lines[2].line == 6);
    CHECK(lines[2].options == Words{"--label", "w=one two"});
    CHECK(lines[3].line == 8);
    CHECK(lines[3].options.empty());
    const auto yaml =
        read("\xef\xbb\xbf# machines of the lab\r\nmachines:\r\n  - source: a.raw\r\n    destination: oci:x:a\r\n");
    REQUIRE(yaml.size() == 1);
    CHECK(yaml[0].destination == "oci:x:a");
    const auto json =
        read(R"({"defaults": {"destination": "oci:x:{name}"}, "machines": ["a.raw", {"source": "b.raw"}]})");
    REQUIRE(json.size() == 2);
    CHECK(json[1].destination == "oci:x:b");
    using namespace std::string_literals;
    CHECK(refusal("\xff\xfe"s + "a\0.\0"s) == "line 1: the list is in UTF-16; write it as UTF-8");
    CHECK(refusal("a.raw oci:x:a\nb.raw oci:x:b\0\n"s) == "line 2: a byte is 0; a list is text, in UTF-8");
    CHECK(refusal("a.raw oci:x:a \\") == "line 1: the line goes on behind its backslash, and the list ends");
    std::string endless = "a.raw oci:x:a";
    for (int i = 0; i < 20'000; ++i)
        endless += " --fix\\\n";
    CHECK(refusal(endless) == "line 1: the line goes on for more than 64 KiB");
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
        {"https://host/web07.qcow2?token=secret", "web07"},
        {"https://host/web08.qcow2.gz#part", "web08"},
        {"https://user:secret@host:8443/disks/web09.vmdk", "web09"},
        {"https://user:secret@host", "host"},
        {"nbd://user@host/export2?tls-certificates=/etc/pki", "export2"},
        {"docker://ubuntu@sha256:"
         "0000000000000000000000000000000000000000000000000000000000000000",
         "ubuntu"},
        {"nbd+unix:///?socket=/run/web10.sock", "web10.sock"},
        {"exports/web@2026-01-31.qcow2", "web-2026-01-31"},
        {"ova:backup@night/erp.ova", "erp"},
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

TEST_CASE("a file whose name has the signs of patterns is meant by its name, and addresses have no patterns") {
    const FindFiles find = [](const std::string& pattern) { // of a folder with these two
        return pattern == "disk[1].raw" || pattern == "what[?].raw" ? Words{}
               : pattern == "disk[[]1].raw"                         ? Words{"disk[1].raw"}
                                                                    : Words{};
    };
    const auto lines = parse_batch_list("'disk[1].raw' oci:x:{name}", find);
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].source == "disk[1].raw");
    CHECK(lines[0].destination == "oci:x:disk-1-");
    CHECK(refusal("what[?].raw oci:x:{name}", find) == "line 1: no file fits 'what[?].raw'");
    const FindFiles unused = [](const std::string& pattern) -> Words {
        FAIL("looked for " << pattern);
        return {};
    };
    for (const char* address : {"https://host/disks/a.qcow2?token=x*y", "nbd+unix:///a?socket=/run/nbd.sock"}) {
        CAPTURE(address);
        const auto remote = parse_batch_list(std::string(address) + " oci:x:a", unused);
        REQUIRE(remote.size() == 1);
        CHECK(remote[0].source == address);
    }
}

TEST_CASE("a file of any name finds a place in a registry: kubev2v/forklift#3") {
    const FindFiles find = [](const std::string&) {
        return Words{"exports/ERP Server 01.ova", "exports/DB_02 (old).ova", "exports/web..3_.ova"};
    };
    const auto lines =
        parse_batch_list("exports/*.ova docker://registry.example:5000/vm/{name}:{name} --hostname {name}", find);
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].destination == "docker://registry.example:5000/vm/erp-server-01:ERP-Server-01");
    CHECK(lines[0].options == Words{"--hostname", "ERP-Server-01"});
    CHECK(lines[1].destination == "docker://registry.example:5000/vm/db_02-old:DB_02--old-");
    CHECK(lines[2].destination == "docker://registry.example:5000/vm/web.3:web..3_");
    CHECK(parse_batch_list("exports/*.ova oci:images:{name}", find)[0].destination == "oci:images:ERP-Server-01");
}

TEST_CASE("two machines with one place are found, however it is spelled: kubev2v/forklift#183") {
    const std::pair<const char*, const char*> rows[] = {
        {"oci:images:a", "oci:./images/:a"},
        {"oci:images:a", "oci:other/../images:a"},
        {"docker://registry.example/vm/a", "docker://registry.example/vm/a:latest"},
        {"oci-archive:all.tar:a", "oci-archive:./all.tar:a"},
        {"qcow2:out.qcow2", "./out.qcow2"},
        {"raw:out", "qcow2:out"},
    };
    for (const auto& [first, second] : rows) {
        CAPTURE(first, second);
        const std::string list = std::string("a.raw ") + first + "\nb.raw " + second + "\n";
        CHECK(refusal(list).find("line 2: 'b.raw' goes to ") == 0);
    }
    CHECK(read("a.raw null:\nb.raw null:\nc.raw oci-archive:all.tar:c\nd.raw oci-archive:all.tar:d\n").size() == 4);
    const FindFiles find = [](const std::string&) { return Words{"Web 1.ova", "web-1.ova"}; };
    CHECK(refusal("*.ova docker://registry.example/vm/{name}", find).find("line 1: 'web-1.ova' goes to ") == 0);
    CHECK(refusal("a.raw oci:images:a\noci:./images:a docker://registry.example/vm/a:1\n") ==
          "line 2: 'oci:./images:a' is what line 1 makes, and a batch has no order; make two of it");
    CHECK(refusal("qcow2:copy.qcow2 oci:images:a\na.raw qcow2:copy.qcow2\n")
              .find("line 1: 'qcow2:copy.qcow2' is what line 2 makes") == 0);
}

TEST_CASE("YAML's anchors stand for what they name, and << merges") {
    const auto lines = read("defaults: &all\n"
                            "  destination: oci:x:{name}\n"
                            "machines:\n"
                            "  - &web {source: a.raw, options: &fixed [--fix, --sysprep]}\n"
                            "  - source: b.raw\n"
                            "    options: *fixed\n"
                            "  - <<: *web\n"
                            "    source: c.raw\n"
                            "  - <<: [{name: d2, options: --no-grow}, *web]\n"
                            "    source: d.raw\n"
                            "  - {<<: *all, source: e.raw}\n");
    REQUIRE(lines.size() == 5);
    CHECK(lines[1].options == Words{"--fix", "--sysprep"});
    CHECK(lines[2].source == "c.raw");
    CHECK(lines[2].options == Words{"--fix", "--sysprep"});
    CHECK(lines[3].name == "d2");
    CHECK(lines[3].options == Words{"--no-grow"});
    CHECK(lines[4].destination == "oci:x:e");
    CHECK(refusal("machines:\n  - &a {source: a.raw, destination: 'oci:x:a', <<: *a}\n") ==
          "line 2: what << merges is nested too deep");
    CHECK(refusal("machines:\n  - {source: a.raw, destination: 'oci:x:a', <<: 3}\n") ==
          "line 2: what << merges is a mapping");
    // Each merges the one before it a hundred times.
    std::string many = "machines:\n  - &m0 {source: a.raw, destination: 'oci:x:a'}\n";
    for (int level = 1; level < 10; ++level) {
        many += "  - &m" + std::to_string(level) + " {<<: [";
        for (int i = 0; i < 100; ++i)
            many += (i == 0 ? "*m" : ", *m") + std::to_string(level - 1);
        many += "]}\n";
    }
    CHECK(refusal(many).find("too much is merged by <<") != std::string::npos);
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
    CHECK(refusal("defaults: oci:x:{name}\nmachines: [a.raw]\n") == "line 1: defaults is a mapping");
    CHECK(refusal("defaults: [--fix]\nmachines: [a.raw]\n") == "line 1: defaults is a mapping");
    CHECK(refusal("defaults:\nmachines:\n  - [a.raw, oci:x:a]\n") ==
          "line 3: a machine that is more than its source is a mapping");
    CHECK(refusal("defaults:\nmachines: [a.raw]\n") ==
          "line 2: a machine has a destination, of its own or in defaults");
    CHECK(refusal("machines: []\nmachines: []\n").find("line 2, column 1: the key 'machines' is there twice") == 0);
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
    CHECK(refused("- null:").find("line 1: standard input is for one machine alone") == 0);
    CHECK(refused("- source: a.raw\n").find("machines below 'machines:'") != std::string::npos);
    CHECK(refused("raw:- null:").find("line 1, machine: standard input is for one machine alone") == 0);
    CHECK(refused("machines: [{source: '-', destination: 'null:'}]").find("standard input") != std::string::npos);
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

TEST_CASE("what a conversion reads is known, so that a change of it is seen, and nothing else counts") {
    test::TemporaryFolder folder;
    const std::filesystem::path base = folder.path();
    const auto write = [&](const std::string& name, const std::string& text = "x") {
        std::filesystem::create_directories((base / name).parent_path());
        std::ofstream(base / name) << text;
    };
    for (const char* name : {"web1.qcow2", "web1.raw", "web10.qcow2", "web1.txt", "motd", "key.pub", "agent/run",
                             "agent/lib/x.so", "all.tar", "layout/index.json", "base.qcow2"})
        write(name);
    const auto inputs = [&](const std::string& words) {
        const auto planned = plan_conversions(read(words));
        std::vector<std::string> names;
        REQUIRE(planned.at(0).item.inputs);
        for (const auto& path : *planned[0].item.inputs)
            names.push_back(path.lexically_relative(base).string());
        return names;
    };
    const std::string at = base.string() + "/";
    // Neither its neighbours, nor what is written beside it.
    CHECK(inputs(at + "web1.qcow2 raw:" + at + "web1.raw") == Words{"web1.qcow2"});
    CHECK(inputs("ova:" + at + "web1.qcow2:2 null:") == Words{"web1.qcow2", "web1.raw", "web1.txt"});
    // Words with something behind the file.
    CHECK(inputs(at + "web1.qcow2 null: --copy-in " + at + "motd:/no/such/motd:0644 --ssh-key=" + at + "key.pub") ==
          Words{"key.pub", "motd", "web1.qcow2"});
    CHECK(inputs(at + "web1.qcow2 null: --backing 1=" + at + "base.qcow2:qcow2") == Words{"base.qcow2", "web1.qcow2"});
    CHECK(inputs("oci-archive:" + at + "all.tar:tag null:") == Words{"all.tar"});
    CHECK(inputs("oci:" + at + "layout:tag null:") == Words{"layout/index.json"});
    CHECK(inputs(at + "web1.qcow2 oci-archive:" + at + "delta.tar --against oci:" + at + "layout:v1") ==
          Words{"layout/index.json", "web1.qcow2"});
    CHECK_FALSE(plan_conversions(read(at + "web1.qcow2 oci-archive:" + at +
                                      "delta.tar --against docker://registry.example/vm/web1:1"))
                    .at(0)
                    .item.inputs);
}

TEST_CASE("of a machine's description the disks that it names are read, too") {
    test::TemporaryFolder folder;
    const std::filesystem::path base = folder.path();
    for (const char* name :
         {"disk 0.vmdk", "disk1.vmdk", "disk2.vmdk", "erp.mf", "erp_1.vmdk", "erp2.ovf", "split-s001.vmdk"})
        std::ofstream(base / name) << "x";
    std::ofstream(base / "erp.ovf") << "<Envelope><File href=\"disk%200.vmdk\"/><File href=\"disk1.vmdk\"/></Envelope>";
    std::ofstream(base / "chain.vmdk") << "# Disk DescriptorFile\nRW 8 SPARSE \"split-s001.vmdk\"\n";
    const auto inputs = [&](const std::string& source) {
        std::vector<std::string> names;
        const auto planned = plan_conversions(read((base / source).string() + " null:"));
        for (const auto& path : planned.at(0).item.inputs.value())
            names.push_back(path.filename().string());
        return names;
    };
    CHECK(inputs("erp.ovf") == Words{"disk 0.vmdk", "disk1.vmdk", "erp.mf", "erp.ovf", "erp_1.vmdk"});
    CHECK(inputs("chain.vmdk") == Words{"chain.vmdk", "split-s001.vmdk"});
}
