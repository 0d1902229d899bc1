// GUIDs as VHDX stores them.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace vm2oci::vhdx {

using Guid = std::array<std::byte, 16>; // the first three fields are little-endian

inline constexpr Guid kNullGuid{};

Guid load_guid(const std::byte* at);
// "2dc27766-f623-4200-9d64-115e9bfd4a08".
std::string to_string(const Guid& guid);
// Of a text in that form, which must be one.
Guid make_guid(std::string_view text);

} // namespace vm2oci::vhdx
