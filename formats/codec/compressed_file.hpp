// Files that are compressed as a whole, and streams: read where they lie if their format lets parts be read, else
// through one scratch file.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/block_device.hpp"

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class FileCompression { gzip, xz, zstd, bzip2, lz4 };
std::string_view to_string(FileCompression compression);

// By the first bytes (RFC 1952, RFC 8878, xz-file-format, lz4_Frame_format.md; for bzip2 with the magic of its first
// block, for three letters are little). Skippable frames, which zstd and lz4 share, are looked behind.
std::optional<FileCompression> detect_file_compression(const BlockDevice& file);

enum class UnpackMethod {
    in_place,       // zstd with a seek table: frames are decoded as they are asked for
    scratch_blocks, // xz of several blocks: each is decoded, when it is first asked for, into a scratch file
    scratch,        // all of it lies in a scratch file
};
std::string_view to_string(UnpackMethod method); // "in place", "by blocks", "whole"

struct UnpackedContent {
    std::shared_ptr<const BlockDevice> content;
    std::optional<FileCompression> compression; // of streams: none that is known
    std::uint64_t stored_size = 0;
    UnpackMethod method = UnpackMethod::scratch;
};

// Content of more than `max_content` bytes is Error{limit}, and so is what unpacks out of all proportion. Error{io} if
// the scratch folder has less room than the file is large. Of `operation`, cancellation and the scratch folder are used
// during the content's whole life. Everything but `scratch_blocks` and `in_place` is checked when this returns; with
// those a part is held against its checksum as it is decoded. `name` is for progress.
UnpackedContent open_compressed_file(const std::shared_ptr<const BlockDevice>& stored, FileCompression compression,
                                     std::uint64_t max_content, std::string_view name,
                                     const OperationContext& operation);

// The first bytes of the content, `wanted` of them or fewer: what a file of this size tells by unpacking a little of
// it.
std::vector<std::byte> first_content(const BlockDevice& stored, FileCompression compression, std::size_t wanted);

// The next bytes of a stream: how many of the buffer were filled; 0 at the end.
using ReadSome = std::function<std::size_t(std::span<std::byte> buffer)>;

// All of a stream: unpacked if it is compressed, or whatever it is as it comes. As above.
UnpackedContent spool_plain_stream(const ReadSome& read, std::uint64_t max_content, std::string_view name,
                                   const OperationContext& operation);
UnpackedContent spool_stream(const ReadSome& read, std::uint64_t max_content, std::string_view name,
                             const OperationContext& operation);

} // namespace vm2oci
