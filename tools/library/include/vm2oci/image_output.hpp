// How an image is written, and what it is marked with.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci::v0 {

struct ImageOutput {
    std::string compression = "zstd"; // "zstd", "gzip" or "none", with ":LEVEL" behind it if need be
    bool chunked = false;             // zstd with a table of contents (zstd:chunked)
    std::optional<std::string> reuse; // a reference: an earlier version, whose frames are taken where they are the same
    std::string architecture;         // empty: the source's, else the guest's, else this machine's
    std::int64_t created = 0;         // seconds since the epoch
    std::map<std::string, std::string> labels;
    std::map<std::string, std::string> annotations;
    std::vector<std::string> environment; // "NAME=value"
};

struct WrittenLayer {
    std::string digest;
    std::string diff_id;
    std::string media_type;
    std::uint64_t size = 0;
    std::uint64_t content_size = 0; // uncompressed
};

struct WrittenImage {
    std::string digest; // of the manifest
    std::string media_type;
    std::uint64_t size = 0; // of the manifest
    std::vector<WrittenLayer> layers;
};

} // namespace vm2oci::v0
