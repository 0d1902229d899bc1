// One block of content becomes one self-contained compressed frame.
#pragma once

#include "formats/codec/compression.hpp"

#include <cstddef>
#include <memory>
#include <span>

namespace vm2oci {

// The result depends on the content and the level alone, not on what was compressed before; nor on the processor,
// except for gzip at level 1 (below). Not thread-safe: one for each thread.
class FrameCompressor {
  public:
    virtual ~FrameCompressor() = default;
    // The most bytes that either method writes for `content_size` bytes.
    virtual std::size_t bound(std::size_t content_size) const = 0;
    // Both return the bytes written to `out`, which has bound(content.size()) bytes.
    virtual std::size_t compress(std::span<const std::byte> content, std::span<std::byte> out) = 0;
    // A frame that holds the content as it is.
    virtual std::size_t store(std::span<const std::byte> content, std::span<std::byte> out) = 0;
};

// For gzip and zstd; Error{usage} for a level that does not exist, and for Compression::none.
//
// zstd: frames with their content size in the header, without checksum (blob digests cover them) and dictionary;
// stored frames are raw blocks. gzip: members (RFC 1952) with time 0 and operating system 255, made by libdeflate. At
// level 1 they are ISA-L's, twice as fast, on x86 processors with SSE 4.2 (2008), which all write the same bytes;
// processors without them, and other architectures, write libdeflate's: the same content in other bytes.
std::unique_ptr<FrameCompressor> make_frame_compressor(const CompressionSpec& spec);

} // namespace vm2oci
