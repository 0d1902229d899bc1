#include "libconvert/guest/selinux_config.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace vm2oci {
namespace {

constexpr std::string_view kKey = "SELINUX";
constexpr std::array<std::string_view, 3> kModes = {"enforcing", "permissive", "disabled"};

std::string_view without_leading(std::string_view text, std::string_view marks) {
    text.remove_prefix(std::min(text.find_first_not_of(marks), text.size()));
    return text;
}

bool begins_with(std::string_view text, std::string_view lower_case) {
    return text.size() >= lower_case.size() &&
           std::equal(lower_case.begin(), lower_case.end(), text.begin(),
                      [](char wanted, char c) { return (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) == wanted; });
}

} // namespace

std::string_view selinux_mode_of(std::string_view config) {
    while (!config.empty()) {
        std::string_view line = config.substr(0, config.find('\n'));
        config.remove_prefix(std::min(line.size() + 1, config.size()));
        line = without_leading(line, " \t");
        if (!line.starts_with(kKey))
            continue;
        line = without_leading(line.substr(kKey.size()), " \t");
        if (!line.starts_with('='))
            continue; // SELINUXTYPE
        line = without_leading(line.substr(1), " \t\r\v\f\"'");
        for (const std::string_view mode : kModes)
            if (begins_with(line, mode))
                return mode;
    }
    return "";
}

} // namespace vm2oci
