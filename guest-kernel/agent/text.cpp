#include "guest-kernel/agent/text.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>

namespace vm2oci::guest {
namespace {

constexpr std::string_view kSpaces = " \t\r\n";

// How many bytes of valid UTF-8 begin the text, 0: none (RFC 3629).
std::size_t sequence_length(std::string_view text) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const auto continues = [&](std::size_t at) { return at < text.size() && (byte(at) & 0xc0U) == 0x80U; };
    const unsigned char first = byte(0);
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first < 0xe0)
        return continues(1) ? 2 : 0;
    if (first >= 0xe0 && first < 0xf0) {
        if (!continues(1) || !continues(2) || (first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f))
            return 0;
        return 3;
    }
    if (first >= 0xf0 && first < 0xf5) {
        if (!continues(1) || !continues(2) || !continues(3) || (first == 0xf0 && byte(1) < 0x90) ||
            (first == 0xf4 && byte(1) > 0x8f))
            return 0;
        return 4;
    }
    return 0;
}

} // namespace

std::optional<std::string> read_text(const std::string& path, std::size_t limit) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return std::nullopt;
    std::string text;
    std::array<char, 4096> buffer{};
    ssize_t n = 0;
    while (text.size() < limit) {
        n = ::read(fd, buffer.data(), std::min(buffer.size(), limit - text.size()));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        text.append(buffer.data(), static_cast<std::size_t>(n));
    }
    ::close(fd);
    if (n < 0)
        return std::nullopt;
    return text;
}

std::vector<std::string> list_folder(const std::string& path) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
    if (!folder)
        return names;
    while (const dirent* entry = ::readdir(folder.get())) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..")
            names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::string_view trim(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(kSpaces);
    if (begin == std::string_view::npos)
        return {};
    return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

std::vector<std::string_view> split_lines(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        if (end > 0)
            lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

std::vector<std::string_view> split_words(std::string_view text) {
    std::vector<std::string_view> words;
    while (!(text = trim(text)).empty()) {
        const std::size_t end = std::min(text.find_first_of(kSpaces), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return words;
}

std::string first_word(std::string_view text) {
    const std::vector<std::string_view> words = split_words(text);
    return words.empty() ? std::string() : std::string(words.front());
}

std::string json_quote(std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string quoted = "\"";
    while (!text.empty()) {
        const std::size_t length = sequence_length(text);
        const auto first = static_cast<unsigned char>(text.front());
        if (length == 0) {
            quoted += "\\ufffd";
        } else if (first == '"' || first == '\\') {
            quoted += '\\';
            quoted += text.front();
        } else if (first < 0x20 || first == 0x7f) {
            quoted += "\\u00";
            quoted += kHex[first >> 4U];
            quoted += kHex[first & 15U];
        } else {
            quoted += text.substr(0, length);
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return quoted + '"';
}

std::string json_list(const std::vector<std::string>& texts) {
    std::string list = "[";
    for (const std::string& text : texts)
        list += (list.size() > 1 ? "," : "") + json_quote(text);
    return list + "]";
}

std::string base64(std::string_view bytes) {
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t j = 0; j < 3; ++j)
            group = group << 8U | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
        for (std::size_t j = 0; j < 4; ++j)
            text += j <= count ? kAlphabet[group >> (18U - 6U * j) & 63U] : '=';
    }
    return text;
}

} // namespace vm2oci::guest
