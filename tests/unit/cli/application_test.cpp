#include "tools/vm2oci/application.hpp"
#include "tools/vm2oci/exit_code.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <sstream>

using namespace vm2oci;

namespace {

struct Result {
    int code;
    std::string out;
    std::string err;
};

Result run_vm2oci(const std::vector<std::string>& arguments) {
    std::ostringstream out;
    std::ostringstream err;
    const Cancellation cancellation;
    const int code = cli::run(arguments, out, err, cancellation);
    return {code, out.str(), err.str()};
}

bool is_one_line(const std::string& text) {
    return !text.empty() && text.find('\n') == text.size() - 1;
}

} // namespace

TEST_CASE("help is shown with and without a command, before and after it") {
    const Result bare = run_vm2oci({});
    CHECK(bare.code == 0);
    CHECK(bare.out == run_vm2oci({"--help"}).out);
    CHECK(bare.out.find("\n  convert ") != std::string::npos);

    const Result page = run_vm2oci({"convert", "--help"});
    CHECK(page.code == 0);
    CHECK(page.out == run_vm2oci({"--help", "convert"}).out);
    CHECK(page.out == run_vm2oci({"help", "convert"}).out);
    CHECK(page.out.starts_with("Usage: vm2oci convert [OPTIONS] SOURCE DEST\n"));
    CHECK(page.out.find("\nOptions of every command:\n") < page.out.find("\nExamples:\n"));
}

TEST_CASE("help lines fit a terminal") {
    for (const char* command : {"convert", "inspect"}) {
        std::istringstream page(run_vm2oci({command, "--help"}).out);
        for (std::string line; std::getline(page, line);)
            CHECK(line.size() <= 110);
    }
}

TEST_CASE("a wrong command line is exit code 2 and one line") {
    for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
             {"frobnicate"},
             {"convert"},
             {"convert", "a.qcow2"},
             {"convert", "--no-such-option", "a", "b"},
             {"--threads", "0", "convert", "a", "b"},
             {"--progress", "loud", "convert", "a", "b"},
             {"convert", "--disk-format", "vmdk", "a", "oci:b"},
             {"--json"},
         }) {
        const Result result = run_vm2oci(arguments);
        CHECK(result.code == 2);
        CHECK(result.err.starts_with("vm2oci: "));
        CHECK(is_one_line(result.err));
    }
}

TEST_CASE("a value that is none is refused with the option's name, before the source is looked for") {
    for (const auto& [option, arguments] : std::vector<std::pair<std::string, std::vector<std::string>>>{
             {"--timeout", {"boot", "--timeout", "soon", "/nonexistent/disk"}},
             {"--memory", {"boot", "--memory", "much", "/nonexistent/disk"}},
             {"--size", {"convert", "--size", "bigger", "/nonexistent/disk", "null:"}},
             {"--max-virtual-size", {"inspect", "--max-virtual-size", "2 apples", "/nonexistent/disk"}},
         }) {
        const Result result = run_vm2oci(arguments);
        CHECK(result.code == 2);
        CHECK(result.err.starts_with("vm2oci: " + option + ": "));
        CHECK(is_one_line(result.err));
    }
}

TEST_CASE("with --json an error is a document on standard output too") {
    const Result result = run_vm2oci({"convert", "/nonexistent/disk.qcow2", "null:", "--json", "--progress", "none"});
    CHECK(result.code == 1);
    const auto document = nlohmann::json::parse(result.out);
    CHECK(document["error"]["kind"] == "not_found");
    CHECK(document["error"]["exit_code"] == 1);
    CHECK(is_one_line(result.err));
}

TEST_CASE("every kind of error has its exit code") {
    using cli::exit_code_for;
    CHECK(exit_code_for(ErrorKind::usage) == cli::ExitCode::usage);
    for (const ErrorKind kind : {ErrorKind::corrupt, ErrorKind::unsupported, ErrorKind::unsafe, ErrorKind::limit})
        CHECK(exit_code_for(kind) == cli::ExitCode::refused);
    for (const ErrorKind kind : {ErrorKind::io, ErrorKind::not_found, ErrorKind::conflict, ErrorKind::external})
        CHECK(exit_code_for(kind) == cli::ExitCode::failed);
}

TEST_CASE("the completion scripts name every command and option") {
    const std::string bash = run_vm2oci({"completion", "bash"}).out;
    const std::string zsh = run_vm2oci({"completion", "zsh"}).out;
    for (const char* word : {"convert", "--compression", "--json", "--backing"}) {
        CHECK(bash.find(word) != std::string::npos);
        CHECK(zsh.find(word) != std::string::npos);
    }
    CHECK(run_vm2oci({"completion", "fish"}).code == 2);
    CHECK(run_vm2oci({"--help"}).out.find("completion") == std::string::npos);
}
