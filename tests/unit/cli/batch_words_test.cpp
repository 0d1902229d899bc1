// The words of `batch`, `inspect` and `inject`, and their exit codes, as far as no conversion is begun.
#include "tests/support/small_disk.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/cli/said.hpp"
#include "tools/batch/document.hpp"
#include "tools/batch/item.hpp"

#include <nlohmann/json.hpp>

#include <cstdlib>

using namespace vm2oci;
using nlohmann::json;
using test::joined;
using test::Said;
using test::say;
using test::Words;
using test::write_text;

namespace {

// A variable of the environment, as long as an object lives.
class Variable {
  public:
    Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
    ~Variable() { ::unsetenv(name_); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

  private:
    const char* name_;
};

std::string error_of(const Words& words, int code) {
    const Said said = say(joined({"-q"}, words));
    CHECK(said.code == code);
    return said.err.starts_with("vm2oci: ") ? said.err.substr(8) : said.err;
}

struct Lists {
    test::TemporaryFolder folder;
    std::string at(const std::string& name) const { return (folder.path() / name).string(); }
    // Three machines, whose disks are there.
    std::string three() const {
        for (const char* name : {"a.raw", "b.raw", "c.raw"})
            write_text(at(name), std::string(1024, 'x'));
        return write_text(at("list"), at("a.raw") + " oci:" + at("i") + ":{name}\n" + at("b.raw") + " oci:" + at("i") +
                                          ":{name} --boot-test --memory 3G --cpus 3\n" + at("c.raw") +
                                          " docker://registry.example/vm/{name}:1 --hostname {name}\n");
    }
};

} // namespace

TEST_CASE("which share of a batch is meant is said by words, or by the cluster") {
    const Lists lists;
    const std::string list = lists.three();
    const auto planned = [&](const Words& words) {
        std::vector<std::string> names;
        const Said said = say(joined({"--json", "batch", "--dry-run", list}, words));
        CHECK(said.code == 0);
        const json plan = json::parse(said.out);
        for (const json& machine : plan["machines"])
            names.push_back(machine["name"]);
        return names;
    };
    using Names = std::vector<std::string>;
    CHECK(planned({}) == Names{"a", "b", "c"});
    CHECK(planned({"--of", "1", "--index", "0"}) == Names{"a", "b", "c"});
    CHECK(planned({"--of", "2", "--index", "0"}) == Names{"a", "c"});
    CHECK(planned({"--of", "2", "--index", "1"}) == Names{"b"});
    CHECK(planned({"--of", "4", "--index", "3"}).empty());
    {
        const Variable pod("JOB_COMPLETION_INDEX", "2");
        CHECK(planned({"--of", "3"}) == Names{"c"});
        CHECK(planned({"--of", "3", "--index", "0"}) == Names{"a"}); // what is said goes before
        CHECK(planned({}) == Names{"a", "b", "c"});
    }
    for (const char* odd : {"", "x", "-1", "1 ", "1234567890"}) {
        CAPTURE(odd);
        const Variable pod("JOB_COMPLETION_INDEX", odd);
        CHECK(error_of({"batch", "-n", "--of", "3", list}, 2) ==
              "--of needs --index, or JOB_COMPLETION_INDEX in the environment\n");
    }
    CHECK(error_of({"batch", "-n", "--of", "3", list}, 2).starts_with("--of needs --index"));
    CHECK(error_of({"batch", "-n", "--index", "0", list}, 2) == "--index needs --of, the number of shares\n");
    CHECK(error_of({"batch", "-n", "--index", "3", "--of", "3", list}, 2) ==
          "there is no share 3 of 3: the first is 0\n");
    CHECK(error_of({"batch", "-n", "--of", "0", "--index", "0", list}, 2).find("--of") == 0);
}

TEST_CASE("a plan says what each machine takes, and how many go at once") {
    const Lists lists;
    const std::string list = lists.three();
    const json plan =
        json::parse(say({"--json", "--threads", "8", "batch", "-n", "-j", "2", "--memory", "9G", list}).out);
    CHECK(plan["list"] == "list");
    CHECK(plan["at_once"] == 2);
    CHECK(plan["processors"] == 8);
    CHECK(plan["memory"] == 9663676416);
    REQUIRE(plan["machines"].size() == 3);
    CHECK(plan["machines"][0]["number"] == 1);
    CHECK(plan["machines"][0]["plan"] == "convert");
    CHECK(plan["machines"][0]["source"] == lists.at("a.raw"));
    CHECK(plan["machines"][0]["destination"] == "oci:" + lists.at("i") + ":a");
    CHECK(plan["machines"][0]["processors"] == 1);
    CHECK(plan["machines"][0]["memory"] == 268435456);
    // A machine that is booted takes its own size besides.
    CHECK(plan["machines"][1]["processors"] == 3);
    CHECK(plan["machines"][1]["memory"] == 268435456 + 3221225472);
    CHECK(plan["machines"][2]["destination"] == "docker://registry.example/vm/c:1");
    const Said text = say({"--threads", "8", "batch", "-n", "-j", "2", "--memory", "9G", list});
    CHECK(text.out.starts_with("a                    convert        " + lists.at("a.raw") + " → oci:"));
    CHECK(text.out.ends_with("3 of 3 machines to convert, 2 at once with 4 thread(s) each, within 9 GiB of memory\n"));
    // Nothing was made, and nothing is remembered.
    CHECK_FALSE(std::filesystem::exists(list + ".state"));
    CHECK_FALSE(std::filesystem::exists(lists.at("i")));
    // No more at once than there are machines, and each has a thread.
    const json many = json::parse(say({"--json", "--threads", "1", "batch", "-n", "-j", "64", list}).out);
    CHECK(many["at_once"] == 3);
    CHECK(many["processors"] == 3);
}

TEST_CASE("a batch that cannot be is refused before anything is begun") {
    const Lists lists;
    const std::string list = lists.three();
    CHECK(error_of({"batch", lists.at("absent")}, 1).starts_with(lists.at("absent") + ": no such file"));
    CHECK(error_of({"batch", list, list}, 2) == "a batch has one list; several are results for --gather\n");
    CHECK(error_of({"batch", "-n", "--jobs", "0", list}, 2).find("--jobs") == 0);
    CHECK(error_of({"batch", "-n", "--jobs", "1025", list}, 2).find("--jobs") == 0);
    CHECK(error_of({"batch", "--for", "nomad", list}, 2).find("--for") == 0);
    CHECK(error_of({"batch", "--digest-file", lists.at("d"), list}, 2) ==
          "--digest-file and --destination-file are for one machine, and here are 3\n");
    CHECK_FALSE(std::filesystem::exists(lists.at("d")));
    CHECK_FALSE(std::filesystem::exists(list + ".state"));
    const std::string bad = write_text(lists.at("bad"), "a.raw oci:i:a\nb.raw oci:i:b --no-such\n");
    CHECK(error_of({"batch", "-n", bad}, 2).starts_with("line 2, b: "));
    CHECK(error_of({"batch", "-n", write_text(lists.at("help"), "a.raw oci:i:a --help\n")}, 2) ==
          "line 1, a: a conversion is asked for, and no page of help\n");
    CHECK(error_of({"batch", "-n", write_text(lists.at("digest"), "a.raw oci:i:a --digest-file d\n")}, 2) ==
          "line 1, a: a batch keeps the digests itself, and tells them\n");
    CHECK(error_of({"batch", "-n", write_text(lists.at("dry"), "a.raw oci:i:a --dry-run --hostname x\n")}, 2) ==
          "line 1, a: a batch that plans is 'batch --dry-run'\n");
    // In a cluster each machine is named, and goes into a registry.
    CHECK(error_of({"batch", "--for", "kubernetes", "--image", "x", list}, 2)
              .starts_with("line 1, a: 'oci:" + lists.at("i") + ":a' is no registry's"));
    const std::string pattern = write_text(lists.at("pattern"), "*.raw docker://registry.example/vm/{name}:1\n");
    CHECK(error_of({"batch", "--for", "kubernetes", "--image", "x", pattern}, 2)
              .starts_with("*.raw is a pattern, and the files are in the cluster"));
    const std::string good = write_text(lists.at("good"), "a.raw docker://registry.example/vm/{name}:1\n");
    CHECK(error_of({"batch", "--for", "tekton", good}, 2) ==
          "which image of vm2oci the pods run is not said: give --image\n");
    CHECK(say({"batch", "--for", "kubernetes", "--image", "x", good}).out.find("completions: 1\n") !=
          std::string::npos);
}

TEST_CASE("results of shares are gathered, from documents and logs, and told as one") {
    const Lists lists;
    const auto share = [](std::size_t index, ItemState state) {
        BatchResult result;
        result.list = "machines";
        result.share = {index, 2};
        result.list_size = 2;
        ItemResult item;
        item.number = index + 1;
        item.name = index == 0 ? "web" : "db";
        item.source = item.name + ".raw";
        item.destination = "docker://registry.example/vm/" + item.name + ":1";
        item.state = state;
        item.digest = "sha256:" + std::string(64, 'a');
        result.items = {item};
        return batch_result_text(result);
    };
    const std::string first = write_text(lists.at("0.json"), share(0, ItemState::done));
    const std::string second = write_text(lists.at("1.log"), "starting\n" + share(1, ItemState::unchanged) + "bye\n");
    const std::string empty = write_text(lists.at("2.log"), "killed\n");
    const Said text = say({"batch", "--gather", "--report", lists.at("page.html"), first, second});
    CHECK(text.code == 0);
    CHECK(text.out.find("2 of 2 machines are there: 1 made in ") != std::string::npos);
    CHECK(text.out.ends_with(", 1 unchanged\n"));
    CHECK(test::read_text(lists.at("page.html")).find("web") != std::string::npos);
    const json document = json::parse(say({"--json", "batch", "--gather", first, second}).out);
    CHECK(document["machines"].size() == 2);
    // A share that did not end is told, and its machines are not there.
    const Said partly = say({"batch", "--gather", first, empty});
    CHECK(partly.code != 0);
    CHECK(partly.err.find(empty + ": no result of a batch is in it\n") != std::string::npos);
    CHECK(partly.out.find("1 of 2 machines are there") != std::string::npos);
    CHECK(error_of({"batch", "--gather", empty}, 3).find("no result of a batch is in what is to be gathered") !=
          std::string::npos);
    // Of one machine its digest and its place are written, without the scheme.
    BatchResult one = parse_batch_result(share(0, ItemState::done));
    one.share = {0, 1};
    one.list_size = 1;
    const std::string only = write_text(lists.at("only.json"), batch_result_text(one));
    CHECK(say({"batch", "--gather", "--digest-file", lists.at("digest"), "--destination-file", lists.at("place"), only})
              .code == 0);
    CHECK(test::read_text(lists.at("digest")) == "sha256:" + std::string(64, 'a'));
    CHECK(test::read_text(lists.at("place")) == "registry.example/vm/web:1");
}

TEST_CASE("inspect tells a disk, and its exit code whether it is safe to convert") {
    const Lists lists;
    test::write_small_disk(lists.at("web.raw"), "web01");
    const Said page = say({"inspect", lists.at("web.raw")});
    CHECK(page.code == 0);
    CHECK(page.out.starts_with(lists.at("web.raw") + "\n  format          raw\n"));
    CHECK(page.out.find("  host name       web01\n") != std::string::npos);
    CHECK(page.out.find("  verdict         safe to convert\n") != std::string::npos);
    const json document = json::parse(say({"--json", "inspect", lists.at("web.raw")}).out);
    CHECK(document["source"] == lists.at("web.raw"));
    CHECK(document["inside"]["guest"]["os"]["hostname"] == "web01");
    // A qcow2's magic and nothing behind it.
    const std::string broken = write_text(lists.at("broken"), "QFI\xfb" + std::string(2000, '\xff'));
    CHECK(say({"inspect", broken}).code == 3);
    CHECK(say({"inspect", broken}).out.find("  verdict       refused: ") != std::string::npos);
    CHECK(json::parse(say({"--json", "inspect", broken}).out)["disk"]["verdict"]["safe"] == false);
    CHECK(
        error_of({"inspect", "--sbom", lists.at("s.json"), broken}, 3).find("there is no guest to list packages of") ==
        0);
    CHECK_FALSE(std::filesystem::exists(lists.at("s.json")));
    CHECK(say({"-q", "inspect", "--sbom", lists.at("s.json"), lists.at("web.raw")}).code == 0);
    CHECK(json::parse(test::read_text(lists.at("s.json")))["spdxVersion"] == "SPDX-2.3");
    CHECK(say({"-q", "inspect", "--sbom", lists.at("s.cdx.json"), lists.at("web.raw")}).code == 0);
    CHECK(json::parse(test::read_text(lists.at("s.cdx.json")))["bomFormat"] == "CycloneDX");
}

TEST_CASE("inject needs something to change, and a disk to write") {
    const Lists lists;
    test::write_small_disk(lists.at("web.raw"), "web01");
    const std::string disk = lists.at("web.raw");
    CHECK(error_of({"inject", disk, "qcow2:x"}, 2) == "nothing to change was asked for; see 'vm2oci inject --help'\n");
    CHECK(error_of({"inject", "--hostname", "db", disk}, 2) ==
          "DEST is missing: where the changed disk goes (or --dry-run)\n");
    CHECK(error_of({"inject", "--hostname", "db", disk, "oci:i:x"}, 2).starts_with("inject writes disks; "));
    CHECK(error_of({"inject", "--hostname", "db", disk, "vmdk:x"}, 2).find("qcow2:PATH or raw:PATH") !=
          std::string::npos);
    const Said plan = say({"inject", "--hostname", "db", "--dry-run", disk});
    CHECK(plan.code == 0);
    CHECK(plan.out.find("/etc/hostname") != std::string::npos);
    CHECK(plan.out.ends_with(" changes; nothing was written\n"));
    const json document = json::parse(say({"--json", "inject", "--hostname", "db", "--dry-run", disk}).out);
    CHECK(document["source"] == disk);
    CHECK(document["edits"]["backend"] == "none");
    CHECK_FALSE(document.contains("destination"));
    // What gets its format from nothing is a qcow2.
    const std::string changed = lists.at("changed");
    const Said done = say({"--json", "-q", "inject", "--hostname", "db", disk, changed});
    CHECK(done.code == 0);
    CHECK(json::parse(done.out)["disk"]["format"] == "qcow2");
    CHECK(json::parse(done.out)["destination"] == changed);
    CHECK(test::read_text(changed).starts_with("QFI\xfb"));
    CHECK(json::parse(say({"--json", "inspect", changed}).out)["inside"]["guest"]["os"]["hostname"] == "db");
    CHECK(json::parse(say({"--json", "inspect", disk}).out)["inside"]["guest"]["os"]["hostname"] == "web01");
}
