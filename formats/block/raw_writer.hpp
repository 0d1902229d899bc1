// A disk as a sparse raw file. (As a stream: copy_bytes() of raw_image(disk), see copy.hpp and padded.hpp.)
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/block_device.hpp"

namespace vm2oci {

// Writes the device into `fd`, an empty regular file, and gives it the device's size. Holes, and runs of zeros that
// fill 4 KiB of the file, stay holes. Uses context.threads; progress counts bytes of the disk (the caller names the
// phase). The content does not depend on the number of threads. For what `qemu-img convert -O raw` writes, pass
// raw_image(disk). Returns the bytes that are no holes.
std::uint64_t write_raw_file(const BlockDevice& device, int fd, const OperationContext& context);

} // namespace vm2oci
