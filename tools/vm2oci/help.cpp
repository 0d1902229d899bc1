#include "tools/vm2oci/help.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace vm2oci::cli {
namespace {

constexpr std::size_t kTextColumn = 30;
constexpr std::size_t kLineWidth = 100;

std::string wrapped(const std::string& text, std::size_t indent) {
    std::string out;
    std::size_t column = indent;
    std::size_t start = 0;
    while (start < text.size()) {
        const std::size_t end = std::min(text.find(' ', start), text.size());
        const std::string word = text.substr(start, end - start);
        if (column > indent && column + 1 + word.size() > kLineWidth) {
            out += "\n" + std::string(indent, ' ');
            column = indent;
        }
        if (column > indent) {
            out += ' ';
            ++column;
        }
        out += word;
        column += word.size();
        start = end + 1;
    }
    return out;
}

std::string entry(const std::string& left, const std::string& right) {
    std::string line = "  " + left;
    if (line.size() + 2 > kTextColumn)
        line += "\n" + std::string(kTextColumn, ' ');
    else
        line += std::string(kTextColumn - line.size(), ' ');
    return line + wrapped(right, kTextColumn) + "\n";
}

std::string option_entry(const CLI::Option& option, const char* text = nullptr) {
    std::string names = option.get_name(false, true);
    for (std::size_t at = names.find(','); at != std::string::npos; at = names.find(',', at + 2))
        names.replace(at, 1, ", ");
    // CLI11 shows what a flag means without a value behind its name.
    if (const std::size_t brace = names.find('{'); brace != std::string::npos)
        names.erase(brace, names.find('}', brace) + 1 - brace);
    const std::string& value = option.get_option_text();
    const bool attached = value.starts_with('[');
    if (!value.empty())
        names += (attached ? "" : " ") + value;
    return entry(names, text == nullptr ? option.get_description() : text);
}

std::string option_groups(const CLI::App& command, bool global) {
    std::string out;
    for (const std::string& name : command.get_groups()) {
        const auto options = command.get_options([&](const CLI::Option* option) {
            return option->get_group() == name && option->nonpositional() && !name.empty();
        });
        if (options.empty() || (global != (name == group::global)))
            continue;
        out += "\n" + (name == "Options" ? std::string("Options") : name) + ":\n";
        for (const CLI::Option* option : options)
            out += option_entry(*option);
    }
    return out;
}

// What `--help` explains of commands with long pages; the rest is named.
struct UsedOption {
    const char* name;
    const char* text = nullptr; // null: as the whole page has it
};

struct MostUsed {
    std::string_view command;
    std::vector<UsedOption> options;
};

constexpr const char* kFixText = "Mend what keeps the guest from booting here";
constexpr const char* kSysprepText = "Make it a template: without identity, keys, logs and the like";

const std::vector<MostUsed>& most_used() {
    static const std::vector<MostUsed> kMostUsed = {
        {"convert",
         {{"--as", "containerdisk (default), bundle, rootfs, vm, kata, podman-machine, rancher, runv, virtlet"},
          {"--fix", kFixText},
          {"--sysprep", kSysprepText},
          {"--hostname"},
          {"--ssh-key"},
          {"--user-data"},
          {"--size"},
          {"--sparsify", "Leave out what the guest's file systems do not use"},
          {"--boot-test", "Boot what was written; it appears only if it comes up"},
          {"--dry-run"}}},
        {"inject",
         {{"--fix", kFixText},
          {"--sysprep", kSysprepText},
          {"--hostname"},
          {"--ssh-key"},
          {"--user-data"},
          {"--agent"},
          {"--copy-in"},
          {"--dry-run"}}},
        {"boot",
         {{"--timeout"},
          {"--expect"},
          {"--exec"},
          {"--forward"},
          {"--console"},
          {"--firmware"},
          {"--memory"},
          {"--junit"},
          {"--report"},
          {"--compare", "Boot this one too, and say what was lost"}}},
        {"manifest",
         {{"--for"},
          {"--image"},
          {"--name"},
          {"--cpus"},
          {"--memory"},
          {"--instancetype"},
          {"--preference"},
          {"--user-data"}}},
        {"batch",
         {{"--dry-run"}, {"--keep-going"}, {"--jobs"}, {"--report"}, {"--junit"}, {"--index"}, {"--of"}, {"--for"}}},
        {"inspect", {{"--key"}, {"--disk"}, {"--arch"}}},
    };
    return kMostUsed;
}

// The footer of a command with its first examples, each of two lines below the heading.
std::string first_examples(const std::string& footer) {
    constexpr unsigned kLines = 2 + 2 * 3; // an empty one, the heading, three examples
    std::size_t end = 0;
    for (unsigned line = 0; line < kLines && end < footer.size(); ++line)
        end = std::min(footer.find('\n', end), footer.size() - 1) + 1;
    return footer.substr(0, end);
}

// "  Registry                    --tls-verify, --authfile …": the options of a group that are not explained.
std::string names_of_others(const CLI::App& command, bool global, const MostUsed& explained) {
    std::string out;
    for (const std::string& name : command.get_groups()) {
        std::string names;
        for (const CLI::Option* option : command.get_options([&](const CLI::Option* candidate) {
                 return candidate->get_group() == name && candidate->nonpositional() && !name.empty();
             }))
            if (std::none_of(explained.options.begin(), explained.options.end(),
                             [&](const UsedOption& used) { return option->get_name() == used.name; }))
                names += (names.empty() ? "" : ", ") + option->get_name();
        if (!names.empty() && global == (name == group::global))
            out += entry(name, names);
    }
    return out;
}

std::string usage_line(const CLI::App& command) {
    std::string line = "Usage: vm2oci";
    if (command.get_parent() == nullptr)
        return line + " COMMAND [OPTIONS]\n";
    line += " " + command.get_name() + " [OPTIONS]";
    for (const CLI::Option* option :
         command.get_options([](const CLI::Option* candidate) { return candidate->get_positional(); })) {
        const std::string name = option->get_name(true, false);
        const std::string more = option->get_expected_max() > 1 ? "..." : "";
        line += option->get_required() ? fmt::format(" {}{}", name, more) : fmt::format(" [{}{}]", name, more);
    }
    return line + "\n";
}

std::string page_head(const CLI::App& command) {
    std::string out = usage_line(command);
    out += "\n" + command.get_description() + ".\n";

    const auto positionals = command.get_options([](const CLI::Option* option) { return option->get_positional(); });
    if (!positionals.empty())
        out += "\nArguments:\n";
    for (const CLI::Option* option : positionals)
        out += entry(option->get_name(true, false), option->get_description());
    return out;
}

const CLI::App& root_of(const CLI::App& command) {
    return command.get_parent() == nullptr ? command : *command.get_parent();
}

} // namespace

std::string help_page(const CLI::App& command) {
    std::string out = page_head(command);

    const auto subcommands =
        command.get_subcommands([](const CLI::App* candidate) { return !candidate->get_group().empty(); });
    if (!subcommands.empty())
        out += "\nCommands:\n";
    for (const CLI::App* candidate : subcommands)
        out += entry(candidate->get_name(), candidate->get_description());

    out += option_groups(command, false);
    out += option_groups(root_of(command), true);
    if (!command.get_footer().empty())
        out += command.get_footer();
    return out;
}

std::string short_help_page(const CLI::App& command) {
    const auto row = std::find_if(most_used().begin(), most_used().end(),
                                  [&](const MostUsed& each) { return each.command == command.get_name(); });
    if (row == most_used().end())
        return help_page(command);
    std::string out = page_head(command) + "\nMost used:\n";
    for (const UsedOption& used : row->options)
        out += option_entry(*command.get_option(used.name), used.text);
    out += "\nOthers:\n" + names_of_others(command, false, *row) + names_of_others(root_of(command), true, *row);
    out += first_examples(command.get_footer());
    return out + fmt::format("\n'vm2oci {} --help=all' explains every option; 'man vm2oci' explains everything.\n",
                             command.get_name());
}

} // namespace vm2oci::cli
