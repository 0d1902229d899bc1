// What every command does the same way.
#include "formats/base/progress.hpp"
#include "tools/vm2oci/application.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <sstream>

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
    const Cancellation never;
    const int code = cli::run(arguments, out, err, never);
    return {code, out.str(), err.str()};
}

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
