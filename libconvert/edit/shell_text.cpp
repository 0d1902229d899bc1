#include "libconvert/edit/shell_text.hpp"

#include "libconvert/edit/text.hpp"

#include <algorithm>
#include <array>

namespace vm2oci {
namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}
bool ends_word(char c) {
    return is_blank(c) || c == '\n' || std::string_view(";&|()<>").find(c) != std::string_view::npos;
}
bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

constexpr std::size_t kOpen = std::string_view::npos; // something that begins and does not end
constexpr unsigned kNestingLimit = 100;               // of substitutions in quotes in substitutions; people nest three

std::size_t skip_double_quotes(std::string_view text, std::size_t at, unsigned level);

// Behind the '}' or ')' that closes what was opened before `at`.
std::size_t skip_nested(std::string_view text, std::size_t at, char open, char close, unsigned level) {
    if (level > kNestingLimit)
        return kOpen;
    unsigned depth = 1;
    while (at < text.size()) {
        const char c = text[at];
        if (c == '\\') {
            at += 2;
        } else if (c == '\'') {
            at = text.find('\'', at + 1);
            if (at == kOpen)
                return kOpen;
            ++at;
        } else if (c == '"') {
            at = skip_double_quotes(text, at + 1, level + 1);
            if (at == kOpen)
                return kOpen;
        } else {
            depth += c == open ? 1U : 0U;
            ++at;
            if (c == close && --depth == 0)
                return at;
        }
    }
    return kOpen;
}

// `at` is at '$' or '`': behind the substitution; at + 1 where it is none.
std::size_t skip_substitution(std::string_view text, std::size_t at, unsigned level) {
    if (text[at] == '`') {
        for (++at; at < text.size(); ++at) {
            if (text[at] == '`')
                return at + 1;
            if (text[at] == '\\')
                ++at;
        }
        return kOpen;
    }
    const char next = at + 1 < text.size() ? text[at + 1] : '\0';
    if (next == '(')
        return skip_nested(text, at + 2, '(', ')', level);
    if (next == '{')
        return skip_nested(text, at + 2, '{', '}', level);
    std::size_t end = at + 1;
    while (end < text.size() && is_name_character(text[end]))
        ++end;
    if (end == at + 1 && std::string_view("?#$!@*-").find(next) != std::string_view::npos && next != '\0')
        ++end;
    return end;
}

std::size_t skip_double_quotes(std::string_view text, std::size_t at, unsigned level) {
    while (at < text.size()) {
        const char c = text[at];
        if (c == '"')
            return at + 1;
        if (c == '\\') {
            at += 2;
        } else if (c == '`' || c == '$') {
            at = skip_substitution(text, at, level + 1);
            if (at == kOpen)
                return kOpen;
        } else {
            ++at;
        }
    }
    return kOpen;
}

std::size_t skip_word(std::string_view text, std::size_t at) {
    while (at < text.size() && !ends_word(text[at])) {
        const char c = text[at];
        if (c == '\\') {
            at = std::min(at + 2, text.size());
        } else if (c == '\'') {
            at = text.find('\'', at + 1);
            at = at == kOpen ? kOpen : at + 1;
        } else if (c == '"') {
            at = skip_double_quotes(text, at + 1, 0);
        } else if (c == '`' || c == '$') {
            at = skip_substitution(text, at, 0);
        } else {
            ++at;
        }
        if (at == kOpen)
            return kOpen;
    }
    return at;
}

class ShellReader {
  public:
    explicit ShellReader(std::string_view text) : text_(text) {}

    std::optional<ShellScript> read() {
        while (at_ < text_.size())
            if (!step())
                return std::nullopt;
        end_command();
        script_.balanced = script_.balanced && open_.empty();
        return std::move(script_);
    }

  private:
    // False: something does not end.
    bool step() {
        const char c = text_[at_];
        const std::string_view rest = text_.substr(at_);
        if (is_blank(c)) {
            ++at_;
        } else if (rest.starts_with("\\\n")) {
            at_ += 2;
        } else if (c == '#') {
            at_ = std::min(text_.find('\n', at_), text_.size());
        } else if (c == '\n') {
            ++at_;
            end_command();
            chained_ = chained_ && awaits_command_;
            skip_documents();
        } else if (rest.starts_with("<<") && !rest.starts_with("<<<")) {
            return read_document_word();
        } else if (c == '<' || c == '>') {
            at_ += rest.starts_with("<<<") ? 3U : 1U;
            drop_next_ = true;
        } else if (c == ';' || c == '&' || c == '|' || c == '(' || c == ')') {
            read_operator(c);
        } else {
            return read_word();
        }
        return true;
    }

    void read_operator(char c) {
        const bool twice = at_ + 1 < text_.size() && text_[at_ + 1] == c;
        if (drop_next_ && c == '&') { // 2>&1
            ++at_;
            return;
        }
        end_command();
        at_ += twice && (c == '&' || c == '|') ? 2U : 1U;
        if (c == '(') {
            open_.push_back('(');
        } else if (c == ')') {
            if (!open_.empty() && open_.back() == '(')
                open_.pop_back();
            // else the pattern of a case
        }
        chained_ = c == '|' || (c == '&' && twice) || (chained_ && c == '(');
        awaits_command_ = chained_;
    }

    bool read_word() {
        const std::size_t begin = at_;
        awaits_command_ = false;
        at_ = skip_word(text_, at_);
        if (at_ == kOpen)
            return false;
        const std::string_view word = text_.substr(begin, at_ - begin);
        if (drop_next_) {
            drop_next_ = false;
        } else if (word == "{" || word == "}") {
            end_command();
            if (word == "{")
                open_.push_back('{');
            else
                close();
        } else {
            command_.words.push_back({begin, at_});
        }
        return true;
    }

    void close() {
        if (open_.empty())
            script_.balanced = false;
        else
            open_.pop_back();
    }

    // `<<END`, `<<-'END'`: the lines up to END belong to no command.
    bool read_document_word() {
        at_ += 2;
        const bool strips_tabs = at_ < text_.size() && text_[at_] == '-';
        at_ += strips_tabs ? 1U : 0U;
        while (at_ < text_.size() && is_blank(text_[at_]))
            ++at_;
        const std::size_t begin = at_;
        at_ = skip_word(text_, at_);
        if (at_ == kOpen)
            return false;
        std::string end;
        for (const ShellUnit& unit : shell_units(text_, {begin, at_}))
            end += unit.text;
        documents_.push_back(end);
        return true;
    }

    void skip_documents() {
        for (const std::string& end : documents_)
            while (at_ < text_.size()) {
                const std::size_t newline = std::min(text_.find('\n', at_), text_.size());
                const std::string_view line = text_.substr(at_, newline - at_);
                at_ = std::min(newline + 1, text_.size());
                if (line == end || line.substr(std::min(line.find_first_not_of('\t'), line.size())) == end)
                    break;
            }
        documents_.clear();
    }

    void end_command() {
        constexpr std::array kOpening = {"if", "while", "until"};
        constexpr std::array kPassing = {"then", "elif", "else", "do", "!", "time"};
        constexpr std::array kClosing = {"fi", "done", "esac"};
        const auto is_one_of = [](const auto& words, std::string_view word) {
            return std::find(words.begin(), words.end(), word) != words.end();
        };
        drop_next_ = false;
        while (!command_.words.empty()) {
            const ShellSpan first = command_.words.front();
            const std::string_view word = text_.substr(first.begin, first.end - first.begin);
            if (is_one_of(kOpening, word))
                open_.push_back('i');
            else if (is_one_of(kClosing, word))
                close();
            else if (!is_one_of(kPassing, word))
                break;
            command_.words.erase(command_.words.begin());
        }
        if (!command_.words.empty()) {
            const ShellSpan first = command_.words.front();
            const std::string_view word = text_.substr(first.begin, first.end - first.begin);
            command_.sometimes = chained_ || !open_.empty();
            script_.commands.push_back(std::move(command_));
            if (word == "for" || word == "case" || word == "select")
                open_.push_back('i');
        }
        command_ = {};
    }

    std::string_view text_;
    std::size_t at_ = 0;
    ShellScript script_;
    ShellCommand command_;
    std::vector<char> open_;
    std::vector<std::string> documents_;
    bool chained_ = false;        // behind && or ||, or in a pipe
    bool awaits_command_ = false; // whose operator was the last thing: it may stand on a line of its own
    bool drop_next_ = false;      // what a redirection names
};

// "NAME=" or "NAME+=" at the front of a word; the length of it with the '='.
std::optional<std::size_t> assignment_head(std::string_view word) {
    std::size_t end = 0;
    while (end < word.size() && is_name_character(word[end]))
        ++end;
    if (end == 0 || (word[0] >= '0' && word[0] <= '9'))
        return std::nullopt;
    if (word.substr(end).starts_with("+="))
        return end + 2;
    return word.substr(end).starts_with("=") ? std::optional(end + 1) : std::nullopt;
}

// Commands whose arguments are assignments that last; `set` is GRUB's.
bool is_declaring(std::string_view word) {
    constexpr std::array kDeclaring = {"export", "readonly", "declare", "typeset", "local", "set"};
    return std::find(kDeclaring.begin(), kDeclaring.end(), word) != kDeclaring.end();
}

std::string decoded(std::string_view text, ShellSpan value) {
    std::string out;
    for (const ShellUnit& unit : shell_units(text, value))
        out += unit.text;
    return out;
}

} // namespace

std::optional<ShellScript> parse_shell(std::string_view text) {
    return ShellReader(text).read();
}

std::optional<std::vector<ShellAssignment>> shell_assignments(std::string_view text) {
    const auto script = parse_shell(text);
    if (!script || !script->balanced)
        return std::nullopt;
    std::vector<ShellAssignment> all;
    for (const ShellCommand& command : script->commands) {
        std::vector<ShellAssignment> found;
        bool exports = false;
        bool runs_something = false;
        for (const ShellSpan span : command.words) {
            const std::string_view word = text.substr(span.begin, span.end - span.begin);
            if (const auto head = assignment_head(word)) {
                const bool appends = *head > 1 && word[*head - 2] == '+';
                found.push_back({std::string(word.substr(0, *head - (appends ? 2U : 1U))),
                                 span,
                                 {span.begin + *head, span.end},
                                 appends,
                                 command.sometimes});
            } else if (!exports) {
                exports = is_declaring(word);
                runs_something = !exports;
                if (runs_something)
                    break; // it alone is given the assignments
            }
        }
        if (!runs_something)
            all.insert(all.end(), found.begin(), found.end());
    }
    return all;
}

std::vector<ShellUnit> shell_units(std::string_view text, ShellSpan value) {
    std::vector<ShellUnit> units;
    char quote = 0;
    for (std::size_t at = value.begin; at < value.end;) {
        const char c = text[at];
        if (quote == '\'' ? c == '\'' : c == '"' || (c == '\'' && quote == 0)) {
            quote = quote == 0 ? c : '\0';
            ++at;
            continue;
        }
        std::size_t end = at + 1;
        ShellUnit unit{std::string(1, c), {}, quote, false};
        if (quote != '\'' && c == '\\' && at + 1 < value.end) {
            const char next = text[at + 1];
            end = at + 2;
            if (next == '\n')
                unit.text.clear();
            else if (quote == 0 || std::string_view("$`\"\\").find(next) != std::string_view::npos)
                unit.text = next;
            else
                unit.text += next;
        } else if (quote != '\'' && (c == '$' || c == '`')) {
            end = std::min(skip_substitution(text, at, 0), value.end);
            unit.opaque = end > at + 1;
            unit.text = text.substr(at, end - at);
        }
        unit.source = {at, end};
        units.push_back(std::move(unit));
        at = end;
    }
    return units;
}

std::string shell_quoted(std::string_view text, char quote) {
    std::string out;
    for (const char c : text) {
        if (quote == '\'' && c == '\'') {
            out += "'\\''";
            continue;
        }
        const std::string_view special = quote == '"' ? "$`\"\\" : quote == '\'' ? "" : "$`\"\\'#&;|()<>*?[~! \t\r\n{}";
        if (special.find(c) != std::string_view::npos)
            out += '\\';
        out += c;
    }
    return out;
}

std::string shell_value(std::string_view text, std::string_view key) {
    if (const auto assignments = shell_assignments(text)) {
        const ShellAssignment* last = nullptr;
        for (const ShellAssignment& each : *assignments)
            if (each.name == key && (!each.sometimes || last == nullptr || last->sometimes))
                last = &each;
        return last == nullptr ? std::string() : std::string(trimmed(decoded(text, last->value)));
    }
    std::string value;
    for (const std::string_view line : lines_of(text))
        if (const auto assignments = shell_assignments(line))
            for (const ShellAssignment& each : *assignments)
                if (each.name == key)
                    value = std::string(trimmed(decoded(line, each.value)));
    return value;
}

std::optional<std::string> with_shell_value(std::string_view text, std::string_view key, std::string_view value) {
    const auto assignments = shell_assignments(text);
    if (!assignments)
        return std::nullopt;
    std::string out(text);
    bool any = false;
    for (auto each = assignments->rbegin(); each != assignments->rend(); ++each)
        if (each->name == key) {
            const std::size_t size = each->value.end - each->value.begin;
            const bool quoted = size != 0 && (out[each->value.begin] == '"' || out[each->value.begin] == '\'');
            out.replace(each->value.begin, size,
                        quoted ? '"' + shell_quoted(value, '"') + '"' : shell_quoted(value, 0));
            any = true;
        }
    return any ? std::optional(out) : std::nullopt;
}

std::optional<std::string> without_shell_values(std::string_view text, std::initializer_list<std::string_view> keys) {
    const auto assignments = shell_assignments(text);
    if (!assignments)
        return std::nullopt;
    std::string out(text);
    bool any = false;
    for (auto each = assignments->rbegin(); each != assignments->rend(); ++each) {
        if (std::find(keys.begin(), keys.end(), each->name) == keys.end())
            continue;
        any = true;
        // `export` before it would show the environment.
        const std::size_t newline = out.rfind('\n', each->whole.begin);
        const std::size_t begin = each->whole.begin == 0 || newline == std::string::npos ? 0 : newline + 1;
        const std::size_t end = std::min(out.find('\n', each->whole.end), out.size());
        const std::string_view before = trimmed(std::string_view(out).substr(begin, each->whole.begin - begin));
        const std::string_view after = trimmed(std::string_view(out).substr(each->whole.end, end - each->whole.end));
        if ((before.empty() || before == "export") && (after.empty() || after.front() == '#'))
            out.erase(begin, std::min(end + 1, out.size()) - begin);
        else if (!each->sometimes)
            out.erase(each->whole.begin, each->whole.end - each->whole.begin);
        else
            out.replace(each->value.begin, each->value.end - each->value.begin, "\"\"");
    }
    return any ? std::optional(out) : std::nullopt;
}

} // namespace vm2oci
