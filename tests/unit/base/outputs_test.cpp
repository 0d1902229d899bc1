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

TEST_CASE("what has appeared is taken back when what comes after it fails") {
    const test::TemporaryFolder folder;
    std::ofstream(folder.path() / "old") << "old";
    std::filesystem::permissions(folder.path() / "old", std::filesystem::perms(0640));
    {
        Outputs outputs;
        outputs.add_document(folder.path() / "old").content = "new";
        outputs.add_document(folder.path() / "fresh").content = "fresh";
        outputs.add_folder(folder.path() / "a" / "b");
        outputs.add_document(folder.path() / "a" / "b" / "c").content = "c";
        CHECK_THROWS_WITH(outputs.commit([&] {
            CHECK(text_of(folder.path() / "old") == "new");
            CHECK(text_of(folder.path() / "a" / "b" / "c") == "c");
            fail(ErrorKind::external, "the registry is gone");
        }),
                          "the registry is gone");
    }
    CHECK(names_in(folder.path()) == std::set<std::string>{"old"});
    CHECK(text_of(folder.path() / "old") == "old");
    struct stat status {};
    REQUIRE(::stat((folder.path() / "old").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0640);
}

TEST_CASE("a transaction within another is taken back with it") {
    const test::TemporaryFolder folder;
    Outputs outer;
    Outputs inner;
    outer.add_document(folder.path() / "outer").content = "outer";
    inner.add_document(folder.path() / "inner").content = "inner";
    CHECK_THROWS_AS(outer.commit([&] { inner.commit([] { fail(ErrorKind::io, "no"); }); }), Error);
    CHECK(names_in(folder.path()).empty());
}

TEST_CASE("a document without content does not appear, and a name is given to one output") {
    const test::TemporaryFolder folder;
    Outputs outputs;
    outputs.add_document(folder.path() / "screenshot");
    outputs.add_document(folder.path() / "report").content = "";
    CHECK_THROWS_AS(outputs.add_document(folder.path() / "." / "report"), Error);
    std::filesystem::create_symlink("report", folder.path() / "link");
    CHECK_THROWS_AS(outputs.add_file(folder.path() / "link"), Error);
    outputs.commit();
    CHECK(names_in(folder.path()) == std::set<std::string>{"link", "report"});
}

TEST_CASE("a folder for outputs stays if somebody else put something into it") {
    const test::TemporaryFolder folder;
    std::ofstream(folder.path() / "file") << "a file";
    {
        Outputs outputs;
        CHECK_THROWS_AS(outputs.add_folder(folder.path() / "file"), Error);
        outputs.add_folder(folder.path() / "made" / "deep/");
        std::ofstream(folder.path() / "made" / "theirs") << "theirs";
    }
    CHECK(text_of(folder.path() / "made" / "theirs") == "theirs");
    CHECK_FALSE(std::filesystem::exists(folder.path() / "made" / "deep"));
}
