#include "tools/vm2oci/batch_text.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace vm2oci::cli {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf"; // UTF-8, as editors on Windows write it
constexpr std::size_t kLongestLine = 64ull * 1024;
constexpr std::size_t kMostMerges = 100'000; // of a whole list: one for each machine, and more

// Bytes that no path and no word can have, and that text in UTF-16 is full of.
void require_text(std::string_view text) {
    if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
        refuse_batch_line(1, "the list is in UTF-16; write it as UTF-8");
    if (const std::size_t at = text.find('\0'); at != std::string_view::npos)
        refuse_batch_line(
            static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<long>(at), '\n')) + 1,
            "a byte is 0; a list is text, in UTF-8");
}

// Splits as a shell does, without what a shell would expand. A line that ends in a backslash goes on in the next piece.
class LineSplitter {
  public:
    // Whether the piece ends in a backslash. `line` is the one to name where a quote is not closed.
    bool add(std::string_view text, std::size_t line) {
        for (std::size_t at = 0; at < text.size(); ++at) {
            const char c = text[at];
            if (c == '\\' && quote_ != '\'' && at + 1 == text.size())
                return true;
            const bool escapes =
                c == '\\' && quote_ != '\'' && (quote_ == '\0' || text[at + 1] == '"' || text[at + 1] == '\\');
            const bool is_quoted = quote_ != '\0';
            if (escapes)
                word() += text[++at];
            else if (is_quoted && c == quote_)
                quote_ = '\0';
            else if (!is_quoted && (c == '"' || c == '\'')) {
                word();
                quote_ = c;
            } else if (!is_quoted && (c == ' ' || c == '\t'))
                in_word_ = false;
            else if (!is_quoted && c == '#' && !in_word_)
                break;
            else
                word() += c;
        }
        if (quote_ != '\0')
            refuse_batch_line(line, "a quote is not closed");
        return false;
    }

    std::vector<std::string> take() { return std::move(words_); }

  private:
    std::string& word() {
        if (!in_word_)
            words_.emplace_back();
        in_word_ = true;
        return words_.back();
    }

    std::vector<std::string> words_;
    bool in_word_ = false;
    char quote_ = '\0';
};

// Without its end, of whatever system.
std::string_view take_line(std::string_view& text) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    return line;
}

// "-" alone is standard input.
bool is_option(std::string_view word) {
    return word.size() > 1 && word.starts_with('-');
}

std::vector<WrittenMachine> read_lines(std::string_view text) {
    std::vector<WrittenMachine> all;
    for (std::size_t line = 1; !text.empty(); ++line) {
        const std::size_t first = line;
        LineSplitter splitter;
        std::string_view piece = take_line(text);
        std::size_t length = piece.size();
        while (splitter.add(piece, first)) {
            if (text.empty())
                refuse_batch_line(line, "the line goes on behind its backslash, and the list ends");
            piece = take_line(text);
            length += piece.size();
            ++line;
            if (length > kLongestLine)
                refuse_batch_line(first, "the line goes on for more than 64 KiB");
        }
        const std::vector<std::string> words = splitter.take();
        if (words.empty())
            continue;
        if (words[0] == "-")
            refuse_batch_line(first, "standard input is for one machine alone; a list in YAML has its machines below "
                                     "'machines:'");
        if (words.size() < 2 || is_option(words[0]) || is_option(words[1]))
            refuse_batch_line(first, "a line is SOURCE DEST [OPTIONS]");
        all.push_back({first, words[0], "", words[1], {words.begin() + 2, words.end()}});
    }
    return all;
}

std::string text_of(const YamlValue& value, std::string_view what) {
    if (value.kind() != YamlKind::scalar)
        refuse_batch_line(value.line(), fmt::format("{} is a text", what));
    return value.text();
}

std::vector<std::string> options_of(const YamlValue& value) {
    if (value.kind() == YamlKind::scalar) {
        LineSplitter splitter;
        if (splitter.add(value.text(), value.line()))
            refuse_batch_line(value.line(), "the options end with a backslash");
        return splitter.take();
    }
    if (value.kind() != YamlKind::sequence)
        refuse_batch_line(value.line(), "options are a list of words, or a line of them");
    std::vector<std::string> words;
    for (const YamlValue& item : value.items())
        words.push_back(text_of(item, "an option"));
    return words;
}

using Members = std::vector<std::pair<YamlValue, YamlValue>>;

// Mappings with what "<<" merges into them, as YAML 1.1 has it: what a mapping says itself goes before.
class MemberReader {
  public:
    Members members(const YamlValue& mapping, std::string_view what) {
        if (mapping.kind() != YamlKind::mapping)
            refuse_batch_line(mapping.line(), fmt::format("{} is a mapping", what));
        Members all;
        std::set<std::string> names;
        std::vector<YamlValue> merged;
        for (const auto& [key, value] : mapping.members())
            if (key.text() != "<<" || !key.is_plain()) {
                names.insert(key.text());
                all.emplace_back(key, value);
            } else if (value.kind() == YamlKind::sequence) {
                for (const YamlValue& item : value.items())
                    merged.push_back(item);
            } else {
                merged.push_back(value);
            }
        for (const YamlValue& other : merged) {
            // A mapping may merge itself, and many may merge many.
            if (++merges_ > kMostMerges)
                refuse_batch_line(mapping.line(), "too much is merged by <<");
            if (++depth_ > kMostDepth)
                refuse_batch_line(mapping.line(), "what << merges is nested too deep");
            for (auto& member : members(other, "what << merges"))
                if (names.insert(member.first.text()).second)
                    all.push_back(std::move(member));
            --depth_;
        }
        return all;
    }

  private:
    static constexpr std::size_t kMostDepth = 16;
    std::size_t merges_ = 0;
    std::size_t depth_ = 0;
};

void take_member(const YamlValue& key, const YamlValue& value, WrittenMachine& into) {
    const std::string name = key.text();
    if (name == "source")
        into.source = text_of(value, name);
    else if (name == "name")
        into.name = text_of(value, name);
    else if (name == "destination")
        into.destination = text_of(value, name);
    else if (name == "options")
        for (std::string& word : options_of(value))
            into.options.push_back(std::move(word));
    else
        refuse_batch_line(key.line(),
                          fmt::format("{} is none of source, name, destination, options", quote_untrusted(name)));
}

YamlValue parse_list_yaml(std::string_view text) {
    try {
        return parse_yaml(text);
    } catch (const Error& error) {
        fail(ErrorKind::usage, error.what());
    }
}

WrittenMachine read_defaults(const YamlValue& value, MemberReader& reader) {
    WrittenMachine defaults{};
    if (value.kind() == YamlKind::null)
        return defaults;
    for (const auto& [name, member] : reader.members(value, "defaults")) {
        if (name.text() == "source" || name.text() == "name")
            refuse_batch_line(name.line(), "every machine has its own " + name.text());
        take_member(name, member, defaults);
    }
    return defaults;
}

std::vector<WrittenMachine> read_yaml(std::string_view text) {
    const YamlValue root = parse_list_yaml(text);
    if (root.kind() != YamlKind::mapping)
        refuse_batch_line(root.line(), "the list is a mapping with the member machines");
    MemberReader reader;
    WrittenMachine defaults{};
    for (const auto& [key, value] : root.members()) {
        if (key.text() != "defaults" && key.text() != "machines")
            refuse_batch_line(key.line(),
                              fmt::format("{} is neither defaults nor machines", quote_untrusted(key.text())));
        if (key.text() == "defaults")
            defaults = read_defaults(value, reader);
    }
    const auto machines = root.get("machines");
    if (!machines || machines->kind() != YamlKind::sequence)
        refuse_batch_line(root.line(), "machines is a list");
    std::vector<WrittenMachine> all;
    for (const YamlValue& machine : machines->items()) {
        WrittenMachine made = defaults;
        made.line = machine.line();
        if (machine.kind() == YamlKind::scalar)
            made.source = machine.text();
        else
            for (const auto& [key, value] : reader.members(machine, "a machine that is more than its source"))
                take_member(key, value, made);
        if (made.source.empty())
            refuse_batch_line(made.line, "a machine has a source");
        if (made.destination.empty())
            refuse_batch_line(made.line, "a machine has a destination, of its own or in defaults");
        all.push_back(std::move(made));
    }
    return all;
}

bool is_yaml(std::string_view text) {
    constexpr std::array<std::string_view, 8> kBeginnings = {
        "---", "%YAML", "{", "machines:", "defaults:", "\"machines\"", "\"defaults\"", "'machines'"};
    while (!text.empty()) {
        const std::string_view line = take_line(text);
        const std::size_t first = line.find_first_not_of(" \t");
        if (first == std::string_view::npos || line[first] == '#')
            continue;
        return std::any_of(kBeginnings.begin(), kBeginnings.end(),
                           [&](std::string_view beginning) { return line.starts_with(beginning); });
    }
    return false;
}

} // namespace

void refuse_batch_line(std::size_t line, const std::string& what) {
    fail(ErrorKind::usage, fmt::format("line {}: {}", line, what));
}

std::vector<WrittenMachine> read_batch_text(std::string_view text) {
    if (text.starts_with(kByteOrderMark))
        text.remove_prefix(kByteOrderMark.size());
    require_text(text);
    return is_yaml(text) ? read_yaml(text) : read_lines(text);
}

} // namespace vm2oci::cli
