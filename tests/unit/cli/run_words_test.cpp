// The words of `run` and of commands on stores, as far as they are refused before anything is begun.
#include "tests/support/small_disk.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/cli/said.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

using namespace vm2oci;
using test::joined;
using test::Said;
using test::say;
using test::Words;

namespace {

// Of a command line that is refused: its one line, without the program's name.
std::string refused(const Words& words, int code = 2) {
    const Said said = say(joined({"-q"}, words));
    CHECK(said.code == code);
    CHECK(said.out.empty());
    CHECK(said.err.find('\n') + 1 == said.err.size());
    CHECK(said.err.starts_with("vm2oci: "));
    return said.err.substr(std::min<std::size_t>(8, said.err.size()));
}

// A layout with the images web:1 and web:2 of two small disks.
struct Store {
    test::TemporaryFolder folder;
    std::string at(const std::string& name) const { return (folder.path() / name).string(); }
    std::string image(const std::string& tag) const { return "oci:" + at("images") + ":" + tag; }
    Store() {
        test::write_small_disk(at("a.raw"), "one");
        test::write_small_disk(at("b.raw"), "two");
        REQUIRE(say({"-q", "convert", "--arch", "amd64", "raw:" + at("a.raw"), image("1")}).code == 0);
        REQUIRE(say({"-q", "convert", "--arch", "arm64", "raw:" + at("b.raw"), image("2")}).code == 0);
    }
};

} // namespace

TEST_CASE("the words of an address are those that the guest understands") {
    const std::string no_image = "oci:/no/such/layout:x";
    const auto said = [&](const std::string& address, bool network) {
        Words words = {"run", "--ip=" + address};
        if (network)
            words.insert(words.end(), {"--network", "user"});
        words.push_back(no_image);
        return say(words).err;
    };
    // As the kernel's documentation (admin-guide/nfs/nfsroot) and dracut have them.
    for (const char* address :
         {"dhcp", "on", "any", "10.0.2.15", "10.0.2.15::10.0.2.2:255.255.255.0::eth0:off",
          "10.0.2.15::10.0.2.2:255.255.255.0:web01:eth0:none:10.0.2.3:10.0.2.4:10.0.2.5", ":::::eth0:dhcp",
          "::::web-01:eth0:any:10.0.2.3", "10.0.2.15:::::eth_0.5:", "1.2.3.4:1.1.1.1"}) {
        CAPTURE(address);
        CHECK(said(address, true).find("--ip") == std::string::npos);
        CHECK(said(address, false).find("--ip needs --network user: without it the machine has no card") !=
              std::string::npos);
    }
    for (const char* address : {"off", "none"})
        for (const bool network : {true, false})
            CHECK(said(address, network).find("--ip") == std::string::npos);
    for (const char* address :
         {"static", "bootp", "0.0.0.0", "10.0.2", "10.0.2.256", "fe80::1", "10.0.2.15::10.0.2.999", "10.0.2.15:a.b.c.d",
          "10.0.2.15:::255.255.255", ":::::eth0:", ":::::eth0:auto6", ":", "10.0.2.15:::::::::10.0.2.3:x",
          "10.0.2.15:::::::x", "10.0.2.15::::::::x", "10.0.2.15/24", "dhcp eth0", "10.0.2.15 init=/bin/sh",
          "10.0.2.15:::::et\"h"}) {
        CAPTURE(address);
        const std::string error = said(address, true);
        CHECK(error.starts_with("vm2oci: --ip takes off, or the kernel's words for an address, such as "));
        CHECK(error.find("not '" + std::string(address) + "'") != std::string::npos);
    }
}

TEST_CASE("what a run cannot do is said before an image is fetched") {
    const std::string image = "oci:/no/such/layout:x";
    CHECK(say({"-q", "--json", "run", image}).err ==
          "vm2oci: run prints what the program prints, and no document; leave --json away\n");
    CHECK(refused({"run", "disk.qcow2"}).starts_with("run takes an image, and 'disk.qcow2' is a disk"));
    CHECK(refused({"run", "--hostname", "no_name", image}).find("no_name") != std::string::npos);
    CHECK(refused({"run", "--env", "novalue", image}) == "--env takes KEY=VALUE, not 'novalue'\n");
    CHECK(refused({"run", "--arch", "z80", image}).find("z80") != std::string::npos);
    CHECK(refused({"run", "--forward", "80:80", image}) == "--forward needs --network user\n");
    CHECK(refused({"run", "--memory", "1M", image}).starts_with("--memory is too small"));
    CHECK(say({"run"}).code == 2);
    CHECK(say({"run", image}).code == 1);
}

TEST_CASE("a copy goes from a registry or into one, unless it makes or takes a delta") {
    const Store store;
    const std::string to = "oci:" + store.at("other") + ":x";
    CHECK(refused({"pull", store.image("1"), to})
              .starts_with("pull reads from a registry, and '" + store.image("1") +
                           "' is none; write it like docker://"));
    CHECK(refused({"push", store.image("1"), to})
              .starts_with("push writes to a registry, and '" + to + "' is none; write it like docker://"));
    CHECK(refused({"push", "a.raw", "docker://registry.example/a:1"})
              .starts_with("push takes an image, and 'a.raw' is a disk"));
    CHECK(refused({"pull", "docker://registry.example/a:1", "raw:x"}).starts_with("pull takes an image, and 'raw:x'"));
    CHECK(refused({"push", "--all-tags", "--digest-file", "d", store.image("1"), "docker://registry.example/a"}) ==
          "--digest-file takes the digest of one image, and --all-tags may bring many\n");
    CHECK(refused({"push", "--parallel", "0", store.image("1"), "docker://registry.example/a"}).find("--parallel") ==
          0);
    CHECK(refused({"push", "--parallel", "17", store.image("1"), "docker://registry.example/a"}).find("--parallel") ==
          0);
    // A delta may lie anywhere, and is made whole where the earlier version is.
    const std::string delta = "oci-archive:" + store.at("delta.tar") + ":2";
    const Said pushed = say({"--json", "push", "--against", store.image("1"), store.image("2"), delta});
    REQUIRE(pushed.code == 0);
    const auto document = nlohmann::json::parse(pushed.out);
    CHECK(document["destination"] == delta);
    CHECK(document["copied_bytes"].get<std::uint64_t>() > 0);
    for (const auto& blob : document["blobs"])
        CHECK(blob["digest"].get<std::string>().starts_with("sha256:"));
    const Said pulled = say({"pull", "--reuse", store.image("1"), delta, to});
    CHECK(pulled.code == 0);
    CHECK(pulled.out.starts_with(to + "\n  image   sha256:"));
    const auto digest = [](const std::string& image) {
        return nlohmann::json::parse(say({"--json", "verify", image}).out)["digest"].get<std::string>();
    };
    CHECK(digest(to) == digest(store.image("2")));
    CHECK(pulled.out.find(digest(to)) != std::string::npos);
}

TEST_CASE("an index joins images, for programs and for people") {
    const Store store;
    const std::string to = "oci:" + store.at("joined") + ":both";
    CHECK(refused({"index", "delete", to, store.image("1")}).find("ACTION") != std::string::npos);
    CHECK(refused({"index", "create", "x.raw", store.image("1")}).starts_with("index create takes an image"));
    CHECK(refused({"index", "create", to, "x.raw"}).starts_with("index create takes an image"));
    CHECK(refused({"index", "create", "--annotation", "x", to, store.image("1")}) ==
          "--annotation takes KEY=VALUE, not 'x'\n");
    const std::string file = store.at("digest");
    const Words create = {"index", "create", "--digest-file", file, to, store.image("1"), store.image("2")};
    const Said text = say(create);
    REQUIRE(text.code == 0);
    CHECK(text.out.starts_with(to + "\n  index   " + test::read_text(file) + "\n  image   sha256:"));
    CHECK(text.out.find(" linux/amd64\n") < text.out.find(" linux/arm64\n"));
    const auto document = nlohmann::json::parse(say(joined({"--json"}, create)).out);
    CHECK(document["destination"] == to);
    CHECK(document["digest"] == test::read_text(file));
    CHECK(document["media_type"] == "application/vnd.oci.image.index.v1+json");
    REQUIRE(document["manifests"].size() == 2);
    CHECK(document["manifests"][0]["architecture"] == "amd64");
    CHECK(document["manifests"][1]["architecture"] == "arm64");
    CHECK(document["manifests"][1]["os"] == "linux");
    // Which of the two is meant must be said where only one can be.
    CHECK(say({"-q", "inspect", "--arch", "arm64", to}).code == 0);
    CHECK(say({"-q", "check", "--for", "kubevirt", "--arch", "amd64", to}).code == 0);
}

TEST_CASE("verify tells a whole image from a broken one, and of which blob") {
    const Store store;
    const Said whole = say({"verify", store.image("1")});
    CHECK(whole.code == 0);
    CHECK(whole.out.starts_with(store.image("1") + "\n  digest   sha256:"));
    CHECK(whole.out.find("\n  verdict  whole\n") != std::string::npos);
    CHECK(whole.out.find("\n  checked  1 manifests, 2 blobs, ") != std::string::npos);
    const auto all = nlohmann::json::parse(say({"--json", "verify", "oci:" + store.at("images")}).out);
    CHECK(all["whole"] == true);
    REQUIRE(all["images"].size() == 2);
    const std::set<std::string> tags = {all["images"][0]["tag"], all["images"][1]["tag"]};
    CHECK(tags == std::set<std::string>{"1", "2"});
    // A byte of the layer, which is the largest blob.
    std::filesystem::path largest;
    for (const auto& blob : std::filesystem::directory_iterator(store.at("images/blobs/sha256")))
        if (largest.empty() || blob.file_size() > std::filesystem::file_size(largest))
            largest = blob.path();
    std::string bytes = test::read_text(largest);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    std::filesystem::remove(largest);
    test::write_text(largest, bytes);
    const Said broken = say({"verify", "oci:" + store.at("images")});
    CHECK(broken.code == 4);
    CHECK(broken.out.find("\n  mismatch  ") != std::string::npos);
    CHECK(broken.out.find("\n  verdict   broken: ") != std::string::npos);
    const Said document = say({"--json", "verify", "oci:" + store.at("images")});
    CHECK(document.code == 4);
    const auto parsed = nlohmann::json::parse(document.out);
    CHECK(parsed["whole"] == false);
    CHECK(parsed["findings"][0]["where"].get<std::string>().find(largest.filename().string()) != std::string::npos);
}

TEST_CASE("what is pruned is a whole layout, and first only told") {
    const Store store;
    const std::string layout = "oci:" + store.at("images");
    for (const std::string& word : {store.image("1"), store.at("a.raw"), "oci-archive:" + store.at("x.tar"),
                                    std::string("docker://registry.example/a:1")})
        CHECK(refused({"prune", word}) == "what is pruned is a whole layout: oci:DIR\n");
    CHECK(refused({"prune", "--older-than", "soon", layout}).find("--older-than") == 0);
    // The image under the tag is another one now; the blobs of the first are nobody's.
    REQUIRE(say({"-q", "convert", "--arch", "arm64", "raw:" + store.at("b.raw"), store.image("1")}).code == 0);
    const auto count = [&] {
        return std::distance(std::filesystem::directory_iterator(store.at("images/blobs/sha256")), {});
    };
    const auto before = count();
    const Said young = say({"prune", layout});
    CHECK(young.code == 0);
    CHECK(young.out.starts_with("0 of "));
    CHECK(young.out.find(" that nothing names yet and that are younger than 1h\n") != std::string::npos);
    const Said planned = say({"prune", "--dry-run", "--older-than", "0s", layout});
    CHECK(planned.out.find(" would be removed, ") != std::string::npos);
    CHECK(count() == before);
    const auto told = nlohmann::json::parse(say({"--json", "prune", "-n", "--older-than", "0s", layout}).out);
    CHECK(told["dry_run"] == true);
    CHECK(told["layout"] == layout);
    CHECK(told["young"] == 0);
    const auto removed = told["removed"].size();
    CHECK(removed == 3); // manifest, configuration and layer
    const Said done = say({"prune", "--older-than", "0s", layout});
    CHECK(done.code == 0);
    CHECK(done.out.find("3 of 6 blobs removed, ") != std::string::npos);
    CHECK(count() == before - 3);
    CHECK(say({"-q", "verify", layout}).code == 0);
}

TEST_CASE("check says of each consumer whether it works, and its exit code whether all do") {
    const Store store;
    CHECK(refused({"check", store.at("a.raw")}).starts_with("check takes an image"));
    CHECK(refused({"check", "--for", "kubevirt,vmware", store.image("1")}).find("vmware") != std::string::npos);
    const Said text = say({"check", "--for", "kubevirt,cdi", store.image("1")});
    CHECK(text.code == 0);
    CHECK(text.out.find(": works\n") != std::string::npos);
    CHECK(text.out.find("does not work") == std::string::npos);
    const auto document =
        nlohmann::json::parse(say({"--json", "check", "--for", "kubevirt,cdi", store.image("1")}).out);
    REQUIRE(document["consumers"].size() == 2);
    CHECK(document["consumers"][0]["consumer"] == "kubevirt");
    CHECK(document["consumers"][1]["consumer"] == "cdi");
    CHECK(document["consumers"][0]["works"] == true);
    CHECK(document["image"] == store.image("1"));
    // podman has no use for a disk that is no artifact of its machines.
    const Said podman = say({"--json", "check", "--for", "podman-machine", store.image("1")});
    CHECK(podman.code == 4);
    const auto refusing = nlohmann::json::parse(podman.out);
    CHECK(refusing["consumers"][0]["works"] == false);
    CHECK(refusing["consumers"][0]["problems"][0]["severity"] == "error");
    const std::string said = refusing["consumers"][0]["problems"][0]["text"];
    CHECK(say({"check", "--for", "podman-machine", store.image("1")}).out.find(said) != std::string::npos);
}

TEST_CASE("completion knows every command and option, in each shell's own quotes") {
    CHECK(refused({"completion", "powershell"}).find("SHELL") != std::string::npos);
    const std::string bash = say({"completion", "bash"}).out;
    CHECK(
        bash.find("inspect|convert|inject|boot|run|verify|check|manifest|batch|push|pull|index|prune) command=$word") !=
        std::string::npos);
    CHECK(bash.find("completion)") == std::string::npos); // what is hidden is not offered
    CHECK(bash.ends_with("complete -F _vm2oci vm2oci\n"));
    const std::string zsh = say({"completion", "zsh"}).out;
    CHECK(zsh.starts_with("#compdef vm2oci\n"));
    const std::string fish = say({"completion", "fish"}).out;
    for (const char* option : {"--older-than", "--boot-test", "--guest-backend", "--json", "--quiet"}) {
        CAPTURE(option);
        CHECK(bash.find(option) != std::string::npos);
        CHECK(zsh.find("'*" + std::string(option) + "[") != std::string::npos);
        CHECK(fish.find(" -l " + std::string(option + 2) + " ") != std::string::npos);
    }
    CHECK(fish.find(" -l quiet -s q -d ") != std::string::npos);
    CHECK(fish.find("complete -c vm2oci -n '__fish_seen_subcommand_from prune' -l older-than -r -d ") !=
          std::string::npos);
    // Of a line of zsh the quotes are even, and brackets of a description stand behind a backslash.
    std::istringstream lines(zsh);
    for (std::string line; std::getline(lines, line);) {
        CAPTURE(line);
        CHECK((std::count(line.begin(), line.end(), '\'') % 2 == 0 || line.find("'\\''") != std::string::npos));
    }
}
