#include "formats/lvm_growth/located_text.hpp"

#include "formats/base/error.hpp"

#include <algorithm>
#include <charconv>

namespace vm2oci::lvm {
namespace {

constexpr std::size_t kMaxDepth = 16; // real text has four

[[noreturn]] void refuse_text() {
    fail(ErrorKind::corrupt, "the LVM metadata is no text that could be changed");
}

class Scanner {
  public:
    explicit Scanner(std::string_view text) : text_(text.substr(0, std::min(text.find('\0'), text.size()))) {}

    // Behind spaces and comments; false: the text has ended.
    bool advance() {
        while (at_ < text_.size()) {
            if (text_[at_] == '#')
                at_ = std::min(text_.find('\n', at_), text_.size());
            else if (std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
                ++at_;
            else
                return true;
        }
        return false;
    }
    bool take(char wanted) {
        if (!advance() || text_[at_] != wanted)
            return false;
        ++at_;
        return true;
    }
    // A string with its quotes, or a word.
    TextRange token() {
        if (!advance())
            refuse_text();
        const std::size_t begin = at_;
        if (text_[at_] == '"') {
            for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_)
                at_ += text_[at_] == '\\' ? 1U : 0U;
            if (at_ >= text_.size())
                refuse_text();
            return {begin, ++at_};
        }
        at_ = std::min(text_.find_first_of(" \t\r\n#{}[]=,\"", at_), text_.size());
        if (at_ == begin)
            refuse_text();
        return {begin, at_};
    }
    // A token, or a list of them with its brackets.
    TextRange value() {
        if (!advance())
            refuse_text();
        const std::size_t begin = at_;
        if (!take('['))
            return token();
        while (!take(']')) {
            token();
            take(',');
        }
        return {begin, at_};
    }
    std::size_t at() const { return at_; }
    std::string_view text() const { return text_; }

  private:
    std::string_view text_;
    std::size_t at_ = 0;
};

std::string unquoted(std::string_view token) {
    if (!token.starts_with('"'))
        return std::string(token);
    std::string text;
    for (std::size_t i = 1; i + 1 < token.size(); ++i) {
        if (token[i] == '\\')
            ++i;
        text += token[i];
    }
    return text;
}

} // namespace

LocatedText::LocatedText(std::string text) : text_(std::move(text)) {
    scan();
}

void LocatedText::scan() {
    Scanner scanner(text_);
    std::vector<std::string> open;
    const auto path_of = [&](std::string_view name) {
        return (open.empty() ? "" : open.back() + "/") + std::string(name);
    };
    while (scanner.advance()) {
        if (scanner.take('}')) {
            if (open.empty())
                refuse_text();
            section_ends_[open.back()] = scanner.at() - 1;
            open.pop_back();
            continue;
        }
        const TextRange name = scanner.token();
        std::string path = path_of(scanner.text().substr(name.begin, name.end - name.begin));
        if (scanner.take('{')) {
            if (open.size() == kMaxDepth || section_ends_.contains(path))
                refuse_text();
            sections_.push_back(path);
            open.push_back(std::move(path));
        } else if (scanner.take('=')) {
            if (!values_.emplace(std::move(path), scanner.value()).second)
                refuse_text(); // said twice
        } else {
            refuse_text();
        }
    }
    if (!open.empty())
        refuse_text();
}

const TextRange& LocatedText::value_at(const std::string& path) const {
    const auto found = values_.find(path);
    if (found == values_.end())
        fail(ErrorKind::corrupt, "the LVM metadata does not say " + path.substr(path.rfind('/') + 1));
    return found->second;
}

std::uint64_t LocatedText::number(const std::string& path) const {
    const TextRange range = value_at(path);
    std::uint64_t value = 0;
    const char* end = text_.data() + range.end;
    const auto [stop, error] = std::from_chars(text_.data() + range.begin, end, value);
    if (error != std::errc() || stop != end)
        refuse_text();
    return value;
}

std::string LocatedText::text(const std::string& path) const {
    const TextRange range = value_at(path);
    return unquoted(std::string_view(text_).substr(range.begin, range.end - range.begin));
}

std::vector<std::string> LocatedText::list(const std::string& path) const {
    const TextRange range = value_at(path);
    Scanner scanner(std::string_view(text_).substr(range.begin, range.end - range.begin));
    if (!scanner.take('['))
        return {text(path)};
    std::vector<std::string> words;
    while (!scanner.take(']')) {
        const TextRange token = scanner.token();
        words.push_back(unquoted(scanner.text().substr(token.begin, token.end - token.begin)));
        scanner.take(',');
    }
    return words;
}

std::vector<std::string> LocatedText::sections(const std::string& path) const {
    const std::string prefix = path.empty() ? "" : path + "/";
    std::vector<std::string> names;
    for (const std::string& section : sections_)
        if (section.starts_with(prefix) && section.find('/', prefix.size()) == std::string::npos)
            names.push_back(section.substr(prefix.size()));
    return names;
}

void LocatedText::set_number(const std::string& path, std::uint64_t value) {
    changes_.emplace_back(value_at(path), std::to_string(value));
}

void LocatedText::append_to_section(const std::string& path, std::string text) {
    const auto found = section_ends_.find(path);
    if (found == section_ends_.end())
        refuse_text();
    changes_.emplace_back(TextRange{found->second, found->second}, std::move(text));
}

std::string LocatedText::finish() {
    std::sort(changes_.begin(), changes_.end(),
              [](const auto& a, const auto& b) { return a.first.begin > b.first.begin; });
    std::string changed = text_;
    for (const auto& [range, text] : changes_)
        changed.replace(range.begin, range.end - range.begin, text);
    return changed;
}

} // namespace vm2oci::lvm
