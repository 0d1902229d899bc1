// CRC-32C (Castagnoli), as VHDX has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vm2oci {

// Of bytes in several pieces: give the last result as `so_far`.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t so_far = 0);

} // namespace vm2oci
