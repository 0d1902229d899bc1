// Bytes of a device, in order, into a sink.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/base/sink.hpp"
#include "formats/base/size.hpp"
#include "formats/block/block_device.hpp"

#include <cstdint>

namespace vm2oci {

// Spans are at most this long; large enough that a call costs nothing, small enough to stay in the processor's cache
// until whoever is behind the sink has hashed and compressed them.
inline constexpr std::uint64_t kCopySpan = 1 * MiB;

// Writes [begin, end) of the device to `sink`. Holes are not read but come as spans of zeros. Ends of spans lie at
// multiples of kCopySpan of the device's offsets where no hole comes between and the sink has room for that much.
// Progress advances by bytes written (the caller names the phase); cancellation is seen between spans.
void copy_bytes(const BlockDevice& device, std::uint64_t begin, std::uint64_t end, ByteSink& sink,
                const OperationContext& context);

// The whole device: with a raw disk's device, the raw image as a stream.
inline void copy_bytes(const BlockDevice& device, ByteSink& sink, const OperationContext& context) {
    copy_bytes(device, 0, device.size(), sink, context);
}

} // namespace vm2oci
