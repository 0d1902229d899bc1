// Text that a shell reads, /etc/default/grub and ifcfg files for example: where its commands and assignments stand, and
// how to change one and leave everything else as it is. The grammar is POSIX's (Shell Command Language 2.3, 2.10),
// which GRUB's own script language keeps to in what is read here.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

struct ShellSpan {
    std::size_t begin = 0;
    std::size_t end = 0;
};

struct ShellCommand {
    std::vector<ShellSpan> words; // as written, quotes included; reserved words before a command are left out
    bool sometimes = false;       // inside of if, a loop, a function, or behind && and ||
};

struct ShellScript {
    std::vector<ShellCommand> commands;
    bool balanced = true; // every if, { and ( has its end
};
// nullopt: a quote or a substitution does not end.
std::optional<ShellScript> parse_shell(std::string_view text);

struct ShellAssignment {
    std::string name;
    ShellSpan whole; // NAME=value
    ShellSpan value;
    bool appends = false; // NAME+=value
    bool sometimes = false;
};
// Assignments that last, exported ones too, in the order of the text. nullopt: the text is no valid shell.
std::optional<std::vector<ShellAssignment>> shell_assignments(std::string_view text);

// A character of a value after quotes are taken off, or a substitution, which is kept as written.
struct ShellUnit {
    std::string text;
    ShellSpan source;
    char quote = 0;      // '"', '\'' or none around it
    bool opaque = false; // $NAME, $(…), `…`
};
std::vector<ShellUnit> shell_units(std::string_view text, ShellSpan value);
// As it has to stand between such quotes.
std::string shell_quoted(std::string_view text, char quote);

// The value of the last assignment that is always carried out, or else of the last one; substitutions as written. Text
// that is no shell is read line by line. Empty: none.
std::string shell_value(std::string_view text, std::string_view key);
// The text with the value of every assignment to `key` replaced; nullopt when there is none, or the text is no shell.
std::optional<std::string> with_shell_value(std::string_view text, std::string_view key, std::string_view value);
// The text without the assignments to `keys`, and without the lines that only held these; nullopt when nothing changes.
std::optional<std::string> without_shell_values(std::string_view text, std::initializer_list<std::string_view> keys);

} // namespace vm2oci
