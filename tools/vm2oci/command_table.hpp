// The command table: every sub-command with its options, help and handler, and the options that all of them share.
#pragma once

#include "formats/base/progress.hpp"
#include "tools/vm2oci/exit_code.hpp"

#include <CLI/App.hpp>

#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace vm2oci::cli {

enum class OutputFormat { text, json };
enum class ProgressMode { automatic, bar, plain, json, none };
enum class Verbosity { quiet, normal, verbose };

struct GlobalOptions {
    OutputFormat output = OutputFormat::text;
    ProgressMode progress = ProgressMode::automatic;
    unsigned threads = 0;
    std::string scratch_folder;
    Verbosity verbosity = Verbosity::normal;
};

// What a handler gets. Results go to `out` (with --json: one document and nothing else), everything else to `err`.
struct Invocation {
    const GlobalOptions& global;
    std::ostream& out;
    std::ostream& err;
    OperationContext operation;

    bool json() const { return global.output == OutputFormat::json; }
};

using Handler = std::function<ExitCode(Invocation&)>;

struct Example {
    std::string command;
    std::string explanation;
};

class CommandTable {
  public:
    CommandTable();
    CommandTable(const CommandTable&) = delete;
    CommandTable& operator=(const CommandTable&) = delete;

    // Adds a sub-command. `summary` is one sentence without a full stop. The caller adds options to the returned App,
    // binding them to a state that `handler` shares.
    CLI::App& add(const std::string& name, const std::string& summary, std::vector<Example> examples, Handler handler);

    // A command that scripts use and `--help` does not list.
    CLI::App& add_hidden(const std::string& name, const std::string& summary, Handler handler);

    // For a command whose first word is its own and whose others are somebody else's command, options and all: they go
    // to `words`, which outlives this object.
    void take_words_behind_first(const CLI::App& command, std::vector<std::string>& words);

    // Parses; Error{usage} with one line. After this, either help_text() is not empty or handler() is the one to run.
    void parse(const std::vector<std::string>& arguments);
    const std::string& help_text() const { return help_text_; }
    const Handler& handler() const { return handler_; }
    bool version_wanted() const { return show_version_; }
    const GlobalOptions& global() const { return global_; }
    // For completion and for the test that compares help and manual.
    const CLI::App& root() const { return app_; }

  private:
    // The page of a command, a topic or an error's code; Error{usage}.
    std::string page_about(const std::string& word) const;
    // `arguments` without the words that are somebody else's; null: all are ours.
    std::vector<std::string>* cut_foreign_words(std::vector<std::string>& arguments, std::vector<std::string>& foreign);

    CLI::App app_;
    std::map<std::string, std::vector<std::string>*> foreign_words_; // by the name of the command
    GlobalOptions global_;
    bool show_version_ = false;
    bool show_help_ = false; // parse() acts on the words themselves; this only makes the option known
    std::string help_text_;
    Handler handler_;
};

// One for each file in commands/.
void add_batch_command(CommandTable& table);
void add_check_command(CommandTable& table);
void add_verify_command(CommandTable& table);
void add_convert_command(CommandTable& table);
void add_inject_command(CommandTable& table);
void add_inspect_command(CommandTable& table);
void add_boot_command(CommandTable& table);
void add_completion_command(CommandTable& table);
void add_index_command(CommandTable& table);
void add_manifest_command(CommandTable& table);
void add_manual_command(CommandTable& table);
void add_prune_command(CommandTable& table);
void add_pull_command(CommandTable& table);
void add_push_command(CommandTable& table);
void add_run_command(CommandTable& table);

} // namespace vm2oci::cli
