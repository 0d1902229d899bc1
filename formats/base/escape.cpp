#include "formats/base/escape.hpp"

#include <cstdint>

namespace vm2oci {
namespace {

struct CodePoint {
    std::uint32_t value;
    std::size_t length; // 0: the bytes are not UTF-8
};

CodePoint decode_utf8(std::string_view text) {
    const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
    const unsigned char first = byte(0);
    if (first < 0x80)
        return {first, 1};
    const std::size_t length = first >= 0xf0 && first <= 0xf4  ? 4
                               : first >= 0xe0 && first < 0xf0 ? 3
                               : first >= 0xc2 && first < 0xe0 ? 2
                                                               : 0;
    if (length == 0 || text.size() < length)
        return {0, 0};
    std::uint32_t value = first & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80)
            return {0, 0};
        value = value << 6 | (byte(i) & 0x3fU);
    }
    const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
    const bool surrogate = value >= 0xd800 && value <= 0xdfff;
    if (overlong || surrogate || value > 0x10ffff)
        return {0, 0};
    return {value, length};
}

bool is_unsafe(std::uint32_t value) {
    const bool control = value < 0x20 || (value >= 0x7f && value < 0xa0);
    const bool separator = value == 0x2028 || value == 0x2029;
    // Marks and overrides that reorder text on a terminal, and the byte order mark.
    const bool bidirectional = value == 0x61c || (value >= 0x200b && value <= 0x200f) ||
                               (value >= 0x202a && value <= 0x202e) || (value >= 0x2066 && value <= 0x2069) ||
                               value == 0xfeff;
    return control || separator || bidirectional;
}

void append_hex(std::string& out, std::string_view bytes) {
    constexpr char digits[] = "0123456789abcdef";
    for (const char c : bytes) {
        const auto value = static_cast<unsigned char>(c);
        out += "\\x";
        out += digits[value >> 4];
        out += digits[value & 15];
    }
}

} // namespace

std::string escape_untrusted(std::string_view text, std::size_t limit) {
    std::string out;
    const bool cut = text.size() > limit;
    std::string_view rest = text.substr(0, limit);
    while (!rest.empty()) {
        const CodePoint point = decode_utf8(rest);
        const std::size_t length = point.length == 0 ? 1 : point.length;
        if (rest[0] == '\\')
            out += "\\\\";
        else if (point.length == 0 || is_unsafe(point.value))
            append_hex(out, rest.substr(0, length));
        else
            out += rest.substr(0, length);
        rest.remove_prefix(length);
    }
    if (cut)
        out += "...";
    return out;
}

std::vector<std::string> escape_each(const std::vector<std::string>& texts) {
    std::vector<std::string> escaped;
    escaped.reserve(texts.size());
    for (const std::string& text : texts)
        escaped.push_back(escape_untrusted(text));
    return escaped;
}

std::string quote_untrusted(std::string_view text, std::size_t limit) {
    return "'" + escape_untrusted(text, limit) + "'";
}

} // namespace vm2oci
