#include "formats/base/base64.hpp"

#include <cstdint>

namespace vm2oci {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

} // namespace

std::optional<std::string> decode_base64(std::string_view text) {
    while (text.ends_with('='))
        text.remove_suffix(1);
    std::string result;
    unsigned bits = 0;
    unsigned count = 0;
    for (const char c : text) {
        const std::size_t value = kAlphabet.find(c);
        if (value == std::string_view::npos)
            return std::nullopt;
        bits = (bits << 6U) | static_cast<unsigned>(value);
        count += 6;
        if (count >= 8) {
            count -= 8;
            result += static_cast<char>((bits >> count) & 0xFFU);
            bits &= (1U << count) - 1;
        }
    }
    if (count >= 6)
        return std::nullopt;
    return result;
}

std::string encode_base64(std::string_view bytes) {
    std::string result;
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::string_view group = bytes.substr(at, 3);
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i)
            bits = (bits << 8U) | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0U);
        for (std::size_t i = 0; i < 4; ++i)
            result += i <= group.size() ? kAlphabet[(bits >> (18 - 6 * i)) & 0x3FU] : '=';
    }
    return result;
}

} // namespace vm2oci
