#include "tools/vm2oci/help.hpp"

#include <fmt/format.h>

#include <algorithm>

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

std::string option_entry(const CLI::Option& option) {
    std::string names = option.get_name(false, true);
    for (std::size_t at = names.find(','); at != std::string::npos; at = names.find(',', at + 2))
        names.replace(at, 1, ", ");
    // CLI11 shows what a flag means without a value behind its name.
    if (const std::size_t brace = names.find('{'); brace != std::string::npos)
        names.erase(brace, names.find('}', brace) + 1 - brace);
    const std::string value = option.get_option_text();
    const bool attached = value.starts_with('[');
    if (!value.empty())
        names += (attached ? "" : " ") + value;
    return entry(names, option.get_description());
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

} // namespace

std::string help_page(const CLI::App& command) {
    std::string out = usage_line(command);
    out += "\n" + command.get_description() + ".\n";

    const auto positionals = command.get_options([](const CLI::Option* option) { return option->get_positional(); });
    if (!positionals.empty())
        out += "\nArguments:\n";
    for (const CLI::Option* option : positionals)
        out += entry(option->get_name(true, false), option->get_description());

    const auto subcommands =
        command.get_subcommands([](const CLI::App* candidate) { return !candidate->get_group().empty(); });
    if (!subcommands.empty())
        out += "\nCommands:\n";
    for (const CLI::App* candidate : subcommands)
        out += entry(candidate->get_name(), candidate->get_description());

    out += option_groups(command, false);
    const CLI::App* root = command.get_parent() == nullptr ? &command : command.get_parent();
    out += option_groups(*root, true);
    if (!command.get_footer().empty())
        out += command.get_footer();
    return out;
}

} // namespace vm2oci::cli
