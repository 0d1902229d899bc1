// How a layer is compressed, as a value.
#pragma once

#include <string>
#include <string_view>

namespace vm2oci {

// xz is read and never written: artifacts have it, and layers of some writers.
enum class Compression { none, gzip, zstd, xz };
std::string_view to_string(Compression compression);

// Levels: zstd 1..19, gzip 1..12 (libdeflate's), none has none. 0 is the algorithm's default.
struct CompressionSpec {
    Compression algorithm = Compression::zstd;
    int level = 0;
    bool operator==(const CompressionSpec&) const = default;
};

inline constexpr int kDefaultZstdLevel = 2; // level 3 packs 1.6 % better and takes a third more time
inline constexpr int kMaxZstdLevel = 19;    // 20 to 22 differ by larger windows only, which 1 MiB frames cannot use
// Less than gzip at its level 6 in two thirds of its time (tests/bench/gzip_level.sh); ours at 6 packs 4 % better.
inline constexpr int kDefaultGzipLevel = 2;
inline constexpr int kMaxGzipLevel = 12;

// "zstd", "zstd:1", "gzip:9", "none"; Error{usage} otherwise.
CompressionSpec parse_compression(std::string_view text);
// The level with 0 replaced by the default; Error{usage} if the algorithm has no such level.
int resolve_level(const CompressionSpec& spec);

} // namespace vm2oci
