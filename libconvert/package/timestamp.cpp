#include "libconvert/package/timestamp.hpp"

#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <optional>

namespace vm2oci {
namespace {

// The years that RFC 3339 can write with four digits.
constexpr std::int64_t kEarliest = -62167219200; // 0000-01-01T00:00:00Z
constexpr std::int64_t kLatest = 253402300799;   // 9999-12-31T23:59:59Z

std::optional<std::int64_t> parse_integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

// Consumes `digits` digits from the front of `text`, then `delimiter` ('\0': none).
std::optional<unsigned> take_number(std::string_view& text, std::size_t digits, char delimiter) {
    if (text.size() < digits)
        return std::nullopt;
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
    if (error != std::errc() || end != text.data() + digits)
        return std::nullopt;
    text.remove_prefix(digits);
    if (delimiter == '\0')
        return value;
    const bool date_separator = delimiter == 'T' && !text.empty() && (text[0] == 't' || text[0] == ' ');
    if (text.empty() || (text[0] != delimiter && !date_separator))
        return std::nullopt;
    text.remove_prefix(1);
    return value;
}

std::optional<std::int64_t> parse_offset(std::string_view text) {
    if (text == "Z" || text == "z")
        return 0;
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-'))
        return std::nullopt;
    const int sign = text[0] == '-' ? -1 : 1;
    text.remove_prefix(1);
    const auto hours = take_number(text, 2, ':');
    const auto minutes = take_number(text, 2, '\0');
    if (!hours || !minutes || *hours > 23 || *minutes > 59)
        return std::nullopt;
    return sign * static_cast<std::int64_t>(*hours * 3600 + *minutes * 60);
}

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
    const bool date_only = text.size() == 10;
    const auto year = take_number(text, 4, '-');
    const auto month = take_number(text, 2, '-');
    const auto day = take_number(text, 2, date_only ? '\0' : 'T');
    if (!year || !month || !day)
        return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)), std::chrono::month(*month),
                                           std::chrono::day(*day)};
    if (!date.ok())
        return std::nullopt;
    const std::int64_t midnight = std::chrono::sys_days(date).time_since_epoch().count() * std::int64_t{86400};
    if (date_only)
        return midnight;
    const auto hour = take_number(text, 2, ':');
    const auto minute = take_number(text, 2, ':');
    const auto second = take_number(text, 2, '\0');
    if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60)
        return std::nullopt;
    if (text.starts_with('.')) // fractions are dropped
        text.remove_prefix(std::min(text.find_first_not_of("0123456789", 1), text.size()));
    const auto offset = parse_offset(text);
    if (!offset)
        return std::nullopt;
    return midnight + std::int64_t{*hour} * 3600 + std::int64_t{*minute} * 60 + *second - *offset;
}

} // namespace

std::int64_t parse_timestamp(std::string_view text) {
    const auto seconds = parse_integer(text.starts_with('@') ? text.substr(1) : text);
    const auto time = seconds ? seconds : parse_rfc3339(text);
    if (!time || *time < kEarliest || *time > kLatest)
        fail(ErrorKind::usage,
             fmt::format("'{}' is not a time; write it like 2026-01-31T12:00:00Z or as seconds since 1970", text));
    return *time;
}

std::string format_timestamp(std::int64_t unix_seconds) {
    const std::chrono::sys_seconds time{std::chrono::seconds(unix_seconds)};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                       clock.minutes().count(), clock.seconds().count());
}

std::int64_t default_timestamp() {
    const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
    if (epoch == nullptr || *epoch == '\0')
        return 0;
    const auto seconds = parse_integer(epoch);
    if (!seconds || *seconds < 0 || *seconds > kLatest)
        fail(ErrorKind::usage, "SOURCE_DATE_EPOCH is not a number of seconds");
    return *seconds;
}

} // namespace vm2oci
