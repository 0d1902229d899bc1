// Times in image metadata.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vm2oci {

// "2026-01-31T12:00:00Z" (RFC 3339, any offset), "2026-01-31", or seconds since the epoch with or without "@", to
// seconds since the epoch. Error{usage} otherwise.
std::int64_t parse_timestamp(std::string_view text);

// RFC 3339 in UTC with seconds: "1970-01-01T00:00:00Z".
std::string format_timestamp(std::int64_t unix_seconds);

// What images are stamped with unless told otherwise: $SOURCE_DATE_EPOCH (Error{usage} when it is no number), else 0.
std::int64_t default_timestamp();

} // namespace vm2oci
