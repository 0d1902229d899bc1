// The options of every command, foreign words, and the pages of help.
#include "tests/unit/cli/said.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/help.hpp"

#include <memory>

using namespace vm2oci;
using namespace vm2oci::cli;
using test::refusal_of;
using test::say;
using test::Words;

namespace {

// A table with a command of each kind.
struct Table {
    CommandTable table;
    std::string source;
    std::string value;
    bool flag = false;
    std::string image;
    std::string variable;
    bool own_flag = false;
    Words words;

    Table() {
        CLI::App& plain = table.add("plain", "Does nothing", {{"vm2oci plain x", "an example"}},
                                    [](Invocation&) { return ExitCode::done; });
        plain.add_option("SOURCE", source, "What is read");
        plain.add_option("--value", value, "A value")->option_text("TEXT");
        plain.add_flag("-f,--flag", flag, "A flag");
        CLI::App& run = table.add("run", "Runs words", {}, [](Invocation&) { return ExitCode::verdict_no; });
        run.add_option("IMAGE", image, "An image");
        run.add_option("--env", variable, "A variable");
        run.add_flag("--own", own_flag, "A flag of its own");
        run.add_option("COMMAND", words, "Foreign words");
        table.take_words_behind_first(run, words);
        table.add_hidden("secret", "Is not listed", [](Invocation&) { return ExitCode::done; });
    }
};

} // namespace

TEST_CASE("options of every command stand before it, behind it, and keep their defaults") {
    const Table before;
    CHECK(before.table.global().output == OutputFormat::text);
    CHECK(before.table.global().progress == ProgressMode::automatic);
    CHECK(before.table.global().threads == 0);
    CHECK(before.table.global().verbosity == Verbosity::normal);
    for (const Words& words : {Words{"--json", "--threads", "3", "--tmpdir", "/t", "-q", "plain", "x"},
                               Words{"plain", "x", "--json", "--threads=3", "--tmpdir=/t", "--quiet"},
                               Words{"--json", "plain", "--threads", "3", "x", "-q", "--tmpdir", "/t"}}) {
        CAPTURE(words);
        Table parsed;
        parsed.table.parse(words);
        const GlobalOptions& global = parsed.table.global();
        CHECK(global.output == OutputFormat::json);
        CHECK(global.threads == 3);
        CHECK(global.scratch_folder == "/t");
        CHECK(global.verbosity == Verbosity::quiet);
        CHECK(parsed.source == "x");
        CHECK(parsed.table.help_text().empty());
        CHECK_FALSE(parsed.table.version_wanted());
    }
    const std::pair<const char*, ProgressMode> modes[] = {{"auto", ProgressMode::automatic},
                                                          {"bar", ProgressMode::bar},
                                                          {"plain", ProgressMode::plain},
                                                          {"json", ProgressMode::json},
                                                          {"none", ProgressMode::none}};
    for (const auto& [word, mode] : modes) {
        Table parsed;
        parsed.table.parse({"plain", "--progress", word});
        CHECK(parsed.table.global().progress == mode);
    }
    Table verbose;
    verbose.table.parse({"plain", "-v"});
    CHECK(verbose.table.global().verbosity == Verbosity::verbose);
}

TEST_CASE("what is no command line is refused in one line that names the page to read") {
    struct Row {
        Words words;
        const char* page;
    };
    const Row rows[] = {
        {{"nonsense"}, "; see 'vm2oci --help'"},
        {{"--nonsense"}, "; see 'vm2oci --help'"},
        {{"plain", "--nonsense"}, "; see 'vm2oci plain --help'"},
        {{"plain", "a", "b"}, "; see 'vm2oci plain --help'"},
        {{"plain", "--value"}, "; see 'vm2oci plain --help'"},
        {{"--threads", "0", "plain"}, "--help'"},
        {{"--threads", "257", "plain"}, "--help'"},
        {{"--threads", "many", "plain"}, "--help'"},
        {{"--progress", "loud", "plain"}, "--help'"},
        {{"-q"}, "no command was given; see 'vm2oci --help'"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.words);
        Table parsed;
        const std::string said = refusal_of([&] { parsed.table.parse(row.words); });
        CHECK(said.ends_with(row.page));
        CHECK(said.find('\n') == std::string::npos);
    }
    for (const char* count : {"1", "256"}) {
        Table parsed;
        parsed.table.parse({"--threads", count, "plain"});
        CHECK(parsed.table.global().threads == static_cast<unsigned>(std::stoi(count)));
    }
    Table empty;
    CHECK(refusal_of([&] { empty.table.parse({"plain", "--value", ""}); }) == "--value is given and empty");
    Table global;
    CHECK(refusal_of([&] { global.table.parse({"--tmpdir", "", "plain"}); }) == "--tmpdir is given and empty");
}

TEST_CASE("words behind a foreign command's first are its own, options and all") {
    struct Row {
        Words all;
        const char* image;
        Words foreign;
        const char* variable;
        bool own;
        bool json;
    };
    const Row rows[] = {
        {{"run", "img"}, "img", {}, "", false, false},
        {{"run", "img", "sh", "-c", "id; --help"}, "img", {"sh", "-c", "id; --help"}, "", false, false},
        {{"run", "img", "--help"}, "img", {"--help"}, "", false, false},
        {{"run", "img", "--json", "--version", "-h"}, "img", {"--json", "--version", "-h"}, "", false, false},
        {{"run", "--own", "img", "--own"}, "img", {"--own"}, "", true, false},
        {{"run", "--env", "A=b", "img", "--env", "C=d"}, "img", {"--env", "C=d"}, "A=b", false, false},
        {{"run", "--env=A=b", "img", "x"}, "img", {"x"}, "A=b", false, false},
        {{"--json", "run", "img", "x"}, "img", {"x"}, "", false, true},
        {{"--threads", "2", "run", "img", "run"}, "img", {"run"}, "", false, false},
        {{"run", "--threads", "2", "img", "y"}, "img", {"y"}, "", false, false},
        {{"run", "img", "--", "x"}, "img", {"x"}, "", false, false},
        {{"run", "img", "--", "--", "x"}, "img", {"--", "x"}, "", false, false},
        {{"run", "-", "x"}, "-", {"x"}, "", false, false},
        {{"run", "img", "", "x"}, "img", {"", "x"}, "", false, false},
    };
    for (const Row& row : rows) {
        CAPTURE(row.all);
        Table parsed;
        parsed.table.parse(row.all);
        CHECK(parsed.image == row.image);
        CHECK(parsed.words == row.foreign);
        CHECK(parsed.variable == row.variable);
        CHECK(parsed.own_flag == row.own);
        CHECK((parsed.table.global().output == OutputFormat::json) == row.json);
        CHECK(parsed.table.help_text().empty());
        std::ostringstream out;
        Invocation call{parsed.table.global(), out, out, {}};
        CHECK(parsed.table.handler()(call) == ExitCode::verdict_no);
    }
    // Of another command nothing is foreign, and help is wanted where it stands before the image.
    Table plain;
    plain.table.parse({"plain", "run", "-f"});
    CHECK(plain.source == "run");
    CHECK(plain.flag);
    Table help;
    help.table.parse({"run", "--help", "img"});
    CHECK(help.table.help_text().starts_with("Usage: vm2oci run [OPTIONS]"));
}

TEST_CASE("the page of a command is its words, its options, and those of all") {
    Table parsed;
    parsed.table.parse({"plain", "--help"});
    const std::string page = parsed.table.help_text();
    CHECK(page.starts_with("Usage: vm2oci plain [OPTIONS] [SOURCE]\n\nDoes nothing.\n\nArguments:\n"
                           "  SOURCE                      What is read\n"));
    CHECK(page.find("  --value TEXT                A value\n") != std::string::npos);
    CHECK(page.find("  -f, --flag                  A flag\n") != std::string::npos);
    CHECK(page.find("  -h, --help[=all]            ") != std::string::npos);
    CHECK(page.ends_with("\nExamples:\n  vm2oci plain x\n      an example\n"));
    CHECK(page.find("Commands:") == std::string::npos);
    Table root;
    root.table.parse({});
    CHECK(root.table.help_text().starts_with("Usage: vm2oci COMMAND [OPTIONS]\n"));
    CHECK(root.table.help_text().find("\nCommands:\n  plain                       Does nothing\n") !=
          std::string::npos);
    CHECK(root.table.help_text().find("secret") == std::string::npos);
    CHECK(root.table.help_text().find("docker://HOST/REPO[:TAG]") != std::string::npos);
    Table variadic;
    variadic.table.parse({"help", "run"});
    CHECK(variadic.table.help_text().starts_with("Usage: vm2oci run [OPTIONS] [IMAGE] [COMMAND...]\n"));
    Table nothing;
    CHECK(refusal_of([&] {
              nothing.table.parse({"help", ""});
          }) == "there is no command, topic or error code ''; 'vm2oci help' lists what there is");
    Table version;
    version.table.parse({"--version"});
    CHECK(version.table.version_wanted());
}

TEST_CASE("no line of any page is wider than a hundred columns, but for what cannot be broken") {
    for (const char* command : {"inspect", "convert", "inject", "boot", "run", "verify", "check", "manifest", "batch",
                                "push", "pull", "index", "prune"}) {
        CAPTURE(command);
        const std::string page = say({"help", command}).out;
        std::istringstream lines(page);
        bool options_begun = false;
        for (std::string line; std::getline(lines, line) && line != "Examples:";) {
            options_begun = options_begun || line.starts_with("  -");
            CAPTURE(line);
            CHECK((line.size() <= 100 || line.starts_with("Usage: ")));
        }
        CHECK(options_begun);
        CHECK(say({command, "--help"}).out.starts_with("Usage: vm2oci " + std::string(command) + " [OPTIONS]"));
    }
}

TEST_CASE("kinds of errors have the exit codes that scripts know") {
    const std::pair<ErrorKind, int> rows[] = {
        {ErrorKind::usage, 2},    {ErrorKind::corrupt, 3},     {ErrorKind::unsupported, 3}, {ErrorKind::unsafe, 3},
        {ErrorKind::limit, 3},    {ErrorKind::cancelled, 130}, {ErrorKind::io, 1},          {ErrorKind::not_found, 1},
        {ErrorKind::conflict, 1}, {ErrorKind::external, 1}};
    for (const auto& [kind, code] : rows) {
        CAPTURE(to_string(kind));
        CHECK(static_cast<int>(exit_code_for(kind)) == code);
    }
}

TEST_CASE("the version is one line, whatever stands beside it") {
    const test::Said said = say({"--version"});
    CHECK(said.code == 0);
    CHECK(said.out.starts_with("vm2oci "));
    CHECK(said.out.find('\n') == said.out.size() - 1);
    CHECK(say({"--json", "--version"}).out == said.out);
}

TEST_CASE("an output that takes no more is an error, not silence") {
    std::ostringstream err;
    std::ostream out(nullptr); // bad from its beginning
    const Cancellation never;
    CHECK(cli::run({"completion", "bash"}, out, err, never) == 1);
    CHECK(err.str() == "vm2oci: cannot write to standard output\n");
}
