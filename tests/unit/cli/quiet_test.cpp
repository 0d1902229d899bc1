#include "tests/support/small_disk.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/vm2oci/application.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using namespace vm2oci;

namespace {

struct Said {
    int code = 0;
    std::string out;
    std::string err;
};

Said say(const std::vector<std::string>& arguments) {
    std::ostringstream out;
    std::ostringstream err;
    Said said;
    said.code = cli::run(arguments, out, err, Cancellation());
    said.out = out.str();
    said.err = err.str();
    return said;
}

} // namespace

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
