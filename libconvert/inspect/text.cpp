#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "libconvert/inspect/parts.hpp"

#include <sstream>

namespace vm2oci::inspect {
std::vector<std::string> list_folder(const Guest& guest, std::string_view path) {
    try {
        return guest.list(path).value_or(std::vector<std::string>());
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
            throw;
        return {};
    }
}

std::vector<std::string> read_lines(const Guest& guest, std::string_view path) {
    std::vector<std::string> lines;
    std::istringstream stream(try_read_text(guest, path).value_or(""));
    for (std::string line; std::getline(stream, line);)
        lines.push_back(std::move(line));
    return lines;
}

std::string first_line(const Guest& guest, std::string_view path) {
    const std::vector<std::string> lines = read_lines(guest, path);
    return lines.empty() ? std::string() : trim(lines.front());
}

std::string trim(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    const std::size_t begin = text.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos)
        return {};
    return std::string(text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1));
}

std::string without_comment(std::string_view value) {
    std::size_t from = 0;
    if (!value.empty() && (value.front() == '"' || value.front() == '\''))
        for (from = 1; from < value.size() && value[from] != value.front(); ++from)
            from += value[from] == '\\' && value.front() == '"' ? 1u : 0u;
    const std::size_t comment = std::min(value.find(" #", from), value.find("\t#", from));
    return trim(value.substr(0, comment));
}

bool starts_with(std::string_view text, std::string_view prefix) {
    return text.substr(0, prefix.size()) == prefix;
}

bool ends_with(std::string_view text, std::string_view suffix) {
    return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

std::vector<std::string> split_words(std::string_view text) {
    std::istringstream stream{std::string(text)};
    std::vector<std::string> words;
    for (std::string word; stream >> word;)
        words.push_back(std::move(word));
    return words;
}

std::vector<std::pair<std::string, std::string>> parse_assignments(const std::vector<std::string>& lines) {
    std::vector<std::pair<std::string, std::string>> assignments;
    for (const std::string& raw : lines) {
        const std::string line = trim(raw);
        const std::size_t equals = line.find('=');
        if (line.empty() || line.front() == '#' || line.front() == ';' || equals == std::string::npos)
            continue;
        std::string value = without_comment(trim(std::string_view(line).substr(equals + 1)));
        if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front())
            value = value.substr(1, value.size() - 2);
        assignments.emplace_back(trim(std::string_view(line).substr(0, equals)), std::move(value));
    }
    return assignments;
}

std::string find_assignment(const std::vector<std::pair<std::string, std::string>>& assignments, std::string_view key) {
    // The last one wins, as in the shell.
    for (auto i = assignments.rbegin(); i != assignments.rend(); ++i)
        if (i->first == key)
            return i->second;
    return {};
}

std::string elf_architecture(std::string_view head) {
    if (head.size() < 20 || !starts_with(head, "\x7f"
                                               "ELF"))
        return {};
    const auto* bytes = reinterpret_cast<const std::byte*>(head.data());
    const bool is_64_bit = head[4] == 2;
    const bool is_big_endian = head[5] == 2;
    const unsigned machine = is_big_endian ? load_be<std::uint16_t>(bytes + 18) : load_le<std::uint16_t>(bytes + 18);
    switch (machine) {
    case 3:
        return "386";
    case 8:
        return is_64_bit ? (is_big_endian ? "mips64" : "mips64le") : (is_big_endian ? "mips" : "mipsle");
    case 20:
        return "ppc";
    case 21:
        return is_big_endian ? "ppc64" : "ppc64le";
    case 22:
        return "s390x";
    case 40:
        return "arm";
    case 62:
        return "amd64";
    case 183:
        return "arm64";
    case 243:
        return is_64_bit ? "riscv64" : "riscv";
    case 258:
        return "loong64";
    default:
        return {};
    }
}

std::string pe_architecture(std::string_view head) {
    if (head.size() < 0x40 || !starts_with(head, "MZ"))
        return {};
    const auto* bytes = reinterpret_cast<const std::byte*>(head.data());
    const std::size_t at = load_le<std::uint32_t>(bytes + 0x3c);
    if (at + 6 > head.size() || !starts_with(head.substr(at), std::string_view("PE\0\0", 4)))
        return {};
    switch (load_le<std::uint16_t>(bytes + at + 4)) {
    case 0x014c:
        return "386";
    case 0x8664:
        return "amd64";
    case 0x01c2:
    case 0x01c4:
        return "arm";
    case 0xaa64:
        return "arm64";
    case 0x5064:
        return "riscv64";
    case 0x6264:
        return "loong64";
    default:
        return {};
    }
}

} // namespace vm2oci::inspect
