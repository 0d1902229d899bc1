#include "formats/base/error.hpp"
#include "formats/base/outputs.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <set>
#include <sstream>

using namespace vm2oci;

namespace {

std::string text_of(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

std::set<std::string> names_in(const std::filesystem::path& folder) {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        names.insert(entry.path().filename());
    return names;
}

} // namespace

TEST_CASE("outputs appear together, in one go, and once") {
    const test::TemporaryFolder folder;
    std::ofstream(folder.path() / "old.json") << "old";
    Outputs outputs;
    Outputs::Document& old = outputs.add_document(folder.path() / "old.json");
    Outputs::Document& secret = outputs.add_document(folder.path() / "seed.iso", 0600);
    const OutputFile& disk = outputs.add_file(folder.path() / "disk.img");
    old.content = "new";
    secret.content = "password";
    write_exactly(disk.fd(), as_bytes("disk"));
    CHECK(text_of(folder.path() / "old.json") == "old");
    CHECK_FALSE(std::filesystem::exists(folder.path() / "disk.img"));
    outputs.commit();
    CHECK(text_of(folder.path() / "old.json") == "new");
    CHECK(text_of(folder.path() / "seed.iso") == "password");
    CHECK(text_of(folder.path() / "disk.img") == "disk");
    struct stat status {};
    REQUIRE(::stat((folder.path() / "seed.iso").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    std::ofstream(folder.path() / "old.json") << "somebody else's";
    outputs.commit();
    CHECK(text_of(folder.path() / "old.json") == "somebody else's");
}

TEST_CASE("an output that cannot be had is known before work begins") {
    const test::TemporaryFolder folder;
    std::filesystem::create_directory(folder.path() / "folder");
    Outputs outputs;
    outputs.add_document(folder.path() / "good").content = "good";
    CHECK_THROWS_AS(outputs.add_document(folder.path() / "missing" / "s.json"), Error);
    CHECK_THROWS_AS(outputs.add_document(folder.path() / "folder"), Error);
    CHECK_THROWS_AS(outputs.add_file(folder.path() / "missing" / "disk.img"), Error);
}

TEST_CASE("outputs that are given up leave nothing") {
    const test::TemporaryFolder folder;
    std::ofstream(folder.path() / "kept") << "kept";
    {
        Outputs outputs;
        outputs.add_document(folder.path() / "kept").content = "changed";
        outputs.add_document(folder.path() / "new").content = "new";
        write_exactly(outputs.add_file(folder.path() / "disk").fd(), as_bytes("disk"));
    }
    CHECK(names_in(folder.path()) == std::set<std::string>{"kept"});
    CHECK(text_of(folder.path() / "kept") == "kept");
}

TEST_CASE("what cannot be written whole changes nothing") {
    const test::TemporaryFolder folder;
    std::ofstream(folder.path() / "first") << "first";
    struct rlimit_guard {
        rlimit_guard() {
            ::getrlimit(RLIMIT_FSIZE, &old);
            rlimit small = old;
            small.rlim_cur = 1000;
            ::setrlimit(RLIMIT_FSIZE, &small);
            previous = ::signal(SIGXFSZ, SIG_IGN);
        }
        ~rlimit_guard() {
            ::setrlimit(RLIMIT_FSIZE, &old);
            ::signal(SIGXFSZ, previous);
        }
        rlimit old{};
        sighandler_t previous = nullptr;
    };
    Outputs outputs;
    outputs.add_document(folder.path() / "first").content = "changed";
    outputs.add_document(folder.path() / "large").content = std::string(5000, 'x');
    {
        const rlimit_guard limit;
        CHECK_THROWS_AS(outputs.commit(), Error);
    }
    CHECK(text_of(folder.path() / "first") == "first");
    CHECK_FALSE(std::filesystem::exists(folder.path() / "large"));
}
