// Streams of bytes that are decoded as they are read, and that know where their input ends: the compressions that the
// Linux kernel knows for itself and for initrds.
#pragma once

#include "formats/base/byte_stream.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace vm2oci {

struct Decoder {
    std::string name; // "zstd"; empty: no format that we know
    std::unique_ptr<ByteStream> stream;
};

// By the magic number that `head` begins with (the kernel's, lib/decompress.c: gzip, bzip2, lzma, xz, lz4, zstd). It
// takes from `input` exactly one stream; what follows it stays there. Its methods throw Error{corrupt}.
// `input` outlives the stream, which is null for lzo, which is named and not read.
Decoder make_decoder(std::span<const std::byte> head, ByteStream& input);

} // namespace vm2oci
