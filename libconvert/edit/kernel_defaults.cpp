// Command lines in files that a shell reads. They are programs: their values have quotes, pieces and substitutions, and
// may be put together in several steps.
#include "formats/base/escape.hpp"
#include "libconvert/edit/kernel_command_lines.hpp"
#include "libconvert/edit/shell_text.hpp"
#include "libconvert/edit/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <utility>

namespace vm2oci {
namespace {

// A word of the command line in a value, and the characters that make it.
struct ValueWord {
    std::string text;
    std::vector<ShellUnit> units;
    std::vector<ShellUnit> blanks; // before it
};

std::vector<ValueWord> words_in_value(const std::vector<ShellUnit>& units) {
    std::vector<ValueWord> words;
    std::vector<ShellUnit> blanks;
    bool inside = false;
    bool quoted = false;
    for (const ShellUnit& unit : units) {
        if (unit.text.empty())
            continue; // a continued line
        const bool blank = !unit.opaque && !quoted && unit.text.find_first_not_of(" \t\n\r") == std::string::npos;
        if (blank) {
            blanks.push_back(unit);
            inside = false;
            continue;
        }
        if (!inside)
            words.push_back({{}, {}, std::exchange(blanks, {})});
        inside = true;
        if (!unit.opaque && unit.text == "\"")
            quoted = !quoted;
        words.back().text += unit.text;
        words.back().units.push_back(unit);
    }
    return words;
}

std::vector<std::string> texts_of(const std::vector<ValueWord>& words) {
    std::vector<std::string> texts;
    for (const ValueWord& word : words)
        texts.push_back(word.text);
    return texts;
}

struct Replacement {
    ShellSpan where;
    std::string text;
};

std::string with_replacements(std::string_view text, std::vector<Replacement> replacements) {
    std::sort(replacements.begin(), replacements.end(),
              [](const Replacement& a, const Replacement& b) { return a.where.begin < b.where.begin; });
    std::string out;
    std::size_t at = 0;
    for (const Replacement& each : replacements) {
        out += text.substr(at, each.where.begin - at);
        out += each.text;
        at = each.where.end;
    }
    out += text.substr(at);
    return out;
}

// The characters of a word that differ are put into the quotes of the first of them.
void replace_word(const ValueWord& word, const std::string& wanted, std::vector<Replacement>& replacements) {
    std::size_t same = 0;
    std::string kept;
    while (same < word.units.size() && !word.units[same].opaque &&
           wanted.compare(0, kept.size() + word.units[same].text.size(), kept + word.units[same].text) == 0)
        kept += word.units[same++].text;
    if (same == word.units.size())
        --same, kept.resize(kept.size() - word.units[same].text.size());
    for (std::size_t i = same; i < word.units.size(); ++i)
        replacements.push_back(
            {word.units[i].source, i == same
                                       ? shell_quoted(std::string_view(wanted).substr(kept.size()), word.units[i].quote)
                                       : std::string()});
}

// Words that go and words that change, in one value.
void change_words(std::string_view text, const ShellAssignment& assignment, const CommandLineChange& change,
                  std::vector<Replacement>& replacements) {
    const std::vector<ValueWord> words = words_in_value(shell_units(text, assignment.value));
    const std::vector<std::string> before = texts_of(words);
    const WordChanges changes = compare_words(before, change(before));
    bool first = true; // of those that stay
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::optional<std::string>& now = changes.words[i];
        if (now && *now != before[i])
            replace_word(words[i], *now, replacements);
        const bool leads = now && first && i != 0;
        if (!now)
            for (const ShellUnit& unit : words[i].units)
                replacements.push_back({unit.source, ""});
        // A blank goes with the word behind it, and the first one has none before it.
        if (!now || leads)
            for (const ShellUnit& unit : words[i].blanks)
                replacements.push_back({unit.source, ""});
        first = first && !now;
    }
}

// Behind the value's last character, in its quotes where it has some; before a "--", behind which all is for init.
Replacement added_words(std::string_view text, const ShellAssignment& assignment, const std::string& added) {
    const std::vector<ShellUnit> units = shell_units(text, assignment.value);
    for (const ValueWord& word : words_in_value(units))
        if (texts_of({word}).front() == "--") {
            const ShellUnit& dashes = word.units.front();
            const std::string quoted = dashes.quote != 0 ? shell_quoted(added + " ", dashes.quote)
                                                         : '"' + shell_quoted(added + " ", '"') + '"';
            return {{dashes.source.begin, dashes.source.begin}, quoted};
        }
    const std::size_t end = assignment.value.end;
    const std::string_view source = text.substr(assignment.value.begin, end - assignment.value.begin);
    const bool empty = units.empty();
    const bool ends_in_blank = !empty && !units.back().opaque && trimmed(units.back().text).empty();
    const std::string words = (empty || ends_in_blank ? "" : " ") + added;
    const char last = source.empty() ? '\0' : source.back();
    const bool in_quotes =
        empty ? source == "\"\"" || source == "''"
              : units.back().quote != 0 && last == units.back().quote && units.back().source.end == end - 1;
    if (in_quotes)
        return {{end - 1, end - 1}, shell_quoted(words, last)};
    return {{end, end}, '"' + shell_quoted(words, '"') + '"'};
}

bool mentions_itself(std::string_view text, const ShellAssignment& assignment) {
    for (const ShellUnit& unit : shell_units(text, assignment.value))
        if (unit.opaque && (unit.text == "$" + assignment.name || unit.text == "${" + assignment.name + "}"))
            return true;
    return false;
}

// By another file that this one reads, or by what an expansion assigns (": ${NAME:=…}").
bool may_be_set_unseen(std::string_view text, const std::string& name) {
    for (const char* assigns : {":=", "="})
        if (text.find("${" + name + assigns) != std::string_view::npos)
            return true;
    const auto script = parse_shell(text);
    for (const ShellCommand& command : script ? script->commands : std::vector<ShellCommand>()) {
        if (command.words.empty())
            continue;
        const ShellSpan first = command.words.front();
        const std::string_view word = text.substr(first.begin, first.end - first.begin);
        if (word == "." || word == "source" || word == "eval")
            return true;
    }
    return false;
}

// Words that name disks of the old machine behind root= and resume=, where they are part of no value that can be
// changed: of other variables, of functions' arguments, of defaults for expansions.
void tell_unchanged_words(PlanBuilder& plan, const std::string& path, const std::string& text,
                          const CommandLineChange& change) {
    for (const std::string_view line : lines_of(text)) {
        if (trimmed(line).starts_with("#"))
            continue;
        for (const std::string_view key : {"root=/dev/", "resume=/dev/"})
            for (std::size_t at = line.find(key); at != std::string_view::npos; at = line.find(key, at + 1)) {
                const bool is_escape = at > 1 && line[at - 2] == '\\'; // $'a\tresume=…'
                if (at != 0 && !is_escape && std::isalnum(static_cast<unsigned char>(line[at - 1])) != 0)
                    continue;
                const std::size_t end = std::min(line.find_first_of(" \t\r\"'`\\;)}|&", at), line.size());
                const std::vector<std::string> before = {std::string(line.substr(at, end - at))};
                if (const auto after = change(before); !after.empty() && after.front() != before.front())
                    plan.found(fmt::format("{} has {} in a form that is not changed here; write {} in its place",
                                           escape_untrusted(path), escape_untrusted(before.front()),
                                           escape_untrusted(after.front())));
            }
    }
}

// Files that one program reads one after the other, and the variables of theirs.
struct DefaultFiles {
    std::vector<std::string> paths;
    std::string main;                // what every entry gets: words are added to it
    std::vector<std::string> others; // only looked at, and words are taken from them
};

struct DefaultText {
    std::string path;
    std::string before;
    std::string text;
};

// What the variables come to hold, and the assignment that words can be added to.
struct DefaultState {
    std::vector<std::string> main;
    std::vector<std::string> others;
    std::optional<std::size_t> file; // of the last assignment to the main variable
    std::optional<ShellAssignment> last;
    bool certain = true; // nothing that is only sometimes carried out comes behind it
};

DefaultState run_assignments(const std::vector<DefaultText>& texts, const DefaultFiles& files) {
    DefaultState state;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto assignments = shell_assignments(texts[i].text);
        for (const ShellAssignment& each : assignments.value_or(std::vector<ShellAssignment>())) {
            const bool main = each.name == files.main;
            if (!main && std::find(files.others.begin(), files.others.end(), each.name) == files.others.end())
                continue;
            const std::vector<std::string> words = texts_of(words_in_value(shell_units(texts[i].text, each.value)));
            std::vector<std::string>& held = main ? state.main : state.others;
            if (main && each.sometimes)
                state.certain = false;
            if (each.sometimes)
                continue;
            if (main && !each.appends && !mentions_itself(texts[i].text, each))
                held.clear();
            held.insert(held.end(), words.begin(), words.end());
            if (main) {
                state.file = i;
                state.last = each;
                state.certain = true;
            }
        }
    }
    return state;
}

void change_default_files(PlanBuilder& plan, const DefaultFiles& files, const CommandLineChange& change,
                          const std::string& reason) {
    std::vector<DefaultText> texts;
    for (const std::string& path : files.paths) {
        const auto text = plan.read_text(path);
        if (!text)
            continue;
        const auto assignments = shell_assignments(*text);
        if (!assignments) {
            plan.found(escape_untrusted(path) + " is no valid shell script, and is not changed");
            continue;
        }
        std::vector<Replacement> replacements;
        for (const ShellAssignment& each : *assignments) {
            if (each.name == files.main ||
                std::find(files.others.begin(), files.others.end(), each.name) != files.others.end())
                change_words(*text, each, change, replacements);
            if (each.name == "root") { // of update-extlinux.conf
                const std::vector<std::string> before = {"root=" + shell_value(*text, "root")};
                const auto after = change(before);
                if (!after.empty() && after[0] != before[0] && after[0].starts_with("root="))
                    replacements.push_back({each.value, '"' + shell_quoted(after[0].substr(5), '"') + '"'});
            }
        }
        texts.push_back({path, *text, with_replacements(*text, std::move(replacements))});
    }
    if (texts.empty())
        return;
    DefaultState state = run_assignments(texts, files);
    state.certain = state.certain && (state.last || std::none_of(texts.begin(), texts.end(), [&](const auto& each) {
                                          return may_be_set_unseen(each.text, files.main);
                                      }));
    std::vector<std::string> words = state.main;
    words.insert(words.end(), state.others.begin(), state.others.end());
    const std::vector<std::string> added = compare_words(words, change(words)).added;
    if (!added.empty()) {
        const std::string joined = fmt::format("{}", fmt::join(added, " "));
        if (state.last && state.certain) {
            std::string& text = texts[*state.file].text;
            text = with_replacements(text, {added_words(text, *state.last, joined)});
        } else {
            // Behind all that is only sometimes carried out.
            std::string& text = state.certain ? texts.front().text : texts.back().text;
            if (!text.empty() && !text.ends_with('\n'))
                text += '\n';
            text += state.certain ? fmt::format("{}=\"{}\"\n", files.main, shell_quoted(joined, '"'))
                                  : fmt::format("{0}=\"${0} {1}\"\n", files.main, shell_quoted(joined, '"'));
        }
    }
    for (DefaultText& each : texts) {
        tell_unchanged_words(plan, each.path, each.text, change);
        if (each.text != each.before)
            plan.write(each.path, std::move(each.text), reason);
    }
}

// `set NAME=value` of GRUB's script.
std::vector<ShellAssignment> grub_settings(std::string_view text, const std::vector<std::string_view>& names) {
    std::vector<ShellAssignment> settings;
    const auto script = parse_shell(text);
    for (const ShellCommand& command : script ? script->commands : std::vector<ShellCommand>()) {
        const auto word = [&](std::size_t i) {
            return text.substr(command.words[i].begin, command.words[i].end - command.words[i].begin);
        };
        if (command.words.size() != 2 || word(0) != "set")
            continue;
        const std::size_t equals = word(1).find('=');
        if (equals != std::string_view::npos &&
            std::find(names.begin(), names.end(), word(1).substr(0, equals)) != names.end())
            settings.push_back({std::string(word(1).substr(0, equals)),
                                command.words[1],
                                {command.words[1].begin + equals + 1, command.words[1].end},
                                false,
                                command.sometimes});
    }
    return settings;
}

} // namespace

void change_kernel_defaults(PlanBuilder& plan, const CommandLineChange& change, const std::string& reason) {
    DefaultFiles grub{{"/etc/default/grub"}, "GRUB_CMDLINE_LINUX", {"GRUB_CMDLINE_LINUX_DEFAULT"}};
    for (const std::string& path : plan.glob("/etc/default/grub.d/*.cfg"))
        grub.paths.push_back(path);
    if (!plan.exists(grub.paths.front()))
        grub.paths.erase(grub.paths.begin());
    // Alone, the files of the folder say nothing of what every entry gets.
    bool any = plan.exists("/etc/default/grub");
    for (const std::string& path : grub.paths)
        any = any || plan.read_text(path).value_or("").find("GRUB_CMDLINE_LINUX") != std::string::npos;
    if (any)
        change_default_files(plan, grub, change, reason);
    change_default_files(plan, {{"/etc/update-extlinux.conf"}, "default_kernel_opts", {}}, change, reason);
    // perl-Bootloader of SLES 11 and before.
    if (!shell_value(plan.read_text("/etc/sysconfig/bootloader").value_or(""), "DEFAULT_APPEND").empty())
        change_default_files(plan, {{"/etc/sysconfig/bootloader"}, "DEFAULT_APPEND", {}}, change, reason);
}

std::vector<std::vector<std::string>> words_of_settings(std::string_view text,
                                                        const std::vector<std::string_view>& names) {
    std::vector<std::vector<std::string>> all;
    for (const ShellAssignment& each : grub_settings(text, names))
        all.push_back(texts_of(words_in_value(shell_units(text, each.value))));
    return all;
}

std::optional<std::string> with_changed_values(std::string_view text, const std::vector<std::string_view>& names,
                                               const CommandLineChange& change) {
    std::string out(text);
    const std::vector<ShellAssignment> settings = grub_settings(text, names);
    for (auto setting = settings.rbegin(); setting != settings.rend(); ++setting) {
        std::vector<Replacement> replacements;
        change_words(text, *setting, change, replacements);
        const std::vector<std::string> before = texts_of(words_in_value(shell_units(text, setting->value)));
        const std::vector<std::string> added = compare_words(before, change(before)).added;
        if (!added.empty())
            replacements.push_back(added_words(text, *setting, fmt::format("{}", fmt::join(added, " "))));
        // What stands before it is as it was: the settings are gone through from the last one.
        out = with_replacements(text.substr(0, setting->whole.end), std::move(replacements)) +
              out.substr(setting->whole.end);
    }
    return out == text ? std::nullopt : std::optional(out);
}

} // namespace vm2oci
