// Signals of Linux by the names that images give them.
#pragma once

#include <cstdint>
#include <string_view>

namespace vm2oci {

// "SIGTERM", "term", "15", "SIGRTMIN+3": the number that x86 and arm have for it. Error{unsupported}: there is none.
std::uint32_t parse_signal(std::string_view text);

} // namespace vm2oci
