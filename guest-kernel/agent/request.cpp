#include "guest-kernel/agent/request.hpp"

#include <algorithm>
#include <charconv>

namespace vm2oci::guest {
namespace {

constexpr std::size_t kArgumentLimit = 1024;

class Reader {
  public:
    explicit Reader(std::string_view text) : rest_(text) {}

    // The next character that is no space, without taking it; '\0' at the end.
    char peek() {
        while (!rest_.empty() && std::string_view(" \t\r\n").find(rest_.front()) != std::string_view::npos)
            rest_.remove_prefix(1);
        return rest_.empty() ? '\0' : rest_.front();
    }

    bool take(char wanted) {
        if (peek() != wanted)
            return false;
        rest_.remove_prefix(1);
        return true;
    }

    std::optional<std::string> string() {
        if (!take('"'))
            return std::nullopt;
        std::string text;
        while (!rest_.empty()) {
            const char c = rest_.front();
            rest_.remove_prefix(1);
            if (c == '"')
                return text;
            if (static_cast<unsigned char>(c) < 0x20)
                return std::nullopt;
            if (c != '\\')
                text += c;
            else if (!escape(text))
                return std::nullopt;
        }
        return std::nullopt;
    }

    std::optional<std::int64_t> integer() {
        peek();
        std::int64_t value = 0;
        const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
        if (error != std::errc())
            return std::nullopt;
        rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
        const char next = peek();
        if (next != ',' && next != '}' && next != ']')
            return std::nullopt;
        return value;
    }

    std::optional<std::vector<std::string>> strings() {
        if (!take('['))
            return std::nullopt;
        std::vector<std::string> list;
        if (take(']'))
            return list;
        do {
            std::optional<std::string> text = string();
            if (!text || list.size() == kArgumentLimit)
                return std::nullopt;
            list.push_back(std::move(*text));
        } while (take(','));
        if (!take(']'))
            return std::nullopt;
        return list;
    }

    // Any value, without looking whether its inside is in order: brackets are counted, not remembered.
    bool skip() {
        std::size_t depth = 0;
        do {
            const char c = peek();
            if (c == '\0')
                return false;
            if (c == '"') {
                if (!string())
                    return false;
                continue;
            }
            if (c == ']' || c == '}') {
                if (depth == 0)
                    return false;
                --depth;
            } else if (c == '[' || c == '{') {
                ++depth;
            } else if (depth == 0) {
                rest_.remove_prefix(std::min(rest_.find_first_of(",}] \t\r\n"), rest_.size()));
                return true;
            }
            rest_.remove_prefix(1);
        } while (depth > 0);
        return true;
    }

  private:
    std::optional<std::uint32_t> four_digits() {
        std::uint32_t value = 0;
        if (rest_.size() < 4)
            return std::nullopt;
        const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + 4, value, 16);
        if (error != std::errc() || end != rest_.data() + 4)
            return std::nullopt;
        rest_.remove_prefix(4);
        return value;
    }

    static void append_utf8(std::string& text, std::uint32_t code) {
        const auto add = [&](std::uint32_t byte) { text += static_cast<char>(static_cast<unsigned char>(byte)); };
        if (code < 0x80) {
            add(code);
        } else if (code < 0x800) {
            add(0xc0U | code >> 6U);
            add(0x80U | (code & 0x3fU));
        } else if (code < 0x10000) {
            add(0xe0U | code >> 12U);
            add(0x80U | (code >> 6U & 0x3fU));
            add(0x80U | (code & 0x3fU));
        } else {
            add(0xf0U | code >> 18U);
            add(0x80U | (code >> 12U & 0x3fU));
            add(0x80U | (code >> 6U & 0x3fU));
            add(0x80U | (code & 0x3fU));
        }
    }

    bool escape(std::string& text) {
        if (rest_.empty())
            return false;
        const char c = rest_.front();
        rest_.remove_prefix(1);
        constexpr std::string_view kNames = "\"\\/bfnrt";
        constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
        if (const std::size_t at = kNames.find(c); at != std::string_view::npos) {
            text += kMeanings[at];
            return true;
        }
        if (c != 'u')
            return false;
        std::optional<std::uint32_t> code = four_digits();
        if (!code || (*code >= 0xdc00 && *code < 0xe000))
            return false;
        if (*code >= 0xd800 && *code < 0xdc00) {
            if (!rest_.starts_with("\\u"))
                return false;
            rest_.remove_prefix(2);
            const std::optional<std::uint32_t> low = four_digits();
            if (!low || *low < 0xdc00 || *low >= 0xe000)
                return false;
            code = 0x10000U + ((*code - 0xd800U) << 10U) + (*low - 0xdc00U);
        }
        append_utf8(text, *code);
        return true;
    }

    std::string_view rest_;
};

// Empty: the field has been read.
std::string read_field(Reader& reader, const std::string& name, Request& request) {
    if (name == "type") {
        const auto value = reader.string();
        if (!value)
            return "\"type\" is no string";
        request.type = *value;
    } else if (name == "id") {
        request.id = reader.integer();
        if (!request.id)
            return "\"id\" is no integer";
    } else if (name == "timeout_s") {
        const auto value = reader.integer();
        if (!value || *value < 1 || *value > kMaximumTimeoutSeconds)
            return "\"timeout_s\" is no number of seconds from 1 to 86400";
        request.timeout_seconds = *value;
    } else if (name == "signal") {
        request.signal = reader.integer();
        if (!request.signal || *request.signal < 1 || *request.signal > kLastSignal)
            return "\"signal\" is no number from 1 to 64";
    } else if (name == "rows" || name == "columns") {
        const auto value = reader.integer();
        if (!value || *value < 1 || *value > kLargestTerminal)
            return "\"" + name + "\" is no number from 1 to 65535";
        (name == "rows" ? request.rows : request.columns) = *value;
    } else if (name == "argv") {
        auto value = reader.strings();
        if (!value)
            return "\"argv\" is no list of strings, or too long a one";
        for (const std::string& argument : *value)
            if (argument.find('\0') != std::string::npos)
                return "\"argv\" holds a NUL";
        request.arguments = std::move(*value);
    } else if (!reader.skip()) {
        return "it is not JSON";
    }
    return {};
}

} // namespace

ParsedRequest parse_request(std::string_view line) {
    Reader reader(line);
    Request request;
    if (!reader.take('{'))
        return {std::nullopt, "it is no JSON object"};
    if (!reader.take('}')) {
        do {
            const std::optional<std::string> name = reader.string();
            if (!name || !reader.take(':'))
                return {std::nullopt, "it is not JSON"};
            if (std::string problem = read_field(reader, *name, request); !problem.empty())
                return {std::nullopt, std::move(problem)};
        } while (reader.take(','));
        if (!reader.take('}'))
            return {std::nullopt, "it is not JSON"};
    }
    if (reader.peek() != '\0')
        return {std::nullopt, "something follows the object"};
    if (request.type.empty())
        return {std::nullopt, "it has no \"type\""};
    return {std::move(request), {}};
}

} // namespace vm2oci::guest
