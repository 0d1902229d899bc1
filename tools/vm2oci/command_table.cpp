#include "tools/vm2oci/command_table.hpp"

#include "formats/base/error.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/topics.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <map>

namespace vm2oci::cli {
namespace {

std::string examples_text(const std::vector<Example>& examples) {
    std::string text = examples.empty() ? "" : "\nExamples:\n";
    for (const Example& example : examples)
        text += "  " + example.command + "\n      " + example.explanation + "\n";
    return text;
}

const std::map<std::string, ProgressMode> kProgressModes = {{"auto", ProgressMode::automatic},
                                                            {"bar", ProgressMode::bar},
                                                            {"plain", ProgressMode::plain},
                                                            {"json", ProgressMode::json},
                                                            {"none", ProgressMode::none}};

std::string topic_list() {
    std::string text = "\nTopics:\n";
    for (const Topic& topic : topics())
        text += "  " + std::string(topic.name) + std::string(28 - topic.name.size(), ' ') + topic.summary + "\n";
    return text + "\n'vm2oci help TOPIC' shows one, 'vm2oci help CODE' an error's cause and remedy.\n";
}

// Nothing besides the root is a wish, too.
constexpr std::array<std::string_view, 2> kMayBeEmpty = {"--cmdline", "--append"};

// An empty value is a variable that a script did not set, and it would be taken for none: who must have signed a
// package, or where a digest goes, would be forgotten.
void refuse_empty_values(const CLI::App& app) {
    for (const CLI::Option* option : app.get_options()) {
        if (option->count() == 0 || option->get_expected_min() == 0 ||
            std::ranges::find(kMayBeEmpty, option->get_name()) != kMayBeEmpty.end())
            continue;
        const std::vector<std::string>& values = option->results();
        if (std::ranges::find(values, std::string()) != values.end())
            fail(ErrorKind::usage, option->get_name() + " is given and empty");
    }
    for (const CLI::App* command : app.get_subcommands())
        refuse_empty_values(*command);
}

} // namespace

CommandTable::CommandTable() : app_("Virtual machine disks as OCI artifacts that are proven to boot", "vm2oci") {
    app_.require_subcommand(0, 1);
    app_.fallthrough();
    // Help is drawn by help_page(), which knows the groups; --version and --help must work beside anything else.
    app_.set_help_flag();
    app_.add_flag_callback(
            "--json", [this] { global_.output = OutputFormat::json; },
            "Print one JSON document on standard output, nothing else there")
        ->group(group::global);
    app_.add_option_function<std::string>(
            "--progress", [this](const std::string& mode) { global_.progress = kProgressModes.at(mode); },
            "Progress on standard error: auto (default), bar, plain, json or none")
        ->option_text("MODE")
        ->check(CLI::IsMember({"auto", "bar", "plain", "json", "none"}))
        ->group(group::global);
    app_.add_option("--threads", global_.threads, "Threads to use (default: one for each processor)")
        ->option_text("N")
        ->check(CLI::Range(1, 256))
        ->group(group::global);
    app_.add_option("--tmpdir", global_.scratch_folder, "Where scratch files go (default: $TMPDIR, else /var/tmp)")
        ->option_text("DIR")
        ->group(group::global);
    app_.add_flag_callback(
            "-q,--quiet", [this] { global_.verbosity = Verbosity::quiet; }, "Say nothing but errors on standard error")
        ->group(group::global);
    app_.add_flag_callback(
            "-v,--verbose", [this] { global_.verbosity = Verbosity::verbose; }, "Say more on standard error")
        ->group(group::global);
    app_.add_flag("--version", show_version_, "Print the version and leave")->group(group::global);
    app_.add_flag("-h,--help", show_help_, "Print the most used options, or with =all every one, and leave")
        ->option_text("[=all]")
        ->group(group::global);
    app_.footer("\nReferences:\n"
                "  PATH                        A disk; its format is detected\n"
                "  qcow2:PATH, raw:PATH        A disk of that format\n"
                "  vmdk:, vhd:, vhdx:, vdi:    The same with PATH behind it, as sources only\n"
                "  ova:PATH, vmx:PATH          A machine with its disks; libvirt: and hyperv:, too\n"
                "  nbd://…, https://…, -       A disk on a server, or on standard input\n"
                "  oci:DIR[:TAG]               An image in an OCI layout\n"
                "  oci-archive:FILE[:TAG]      The same in a tar archive\n"
                "  docker://HOST/REPO[:TAG]    An image in a registry\n"
                "  null:                       As a destination: compute everything, write nothing\n"
                "\n'vm2oci COMMAND --help' explains a command, 'vm2oci help' lists topics; 'man vm2oci' explains "
                "everything.\n");
}

CLI::App& CommandTable::add(const std::string& name, const std::string& summary, std::vector<Example> examples,
                            Handler handler) {
    CLI::App* command = app_.add_subcommand(name, summary);
    command->set_help_flag();
    command->footer(examples_text(examples));
    command->callback([this, handler = std::move(handler)] { handler_ = handler; });
    return *command;
}

CLI::App& CommandTable::add_hidden(const std::string& name, const std::string& summary, Handler handler) {
    return *add(name, summary, {}, std::move(handler)).group("");
}

std::string CommandTable::page_about(const std::string& word) const {
    const auto named = app_.get_subcommands([&](const CLI::App* command) { return command->get_name() == word; });
    if (!named.empty())
        return help_page(*named[0]);
    if (const std::optional<std::string> page = topic_page(word))
        return *page;
    fail(ErrorKind::usage,
         "there is no command, topic or error code '" + word + "'; 'vm2oci help' lists what there is");
}

void CommandTable::take_words_behind_first(const CLI::App& command, std::vector<std::string>& words) {
    foreign_words_[command.get_name()] = &words;
}

std::vector<std::string>* CommandTable::cut_foreign_words(std::vector<std::string>& arguments,
                                                          std::vector<std::string>& foreign) {
    const CLI::App* command = nullptr;
    const auto takes_value = [&](const std::string& word) {
        const CLI::Option* option = word.find('=') != std::string::npos ? nullptr
                                    : command != nullptr && command->get_option_no_throw(word) != nullptr
                                        ? command->get_option_no_throw(word)
                                        : app_.get_option_no_throw(word);
        return option != nullptr && option->get_expected_min() > 0;
    };
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (arguments[i].starts_with('-') && arguments[i].size() > 1) {
            if (takes_value(arguments[i]))
                ++i;
            continue;
        }
        if (command == nullptr) {
            if (!foreign_words_.contains(arguments[i]))
                return nullptr;
            command = app_.get_subcommand(arguments[i]);
            continue;
        }
        foreign.assign(arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1, arguments.end());
        arguments.resize(i + 1);
        if (!foreign.empty() && foreign.front() == "--")
            foreign.erase(foreign.begin());
        return foreign_words_.at(command->get_name());
    }
    return nullptr;
}

void CommandTable::parse(const std::vector<std::string>& all) {
    std::vector<std::string> arguments = all;
    std::vector<std::string> foreign;
    std::vector<std::string>* const foreign_slot = cut_foreign_words(arguments, foreign);
    // `vm2oci help WORD`, and --help beside a command line that would not parse, must still show the page.
    const auto holds = [&](std::initializer_list<std::string_view> words) {
        return std::find_first_of(arguments.begin(), arguments.end(), words.begin(), words.end()) != arguments.end();
    };
    if (arguments.size() > 1 && arguments[0] == "help" && arguments[1][0] != '-') {
        help_text_ = page_about(arguments[1]);
        return;
    }
    const bool whole = holds({"--help=all"}) || (!arguments.empty() && arguments[0] == "help");
    if (arguments.empty() || whole || holds({"--help", "-h"})) {
        const CLI::App* shown = &app_;
        for (const std::string& word : arguments) {
            const auto named = app_.get_subcommands(
                [&](const CLI::App* command) { return shown == &app_ && command->get_name() == word; });
            if (!named.empty())
                shown = named[0];
        }
        help_text_ = whole ? help_page(*shown) : short_help_page(*shown);
        if (arguments.size() == 1 && arguments[0] == "help")
            help_text_ += topic_list();
        return;
    }
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    try {
        app_.parse(reversed);
    } catch (const CLI::ParseError& error) {
        const auto chosen = app_.get_subcommands();
        const std::string page = chosen.empty() ? "vm2oci --help" : "vm2oci " + chosen[0]->get_name() + " --help";
        fail(ErrorKind::usage, std::string(error.what()) + "; see '" + page + "'");
    }
    refuse_empty_values(app_);
    if (foreign_slot != nullptr)
        *foreign_slot = std::move(foreign);
    if (!show_version_ && !handler_)
        fail(ErrorKind::usage, "no command was given; see 'vm2oci --help'");
}

} // namespace vm2oci::cli
