// Decoders of one compression format each, for streams that come in pieces of any size. What several members, frames or
// streams one behind the other hold is the content of one.
#pragma once

#include "formats/base/sink.hpp"

#include <cstddef>
#include <memory>
#include <span>

namespace vm2oci {

class StreamDecoder {
  public:
    virtual ~StreamDecoder() = default;
    // Takes the next stored bytes; `out` gets what they decode to. Error{corrupt}, Error{unsupported}, Error{limit}.
    virtual void decode(std::span<const std::byte> stored, ByteSink& out) = 0;
    // Error{corrupt} if the stream ends in the middle of a member. Call once, at the end.
    virtual void finish() = 0;
};

// What may stand behind the last member. Anything else there is Error{corrupt}, whatever the tool of the format says of
// it: a damaged member is not to be told from garbage.
enum class Padding {
    none,
    zeros, // of tapes and of dd; gzip, bzip2 and lz4 pass over them
};

std::unique_ptr<StreamDecoder> make_gzip_decoder(Padding padding);
// Windows of up to 2^`max_window_log` bytes, which are the decoder's memory.
std::unique_ptr<StreamDecoder> make_zstd_decoder(int max_window_log);
// Behind a stream only what the format calls stream padding.
std::unique_ptr<StreamDecoder> make_xz_decoder();
std::unique_ptr<StreamDecoder> make_bzip2_decoder(Padding padding);
// Frames of version 1.5 and later (lz4, doc/lz4_Frame_format.md), without the legacy form.
std::unique_ptr<StreamDecoder> make_lz4_decoder(Padding padding);

} // namespace vm2oci
