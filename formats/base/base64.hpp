// Base64 (RFC 4648) with the standard alphabet and padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vm2oci {

// nullopt for what is not base64. Missing padding is forgiven.
std::optional<std::string> decode_base64(std::string_view text);
// What the alphabet does not have is passed over, as MIME wants it and as untrusted text is best read. nullopt: what is
// left ends within a byte.
std::optional<std::string> decode_base64_lenient(std::string_view text);
std::string encode_base64(std::string_view bytes);

} // namespace vm2oci
