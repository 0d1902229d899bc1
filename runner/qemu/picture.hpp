// The screen as QEMU dumps it, turned into what browsers show.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace vm2oci {

// A binary PPM (P6, 8 bits) as a PNG. Empty when the bytes are no such picture: QEMU may be in its guest's hands.
std::vector<std::byte> png_from_ppm(std::span<const std::byte> ppm);

} // namespace vm2oci
