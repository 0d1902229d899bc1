#include "formats/base/utf16.hpp"

#include <cstddef>

namespace vm2oci {
namespace {

void append_utf8(std::string& text, std::uint32_t code) {
    const auto put = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xc0 | (code >> 6));
        put(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        put(0xe0 | (code >> 12));
        put(0x80 | ((code >> 6) & 0x3f));
        put(0x80 | (code & 0x3f));
    } else {
        put(0xf0 | (code >> 18));
        put(0x80 | ((code >> 12) & 0x3f));
        put(0x80 | ((code >> 6) & 0x3f));
        put(0x80 | (code & 0x3f));
    }
}

} // namespace

std::string utf16_to_utf8(std::span<const std::uint16_t> units) {
    constexpr std::uint32_t kReplacement = 0xfffd;
    std::string text;
    for (std::size_t i = 0; i < units.size(); ++i) {
        const std::uint32_t unit = units[i];
        if (unit < 0xd800 || unit > 0xdfff) {
            append_utf8(text, unit);
            continue;
        }
        const std::uint32_t next = i + 1 < units.size() ? units[i + 1] : 0u;
        if (unit < 0xdc00 && next >= 0xdc00 && next <= 0xdfff) {
            append_utf8(text, 0x10000 + ((unit - 0xd800) << 10) + (next - 0xdc00));
            ++i;
        } else {
            append_utf8(text, kReplacement);
        }
    }
    return text;
}

} // namespace vm2oci
