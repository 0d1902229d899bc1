// Inside of the room: streams of bytes that are decoded as they are read, and that know where their input ends.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace vm2oci::inspect {

class ByteStage {
  public:
    virtual ~ByteStage() = default;
    // Bytes that are ready, at least one; empty at the end. Valid until the next call.
    virtual std::span<const std::byte> available() = 0;
    // At most what available() gave last.
    virtual void consume(std::size_t count) = 0;
};

struct Decoder {
    std::string name; // "zstd"; empty: no format that we know
    std::unique_ptr<ByteStage> stage;
};

// By the magic number that `head` begins with (the kernel's, lib/decompress.c: gzip, bzip2, lzma, xz, lz4, zstd). The
// stage takes from `input` exactly one stream; what follows it stays there. Its methods throw Error{corrupt}.
// `stage` is null for lzo, which is named and not read.
Decoder make_decoder(std::span<const std::byte> head, ByteStage& input);

} // namespace vm2oci::inspect
