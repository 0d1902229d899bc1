#include "libconvert/guest/fstab.hpp"

#include <algorithm>
#include <sstream>

namespace vm2oci {
namespace {

// \040 is a blank, \011 a tab, \134 a backslash.
std::string decode_octal(const std::string& field) {
    std::string out;
    for (std::size_t i = 0; i < field.size(); ++i) {
        const auto octal = [&](std::size_t at) { return field[at] >= '0' && field[at] <= '7'; };
        if (field[i] == '\\' && i + 3 < field.size() && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
            out += static_cast<char>((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0'));
            i += 3;
        } else {
            out += field[i];
        }
    }
    return out;
}

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);)
        if (!part.empty())
            parts.push_back(part);
    return parts;
}

} // namespace

std::vector<FstabEntry> parse_fstab(std::string_view text) {
    std::vector<FstabEntry> entries;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        FstabEntry entry;
        std::string options;
        if (!(fields >> entry.device >> entry.mount_point) || entry.device.front() == '#')
            continue;
        fields >> entry.type >> options;
        entry.device = decode_octal(entry.device);
        entry.mount_point = decode_octal(entry.mount_point);
        entry.options = split(options, ',');
        entries.push_back(std::move(entry));
    }
    return entries;
}

bool is_share_of_host(const FstabEntry& entry) {
    constexpr std::string_view kTypes[] = {"vboxsf", "vmhgfs", "hgfs", "prl_fs", "fuse.vmhgfs-fuse"};
    return std::find(std::begin(kTypes), std::end(kTypes), entry.type) != std::end(kTypes) ||
           entry.device.starts_with(".host:") || entry.device.starts_with("vmhgfs-fuse");
}

bool has_option(const FstabEntry& entry, std::string_view option) {
    return std::find(entry.options.begin(), entry.options.end(), option) != entry.options.end();
}

std::string normalise_path(std::string_view path) {
    std::vector<std::string> parts;
    for (std::string& part : split(std::string(path), '/')) {
        if (part == "..") {
            if (!parts.empty())
                parts.pop_back();
        } else if (part != ".") {
            parts.push_back(std::move(part));
        }
    }
    std::string out;
    for (const std::string& part : parts)
        out += "/" + part;
    return out.empty() ? "/" : out;
}

} // namespace vm2oci
