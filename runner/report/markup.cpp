#include "runner/report/markup.hpp"

#include <cstdint>

namespace vm2oci {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Length of the UTF-8 sequence at the front whose character XML allows; 0: none.
std::size_t allowed_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80)
        return first >= 0x20 && first != 0x7f ? 1 : (first == '\n' || first == '\t' ? 1 : 0);
    const std::size_t length = first >= 0xf0 && first <= 0xf4  ? 4
                               : first >= 0xe0 && first < 0xf0 ? 3
                               : first >= 0xc2 && first < 0xe0 ? 2
                                                               : 0;
    if (length == 0 || text.size() < length)
        return 0;
    std::uint32_t value = first & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (byte(i) & 0x3fU);
    }
    const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
    const bool forbidden = (value >= 0xd800 && value <= 0xdfff) || value == 0xfffe || value == 0xffff ||
                           value > 0x10ffff || (value >= 0x80 && value < 0xa0);
    // What reorders text in a browser is no better than a control character.
    const bool reorders = (value >= 0x202a && value <= 0x202e) || (value >= 0x2066 && value <= 0x2069);
    return overlong || forbidden || reorders ? 0 : length;
}

} // namespace

std::string markup_text(std::string_view raw) {
    std::string out;
    out.reserve(raw.size() + raw.size() / 8);
    while (!raw.empty()) {
        const std::size_t length = allowed_length(raw);
        if (length == 0)
            out += kReplacement;
        else if (raw[0] == '&')
            out += "&amp;";
        else if (raw[0] == '<')
            out += "&lt;";
        else if (raw[0] == '>')
            out += "&gt;";
        else if (raw[0] == '"')
            out += "&quot;";
        else if (raw[0] == '\'')
            out += "&#39;";
        else
            out += raw.substr(0, length);
        raw.remove_prefix(length == 0 ? 1 : length);
    }
    return out;
}

} // namespace vm2oci
