#include "formats/base/size.hpp"

#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <cmath>
#include <string>

namespace vm2oci {
namespace {

struct Number {
    double value;
    std::string_view rest;
};

// strtod would take "0x", "inf", signs and the locale's decimal point.
Number leading_number(std::string_view text, std::string_view whole, std::string_view example) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    const bool starts_with_digit = !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) != 0;
    if (error != std::errc() || !starts_with_digit)
        fail(ErrorKind::usage, fmt::format("'{}' is not understood; write it like {}", whole, example));
    return {value, text.substr(static_cast<std::size_t>(end - text.data()))};
}

} // namespace

std::uint64_t parse_size(std::string_view text) {
    constexpr std::string_view example = "20G, 512M or 4096";
    const auto [value, rest] = leading_number(text, text, example);
    constexpr std::string_view units = "KMGTPE";
    double factor = 1;
    std::string_view unit = rest;
    if (!unit.empty()) {
        const std::size_t power = units.find(static_cast<char>(std::toupper(static_cast<unsigned char>(unit[0]))));
        if (power != std::string_view::npos) {
            factor = std::pow(1024.0, static_cast<double>(power + 1));
            unit.remove_prefix(1);
            if (unit == "iB" || unit == "ib")
                unit.remove_prefix(2);
        }
        if (unit == "B" || unit == "b")
            unit.remove_prefix(1);
    }
    const double bytes = value * factor;
    if (!unit.empty() || bytes >= 9.2e18)
        fail(ErrorKind::usage, fmt::format("'{}' is not a size; write it like {}", text, example));
    // A plain integer keeps all its digits; a double would not above 2^53.
    std::uint64_t exact = 0;
    if (rest.empty() && std::from_chars(text.data(), text.data() + text.size(), exact).ptr == text.data() + text.size())
        return exact;
    return static_cast<std::uint64_t>(std::llround(bytes));
}

std::string format_size(std::uint64_t bytes) {
    constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    // What would be printed as 1024.0 of a unit is 1.0 of the next one.
    while (value >= (unit == 0 ? 1024 : 1023.95) && unit + 1 < std::size(units)) {
        value /= 1024;
        ++unit;
    }
    if (unit == 0 || value == std::floor(value))
        return fmt::format("{:.0f} {}", value, units[unit]);
    return fmt::format("{:.1f} {}", value, units[unit]);
}

std::chrono::milliseconds parse_duration(std::string_view text) {
    constexpr std::string_view example = "90s, 5m or 1h30m";
    double milliseconds = 0;
    std::string_view rest = text;
    do {
        const auto [value, after] = leading_number(rest, text, example);
        rest = after;
        double factor = 1000;
        if (rest.starts_with("ms")) {
            factor = 1;
            rest.remove_prefix(2);
        } else if (!rest.empty()) {
            factor = rest[0] == 's' ? 1e3 : rest[0] == 'm' ? 6e4 : rest[0] == 'h' ? 3.6e6 : 0;
            if (factor == 0)
                fail(ErrorKind::usage, fmt::format("'{}' is not a duration; write it like {}", text, example));
            rest.remove_prefix(1);
        }
        milliseconds += value * factor;
    } while (!rest.empty());
    if (milliseconds > 1e12)
        fail(ErrorKind::usage, fmt::format("'{}' is too long", text));
    return std::chrono::milliseconds(std::llround(milliseconds));
}

} // namespace vm2oci
