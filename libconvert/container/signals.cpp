#include "libconvert/container/signals.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>

namespace vm2oci {
namespace {

// signal(7), the column of x86 and arm; the first has the number 1.
constexpr std::array<std::string_view, 31> kNames = {
    "hup",  "int",  "quit", "ill",    "trap",   "abrt",  "bus",  "fpe",  "kill", "usr1", "segv",
    "usr2", "pipe", "alrm", "term",   "stkflt", "chld",  "cont", "stop", "tstp", "ttin", "ttou",
    "urg",  "xcpu", "xfsz", "vtalrm", "prof",   "winch", "io",   "pwr",  "sys"};
constexpr std::uint32_t kFirstRealTime = 34; // as C libraries count: they keep two for themselves
constexpr std::uint32_t kLastRealTime = 64;

std::optional<std::uint32_t> parse_number(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && !text.empty() ? std::optional(value)
                                                                                     : std::nullopt;
}

std::optional<std::uint32_t> find_signal(std::string_view name) {
    if (const auto number = parse_number(name))
        return *number >= 1 && *number <= kLastRealTime ? number : std::nullopt;
    const auto found = std::find(kNames.begin(), kNames.end(), name);
    if (found != kNames.end())
        return static_cast<std::uint32_t>(found - kNames.begin()) + 1;
    if (name == "rtmin")
        return kFirstRealTime;
    if (name == "rtmax")
        return kLastRealTime;
    constexpr std::string_view above = "rtmin+";
    constexpr std::string_view below = "rtmax-";
    if (const auto number = name.starts_with(above) ? parse_number(name.substr(above.size())) : std::nullopt)
        return *number <= kLastRealTime - kFirstRealTime ? std::optional(kFirstRealTime + *number) : std::nullopt;
    if (const auto number = name.starts_with(below) ? parse_number(name.substr(below.size())) : std::nullopt)
        return *number <= kLastRealTime - kFirstRealTime ? std::optional(kLastRealTime - *number) : std::nullopt;
    return std::nullopt;
}

} // namespace

std::uint32_t parse_signal(std::string_view text) {
    std::string name = to_lower_ascii(text);
    if (name.starts_with("sig"))
        name.erase(0, 3);
    const auto number = find_signal(name);
    if (!number)
        fail(ErrorKind::unsupported, "there is no signal " + quote_untrusted(text));
    return *number;
}

} // namespace vm2oci
