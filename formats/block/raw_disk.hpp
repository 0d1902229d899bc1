// Raw disks: the container's bytes are the guest's.
#pragma once

#include "formats/block/block_device.hpp"

#include <memory>

namespace vm2oci {

inline constexpr std::uint64_t kSectorBytes = 512;

// A raw disk in `container`. Guests see whole sectors of 512 bytes, so a container whose size is no multiple of that is
// followed by zeros up to the next one, as QEMU does it; `qemu-img convert -O raw` writes the same.
std::shared_ptr<const BlockDevice> make_raw_disk(std::shared_ptr<const BlockDevice> container);

} // namespace vm2oci
