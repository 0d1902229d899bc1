#include "libconvert/manifest/document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

// A string that every reader takes for a string: it begins with a letter or a slash, holds nothing that YAML reads as
// a sign, and is no word that YAML 1.1 has a meaning for.
bool is_plain(std::string_view text) {
    static constexpr std::array<std::string_view, 10> kWords = {"true", "false", "yes", "no", "on",
                                                                "off",  "null",  "y",   "n",  "nan"};
    if (text.empty() || (std::isalpha(static_cast<unsigned char>(text.front())) == 0 && text.front() != '/'))
        return false;
    const auto is_safe = [](unsigned char c) {
        return std::isalnum(c) != 0 || std::string_view("-_./@+=").find(static_cast<char>(c)) != std::string_view::npos;
    };
    // A colon inside of a word is none of YAML's: "docker://host:5000/x".
    for (std::size_t i = 0; i < text.size(); ++i)
        if (!is_safe(static_cast<unsigned char>(text[i])) &&
            !(text[i] == ':' && i + 1 < text.size() && text[i + 1] != ' '))
            return false;
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return std::find(kWords.begin(), kWords.end(), lower) == kWords.end();
}

// The bytes at `at` that JSON prints and YAML does not hold or takes for the end of a line: DEL, C1 controls, U+2028,
// U+2029, the byte order mark. 0: none of them.
std::size_t unprintable_at(std::string_view text, std::size_t at) {
    const std::string_view rest = text.substr(at);
    if (rest.front() == '\x7f')
        return 1;
    if (rest.front() == '\xc2' && rest.size() > 1 && static_cast<unsigned char>(rest[1]) < 0xa0)
        return 2;
    const std::string_view three = rest.substr(0, 3);
    return three == "\xe2\x80\xa8" || three == "\xe2\x80\xa9" || three == "\xef\xbb\xbf" ? 3 : 0;
}

std::string quoted(const std::string& text) {
    const std::string json = Json(text).dump();
    std::string result;
    for (std::size_t i = 0; i < json.size();) {
        const std::size_t length = unprintable_at(json, i);
        if (length == 0) {
            result += json[i++];
            continue;
        }
        const auto byte = [&](std::size_t n) { return static_cast<unsigned>(static_cast<unsigned char>(json[i + n])); };
        const unsigned code = length == 1   ? byte(0)
                              : length == 2 ? byte(1)
                                            : (byte(0) & 0xfU) << 12 | (byte(1) & 0x3fU) << 6 | (byte(2) & 0x3fU);
        result += fmt::format("\\u{:04x}", code);
        i += length;
    }
    return result;
}

// Whether it can stand as a literal block, byte for byte.
bool is_block(std::string_view text) {
    if (text.find('\n') == std::string_view::npos || text.front() == ' ' || text.front() == '\n')
        return false;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (unprintable_at(text, i) != 0)
            return false;
    return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c == '\n' || c == '\t' || c >= ' '; });
}

std::string pointer_step(std::string_view key) {
    std::string step = "/";
    for (const char c : key)
        step += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    return step;
}

class YamlWriter {
  public:
    explicit YamlWriter(const ManifestDocument& document) : document_(document) {}

    std::string write() {
        write_comment("", 0);
        write_members(document_.content, "", 0);
        return std::move(text_);
    }

  private:
    void write_comment(const std::string& pointer, std::size_t depth) {
        const auto found = document_.comments.find(pointer);
        if (found == document_.comments.end())
            return;
        std::string_view rest = found->second;
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find('\n'), rest.size());
            text_ += std::string(2 * depth, ' ') + "# " + std::string(rest.substr(0, end)) + "\n";
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }

    // Behind "key:" or "-".
    void write_value(const Json& value, const std::string& pointer, std::size_t depth) {
        if (value.is_structured() && !value.empty()) {
            text_ += '\n';
            write_members(value, pointer, depth);
        } else if (value.is_string()) {
            write_string(value.get_ref<const std::string&>(), depth);
        } else {
            text_ += " " + value.dump() + "\n";
        }
    }

    void write_string(const std::string& text, std::size_t depth) {
        if (!is_block(text)) {
            text_ += " " + (is_plain(text) ? text : quoted(text)) + "\n";
            return;
        }
        const std::size_t last = text.find_last_not_of('\n');
        const std::size_t ends = text.size() - 1 - last; // line ends behind the last line
        text_ += ends == 0 ? " |-\n" : ends == 1 ? " |\n" : " |+\n";
        std::string_view rest = text;
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find('\n'), rest.size());
            text_ += (end == 0 ? "" : std::string(2 * depth, ' ')) + std::string(rest.substr(0, end)) + "\n";
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }

    void write_members(const Json& value, const std::string& pointer, std::size_t depth) {
        const std::string indent(2 * depth, ' ');
        if (value.is_array()) {
            for (std::size_t i = 0; i < value.size(); ++i)
                write_element(value[i], pointer + "/" + std::to_string(i), depth);
            return;
        }
        for (const auto& [key, member] : value.items()) {
            const std::string place = pointer + pointer_step(key);
            write_comment(place, depth);
            text_ += indent + (is_plain(key) ? key : quoted(key)) + ":";
            write_value(member, place, depth + 1);
        }
    }

    void write_element(const Json& element, const std::string& pointer, std::size_t depth) {
        write_comment(pointer, depth);
        const std::size_t begin = text_.size();
        const std::string indent(2 * depth, ' ');
        if (!element.is_object() || element.empty()) {
            text_ += indent + "-";
            write_value(element, pointer, depth + 1);
            return;
        }
        // The first member stands behind the dash; a comment of it goes above.
        write_members(element, pointer, depth + 1);
        const std::string inner(2 * depth + 2, ' ');
        std::size_t line = begin;
        while (text_.compare(line, inner.size() + 1, inner + "#") == 0)
            line = text_.find('\n', line) + 1;
        text_[line + inner.size() - 2] = '-';
    }

    const ManifestDocument& document_;
    std::string text_;
};

} // namespace

void ManifestDocument::comment(const std::string& pointer, const std::string& text) {
    if (text.empty())
        return;
    std::string& there = comments[pointer];
    there += (there.empty() ? "" : "\n") + text;
}

std::string to_yaml(const std::vector<ManifestDocument>& documents) {
    std::string text;
    for (const ManifestDocument& document : documents)
        text += (text.empty() ? "" : "---\n") + YamlWriter(document).write();
    return text;
}

} // namespace vm2oci
