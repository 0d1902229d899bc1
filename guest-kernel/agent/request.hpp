// What the host asks of the agent: one JSON object a line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::guest {

inline constexpr std::size_t kRequestLimit = 64ull * 1024; // bytes of a line; commands are short
inline constexpr std::int64_t kDefaultTimeoutSeconds = 60;
inline constexpr std::int64_t kLastSignal = 64;         // of Linux
inline constexpr std::int64_t kLargestTerminal = 65535; // rows and columns, as the system call has them
inline constexpr std::int64_t kMaximumTimeoutSeconds = std::int64_t{24} * 3600;

struct Request {
    std::string type;
    std::optional<std::int64_t> id;
    std::vector<std::string> arguments; // "argv"
    std::int64_t timeout_seconds = kDefaultTimeoutSeconds;
    std::optional<std::int64_t> signal; // by number
    std::int64_t rows = 0;              // of a terminal; 0: not said
    std::int64_t columns = 0;
};

struct ParsedRequest {
    std::optional<Request> request;
    std::string problem; // why there is none
};

// Fields that it does not know are skipped, whatever they hold. Numbers are integers. Never throws.
ParsedRequest parse_request(std::string_view line);

} // namespace vm2oci::guest
