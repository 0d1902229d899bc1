// Where an image is, as people write it: skopeo's grammar.
#pragma once

#include "formats/oci/digest.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace vm2oci {

// oci:DIR[:TAG][@DIGEST]. The first colon ends the path, so a path cannot have one, and a tag can. A digest is the end
// of the tag ("v1@sha256:…"), or all of it ("sha256:…"): find_in_layout_index() reads it.
struct LayoutReference {
    std::string folder;
    std::optional<std::string> tag;
    bool operator==(const LayoutReference&) const = default;
};

// oci-archive:FILE[:TAG][@DIGEST]
struct ArchiveReference {
    std::string file;
    std::optional<std::string> tag;
    bool operator==(const ArchiveReference&) const = default;
};

// The name of Docker Hub in references. Another host serves it.
inline constexpr std::string_view kDockerHub = "docker.io";

// docker://HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]. The host is always written; docker.io means Docker Hub, whose
// one-part repositories lie in library/.
struct RegistryReference {
    std::string host;       // "localhost", "registry.example", "[::1]"; as written
    std::uint16_t port = 0; // 0: the scheme's own
    std::string repository; // "team/disk"
    std::string tag;        // "latest" if neither tag nor digest is written; "" with a digest alone
    Digest digest;          // empty unless written; it decides when both are
    bool operator==(const RegistryReference&) const = default;
};

// null:
struct NullReference {
    bool operator==(const NullReference&) const = default;
};

using ImageReference = std::variant<LayoutReference, ArchiveReference, RegistryReference, NullReference>;

// nullopt: `text` begins with none of the four prefixes (it is a disk). Error{usage} for one that is written
// wrongly, Error{unsupported} for the other stores that skopeo knows (docker-archive:, dir:, …).
std::optional<ImageReference> parse_image_reference(std::string_view text);

// The canonical text: parses to the same value.
std::string to_string(const ImageReference& reference);

// distribution-spec: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}
bool is_registry_tag(std::string_view text);

} // namespace vm2oci
