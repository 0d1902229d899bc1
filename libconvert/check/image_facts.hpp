// What consumers of an image look at, gathered once: its documents, the files of all its layers as a container would
// see them, and the disk inside.
#pragma once

#include "formats/block/open_disk.hpp"
#include "formats/tree/tar_reader.hpp"
#include "libconvert/source/image_content.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kMaxCheckedFiles = 2'000'000; // several times a full desktop installation; bounds memory

struct ImageFile {
    TarType type = TarType::regular;
    std::uint32_t permissions = 0;
    std::uint64_t uid = 0;
    std::uint64_t gid = 0;
    std::uint64_t size = 0;
};

// How the stored bytes of a layer begin.
struct LayerHead {
    std::string compression;                       // by magic: "zstd", "gzip", "none"
    std::optional<std::uint64_t> first_zstd_block; // stored bytes of the first block of the first zstd frame
};

struct ImageFacts {
    ImageContent content;
    std::vector<LayerHead> layers;          // as in the manifest
    std::vector<std::string> regular_files; // paths of the lowest layer in the order of its tar
    std::map<std::string, ImageFile> files; // the merged tree, by path without a leading slash; whiteouts applied
    std::optional<DiskFindings> disk;       // of the only regular file under /disk
};

// Reads the tar headers of all layers. Errors are those of the layers: what cannot be read is no fact.
ImageFacts gather_image_facts(ImageSource& source, const std::string& architecture, const OperationContext& operation);

// Of the first bytes of a zstd stream (RFC 8878, 3.1.1); nullopt if `head` does not begin with a frame or is too short.
std::optional<std::uint64_t> first_zstd_block_size(std::span<const std::byte> head);

} // namespace vm2oci
