#include "formats/codec/compression.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>

#include <charconv>

namespace vm2oci {
namespace {

struct Levels {
    int standard;
    int highest;
};

Levels levels_of(Compression algorithm) {
    switch (algorithm) {
    case Compression::none:
        return {0, 0};
    case Compression::gzip:
        return {kDefaultGzipLevel, kMaxGzipLevel};
    case Compression::zstd:
        return {kDefaultZstdLevel, kMaxZstdLevel};
    case Compression::xz:
        return {0, 0};
    }
    return {0, 0};
}

} // namespace

std::string_view to_string(Compression compression) {
    switch (compression) {
    case Compression::none:
        return "none";
    case Compression::gzip:
        return "gzip";
    case Compression::zstd:
        return "zstd";
    case Compression::xz:
        return "xz";
    }
    return "none";
}

int resolve_level(const CompressionSpec& spec) {
    const Levels levels = levels_of(spec.algorithm);
    if (spec.level == 0)
        return levels.standard;
    if (spec.level < 0 || spec.level > levels.highest)
        fail(ErrorKind::usage, levels.highest == 0
                                   ? fmt::format("compression '{}' has no levels", to_string(spec.algorithm))
                                   : fmt::format("compression '{}' has levels 1 to {}, not {}",
                                                 to_string(spec.algorithm), levels.highest, spec.level));
    return spec.level;
}

CompressionSpec parse_compression(std::string_view text) {
    const std::size_t colon = text.find(':');
    const std::string_view name = text.substr(0, colon);
    CompressionSpec spec;
    if (name == "zstd")
        spec.algorithm = Compression::zstd;
    else if (name == "gzip")
        spec.algorithm = Compression::gzip;
    else if (name == "none")
        spec.algorithm = Compression::none;
    else
        fail(ErrorKind::usage, "compression " + quote_untrusted(name) + " is not known; use zstd, gzip or none");
    if (colon == std::string_view::npos)
        return spec;
    const std::string_view level = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(level.data(), level.data() + level.size(), spec.level);
    // Zero would silently mean the default, and gzip users know it as "stored".
    if (error != std::errc() || end != level.data() + level.size() || spec.level == 0)
        fail(ErrorKind::usage, "compression level " + quote_untrusted(level) + " is not understood; write " +
                                   std::string(name) + ":1 to " + std::string(name) + ":" +
                                   std::to_string(levels_of(spec.algorithm).highest));
    resolve_level(spec);
    return spec;
}

} // namespace vm2oci
