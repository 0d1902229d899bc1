// zstd:chunked: the table of contents by which podman, CRI-O and our own pull fetch only what they lack of a layer.
//
// Source: containers/storage, pkg/chunked/internal/minimal/compression.go and pkg/chunked/compression_linux.go. Behind
// the content stand three skippable frames: the table of contents (JSON), the tar-split (JSON lines; every byte of the
// tar that is no content) and a footer of 64 bytes, the first two compressed with zstd. Annotations of the layer's
// descriptor say where the first two lie and name the digest of the compressed table, which makes it as trustworthy as
// the manifest. Versions of containers/storage before 1.44 know other names of the annotations and no tar-split.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/codec/layer_content.hpp"
#include "formats/oci/descriptor.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

namespace chunked {
inline constexpr const char* kTocChecksum = "io.github.containers.zstd-chunked.manifest-checksum";
inline constexpr const char* kTocPosition = "io.github.containers.zstd-chunked.manifest-position";
inline constexpr const char* kTarSplitPosition = "io.github.containers.zstd-chunked.tarsplit-position";
inline constexpr const char* kOldTocChecksum = "io.containers.zstd-chunked.manifest-checksum";
inline constexpr const char* kOldTocPosition = "io.containers.zstd-chunked.manifest-position";
inline constexpr std::uint64_t kTocType = 1;
inline constexpr std::uint64_t kMaxTocSize = 150 * MiB; // as containers/storage, packed and unpacked
} // namespace chunked

// A range of a file in the layer that can be fetched alone.
struct TocChunk {
    std::uint64_t stored_offset = 0;
    std::uint64_t stored_end = 0;
    std::uint64_t content_size = 0;
    bool is_zero = false;
    Sha256Sum digest{}; // of the content, unless that is zeros
};

struct LayerToc {
    std::vector<TocChunk> chunks; // by stored_offset, without overlaps
    std::vector<FrameProof> proofs() const;
};

// nullopt: the layer has no table. Error{corrupt} if it has one that is not what the annotations say, or that names
// parts which the layer cannot have; Error{limit}. Reads the table alone.
std::optional<LayerToc> read_layer_toc(const BlockDevice& layer, const Annotations& annotations);

// What is wrong with the tables of a layer, if it has any: the table of contents, the tar-split and the footer against
// the annotations and each other.
std::optional<std::string> check_layer_toc(const BlockDevice& layer, const Annotations& annotations);

} // namespace vm2oci
