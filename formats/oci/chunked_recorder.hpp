// What readers of zstd:chunked must know of a layer, gathered while its tar goes by. Formats: chunked_toc.hpp.
#pragma once

#include "formats/codec/layer_encoder.hpp"
#include "formats/codec/skippable_frame.hpp"
#include "formats/oci/descriptor.hpp"
#include "formats/tree/entry.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

class ChunkedRecorder {
  public:
    ChunkedRecorder();
    ~ChunkedRecorder();

    // The header of an entry begins with the next byte. Error{unsupported} for names that JSON cannot hold.
    void entry_begins(const Entry& entry, std::string_view header);

    struct Step {
        std::size_t length = 0;    // of the bytes that were given, from the first one
        bool begins_frame = false; // a new frame has to begin with them: content shares none with headers
    };
    // Takes note of the next bytes of the tar.
    Step take(std::span<const std::byte> bytes);

    // The frames behind the content, and what the layer's descriptor says of them. Call once, with what the encoder
    // made of exactly the bytes that were taken, digests of frames included. Error{limit} for tables that no reader
    // takes.
    std::vector<std::vector<std::byte>> make_tail(const EncodedLayer& layer);
    const Annotations& annotations() const { return annotations_; }

  private:
    static constexpr std::size_t kNoFile = ~std::size_t{0};
    struct Listed {
        std::string json;           // an object without its closing brace
        std::string name;           // as JSON
        std::size_t file = kNoFile; // index in files_
    };
    struct File {
        std::uint64_t begin; // in the tar
        std::uint64_t size;  // not 0
        Sha256Sum digest;
    };

    void end_header();
    void end_content();
    void add_segment();
    void add_line(const std::string& line);
    void list_entries(const EncodedLayer& layer, TextPacker& toc);

    std::vector<Listed> entries_; // the last one is going by
    std::vector<File> files_;
    std::uint64_t position_ = 0;     // in the tar
    std::uint64_t header_left_ = 0;  // bytes that still belong to the header
    std::uint64_t content_left_ = 0; // bytes that still belong to the content
    bool frame_begins_ = false;
    std::string segment_; // bytes of the tar since the last content
    std::unique_ptr<Sha256> digest_;
    std::uint64_t crc_ = 0; // CRC-64/GO-ISO, which tar-split checks contents with
    TextPacker tar_split_;
    std::uint64_t tar_split_lines_ = 0;
    Annotations annotations_;
};

} // namespace vm2oci
