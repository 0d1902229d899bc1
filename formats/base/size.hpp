// Sizes and durations as people write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace vm2oci {

inline constexpr std::uint64_t KiB = 1024;
inline constexpr std::uint64_t MiB = 1024 * KiB;
inline constexpr std::uint64_t GiB = 1024 * MiB;
inline constexpr std::uint64_t TiB = 1024 * GiB;

// "20G", "512MiB", "1.5T", "4096": powers of 1024, as qemu-img reads them. Error{usage} otherwise.
std::uint64_t parse_size(std::string_view text);
// "1.2 GiB", "64 KiB", "17 B".
std::string format_size(std::uint64_t bytes);

// "90s", "5m", "1h30m", "250ms", "120" (seconds). Error{usage} otherwise.
std::chrono::milliseconds parse_duration(std::string_view text);

} // namespace vm2oci
