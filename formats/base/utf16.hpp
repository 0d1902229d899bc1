// UTF-16, as partition tables and FAT have it, becomes UTF-8.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace vm2oci {

// A surrogate without its other half becomes U+FFFD. Code unit 0 is a character like any other.
std::string utf16_to_utf8(std::span<const std::uint16_t> units);

} // namespace vm2oci
