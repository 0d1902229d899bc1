// Base64 (RFC 4648) with the standard alphabet and padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vm2oci {

// nullopt for what is not base64. Missing padding is forgiven.
std::optional<std::string> decode_base64(std::string_view text);
std::string encode_base64(std::string_view bytes);

} // namespace vm2oci
