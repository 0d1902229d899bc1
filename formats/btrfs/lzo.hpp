// Inside of the room: LZO1X. Source of the format: the Linux kernel, Documentation/staging/lzo.rst (without the runs of
// zeros of its version 1, which btrfs does not write).
#pragma once

#include <cstddef>
#include <span>

namespace vm2oci::btrfs {

// Decodes all of `stored` to the front of `out`; returns how much of it was filled. Error{corrupt}: `stored` is no such
// stream, has something behind its end, or decodes to more.
std::size_t decode_lzo(std::span<const std::byte> stored, std::span<std::byte> out);

} // namespace vm2oci::btrfs
