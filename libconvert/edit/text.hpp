// Small operations on the lines of configuration files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// Without their newlines; a last line without a newline counts, an empty rest does not.
std::vector<std::string_view> lines_of(std::string_view text);
std::vector<std::string_view> lines_of(const std::string&& text) = delete; // the lines would outlive their text
// Each with a newline behind it.
std::string join_lines(const std::vector<std::string>& lines);
// Without blanks, tabs, carriage returns and newlines at either end.
std::string_view trimmed(std::string_view text);
// ASCII only.
std::string to_lower(std::string_view text);
std::string replaced(std::string_view text, std::string_view from, std::string_view to);
// Words between blanks and tabs.
std::vector<std::string> words_of(std::string_view text);
// `key = value` in a file of [sections], as systemd and NetworkManager write them, in the order of the file.
struct IniEntry {
    std::string section;
    std::string key;
    std::string value;
};
std::vector<IniEntry> parse_ini(std::string_view text);
// A YAML text without the top-level member `key`; comments and everything else stay as they are.
std::string without_top_level_key(std::string_view yaml, std::string_view key);

} // namespace vm2oci
