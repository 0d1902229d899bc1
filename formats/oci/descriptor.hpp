// OCI descriptors (image-spec, descriptor.md) and the media types that we read or write.
#pragma once

#include "formats/oci/digest.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

namespace media_type {
inline constexpr const char* oci_index = "application/vnd.oci.image.index.v1+json";
inline constexpr const char* oci_manifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr const char* oci_config = "application/vnd.oci.image.config.v1+json";
inline constexpr const char* oci_layer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr const char* oci_layer_gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr const char* oci_layer_zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr const char* docker_list = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr const char* docker_manifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr const char* docker_config = "application/vnd.docker.container.image.v1+json";
inline constexpr const char* docker_layer_gzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
} // namespace media_type

using Annotations = std::map<std::string, std::string>;

struct BlobIdentity {
    Digest digest{};
    std::uint64_t size = 0;
};

struct Platform {
    std::string architecture{}; // GOARCH: amd64, arm64, …
    std::string os = "linux";
    std::string variant{};
    bool operator==(const Platform&) const = default;
};

struct Descriptor {
    std::string media_type{};
    Digest digest{};
    std::uint64_t size = 0;
    Annotations annotations{};
    std::optional<Platform> platform{};
    std::string artifact_type{};
    bool operator==(const Descriptor&) const = default;
};

} // namespace vm2oci
