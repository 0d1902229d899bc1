// Strings from untrusted images, made safe to print.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kEscapedLengthLimit = 256;

// Printable UTF-8 passes; control characters, DEL, C1 controls, bidirectional overrides, line separators and bytes that
// are not UTF-8 become \xNN, and a backslash becomes \\. At most `limit` bytes of input are shown, then "...".
std::string escape_untrusted(std::string_view text, std::size_t limit = kEscapedLengthLimit);

// Each of them so.
std::vector<std::string> escape_each(const std::vector<std::string>& texts);

// The same between single quotes, for messages: 'name'.
std::string quote_untrusted(std::string_view text, std::size_t limit = kEscapedLengthLimit);

} // namespace vm2oci
