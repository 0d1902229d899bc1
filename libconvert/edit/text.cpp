#include "libconvert/edit/text.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

} // namespace

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t newline = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, newline));
        text.remove_prefix(std::min(newline + 1, text.size()));
    }
    return lines;
}

std::string join_lines(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines)
        text += line + "\n";
    return text;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos)
        return {};
    return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

std::string to_lower(std::string_view text) {
    std::string lower(text);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return lower;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
    std::string out;
    while (true) {
        const std::size_t at = text.find(from);
        out += text.substr(0, at);
        if (at == std::string_view::npos)
            return out;
        out += to;
        text.remove_prefix(at + from.size());
    }
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    while (true) {
        const std::size_t begin = text.find_first_not_of(kBlanks);
        if (begin == std::string_view::npos)
            return words;
        text.remove_prefix(begin);
        const std::size_t end = std::min(text.find_first_of(kBlanks), text.size());
        words.emplace_back(text.substr(0, end));
        text.remove_prefix(end);
    }
}

std::vector<IniEntry> parse_ini(std::string_view text) {
    std::vector<IniEntry> entries;
    std::string section;
    for (const std::string_view view : lines_of(text)) {
        const std::string_view line = trimmed(view);
        const std::size_t equals = line.find('=');
        if (line.empty() || line.front() == '#' || line.front() == ';')
            continue;
        if (line.front() == '[' && line.back() == ']')
            section = std::string(line.substr(1, line.size() - 2));
        else if (equals != std::string_view::npos)
            entries.push_back(
                {section, std::string(trimmed(line.substr(0, equals))), std::string(trimmed(line.substr(equals + 1)))});
    }
    return entries;
}

std::string without_top_level_key(std::string_view yaml, std::string_view key) {
    std::string out;
    bool inside = false;
    for (const std::string_view line : lines_of(yaml)) {
        const bool top_level = !line.empty() && line.front() != ' ' && line.front() != '\t' && line.front() != '#' &&
                               line.front() != '-' && line.front() != '}' && line.front() != ']';
        if (top_level) {
            std::string_view name = line.substr(0, line.find(':'));
            if (name.size() > 1 && (name.front() == '"' || name.front() == '\''))
                name = name.substr(1, name.size() - 2);
            inside = trimmed(name) == key && line.find(':') != std::string_view::npos;
        }
        if (!inside || line.starts_with('#'))
            out += std::string(line) + "\n";
    }
    return out;
}

} // namespace vm2oci
