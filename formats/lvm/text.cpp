#include "formats/lvm/text.hpp"

#include "formats/base/error.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace vm2oci::lvm {
namespace {

constexpr std::size_t kMaxDepth = 8;         // real metadata has five
constexpr std::size_t kMaxItems = 1'000'000; // values and sections together

class Parser {
  public:
    explicit Parser(std::string_view text) : text_(text) {}

    Section parse() {
        // Sections that are open, outermost first; the innermost takes what comes.
        std::vector<NamedSection> open(1);
        for (;;) {
            skip_blanks();
            if (at_end())
                break;
            if (text_[at_] == '}') {
                ++at_;
                if (open.size() == 1)
                    fail_here();
                NamedSection done = std::move(open.back());
                open.pop_back();
                open.back().section.sections.push_back(std::move(done));
                continue;
            }
            if (++items_ > kMaxItems)
                fail_here();
            std::string name = read_name();
            skip_blanks();
            if (at_end())
                fail_here();
            if (text_[at_] == '{') {
                ++at_;
                if (open.size() > kMaxDepth)
                    fail_here();
                open.push_back({std::move(name), Section{}});
            } else if (text_[at_] == '=') {
                ++at_;
                open.back().section.values.emplace_back(std::move(name), read_values());
            } else {
                fail_here();
            }
        }
        if (open.size() != 1)
            fail_here();
        return std::move(open.front().section);
    }

  private:
    [[noreturn]] static void fail_here() { fail(ErrorKind::corrupt, "the LVM metadata cannot be understood"); }

    // A NUL ends the text, as in LVM's own parser.
    bool at_end() const { return at_ >= text_.size() || text_[at_] == '\0'; }

    void skip_blanks() {
        while (!at_end()) {
            if (text_[at_] == '#')
                at_ = std::min(text_.find('\n', at_), text_.size());
            else if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0)
                ++at_;
            else
                return;
        }
    }

    std::string read_name() {
        const std::size_t begin = at_;
        while (!at_end() && std::isspace(static_cast<unsigned char>(text_[at_])) == 0 && text_[at_] != '{' &&
               text_[at_] != '=' && text_[at_] != '}' && text_[at_] != '#')
            ++at_;
        if (at_ == begin)
            fail_here();
        return std::string(text_.substr(begin, at_ - begin));
    }

    Value read_value() {
        skip_blanks();
        if (at_end())
            fail_here();
        if (text_[at_] == '"') {
            std::string value;
            for (++at_; !at_end() && text_[at_] != '"'; ++at_) {
                if (text_[at_] == '\\' && at_ + 1 < text_.size())
                    ++at_;
                value += text_[at_];
            }
            if (at_end())
                fail_here();
            ++at_;
            return value;
        }
        const std::size_t begin = at_;
        while (!at_end() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '-' ||
                             text_[at_] == '.' || text_[at_] == '_'))
            ++at_;
        if (at_ == begin)
            fail_here();
        const std::string_view word = text_.substr(begin, at_ - begin);
        std::int64_t number = 0;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
        if (error == std::errc() && end == word.data() + word.size())
            return number;
        return std::string(word); // floats and bare words, which we need nowhere
    }

    std::vector<Value> read_values() {
        std::vector<Value> values;
        skip_blanks();
        if (at_end() || text_[at_] != '[') {
            values.push_back(read_value());
            return values;
        }
        ++at_;
        for (;;) {
            skip_blanks();
            if (at_end())
                fail_here();
            if (text_[at_] == ']') {
                ++at_;
                return values;
            }
            if (text_[at_] == ',') {
                ++at_;
                continue;
            }
            if (++items_ > kMaxItems)
                fail_here();
            values.push_back(read_value());
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t items_ = 0;
};

} // namespace

const Section* Section::section(std::string_view name) const {
    const auto found =
        std::find_if(sections.begin(), sections.end(), [&](const NamedSection& child) { return child.name == name; });
    return found == sections.end() ? nullptr : &found->section;
}

const std::vector<Value>* Section::list(std::string_view name) const {
    const auto found = std::find_if(values.begin(), values.end(), [&](const auto& pair) { return pair.first == name; });
    return found == values.end() ? nullptr : &found->second;
}

std::optional<std::string> Section::text(std::string_view name) const {
    const std::vector<Value>* found = list(name);
    if (found == nullptr || found->size() != 1 || !std::holds_alternative<std::string>(found->front()))
        return std::nullopt;
    return std::get<std::string>(found->front());
}

std::optional<std::uint64_t> Section::number(std::string_view name) const {
    const std::vector<Value>* found = list(name);
    if (found == nullptr || found->size() != 1 || !std::holds_alternative<std::int64_t>(found->front()) ||
        std::get<std::int64_t>(found->front()) < 0)
        return std::nullopt;
    return static_cast<std::uint64_t>(std::get<std::int64_t>(found->front()));
}

Section parse_text(std::string_view text) {
    return Parser(text).parse();
}

} // namespace vm2oci::lvm
