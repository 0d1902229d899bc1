// index.json of an OCI layout (image-layout.md): which manifest each tag names. Pure text to text.
//
// A tag names what was published directly: for one platform the manifest itself, without an index around it, since
// many readers of layouts take index.json for the only index. The tag is the annotation
// org.opencontainers.image.ref.name of the entry.
#pragma once

#include "formats/oci/descriptor.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr const char* kRefNameAnnotation = "org.opencontainers.image.ref.name";
// What containerd and podman call an image that they import, whatever its tag is.
inline constexpr const char* kContainerdNameAnnotation = "io.containerd.image.name";
inline constexpr std::string_view kLayoutFileText = R"({"imageLayoutVersion":"1.0.0"})";

std::string empty_layout_index();

// As long as the entry of any image that we make: to ask beforehand whether there is room for one.
Descriptor likely_entry();

// `index_text` with `top` under `tag`. The entry that had the tag is replaced where it stands; everything else stays,
// fields that we do not know included. The artifact type of an only entry, and when it was made, stand at the index,
// as KubeVirt's exports have them; those of one among others at the entry. Without a tag, the one entry that has none
// is replaced; Error{conflict} if several have none, Error{usage} for a tag with a digest, Error{limit} if nobody could
// read the result again.
std::string layout_index_with(std::string_view index_text, const Descriptor& top,
                              const std::optional<std::string>& tag);

// What `tag` names. One that no entry has and that ends in a digest ("v1@sha256:…", "sha256:…") names the entry of that
// digest. Without a tag: the only image there is. Several entries for several platforms are one image, as
// image-layout.md has them: platform_index() then, by its digest. Error{not_found} lists the tags, Error{usage} asks
// for one, Error{corrupt} if the tag stands at two different manifests. `where` names the layout in messages.
Descriptor find_in_layout_index(std::string_view index_text, const std::optional<std::string>& tag,
                                std::string_view where);

// The index that stands for the entries of `tag` (none: for those without one) if they are several and each is for
// another platform. "" otherwise.
std::string platform_index(std::string_view index_text, const std::optional<std::string>& tag);

// All entries if `tag` is none, else find_in_layout_index(). Error{not_found} if there are none.
std::vector<Descriptor> images_in_layout_index(std::string_view index_text, const std::optional<std::string>& tag,
                                               std::string_view where);

// In the order of index.json; untrusted.
std::vector<std::string> layout_index_tags(std::string_view index_text);

// Error{corrupt} or Error{unsupported} unless `text` is an oci-layout file of version 1.0.0.
void check_layout_file(std::string_view text);

} // namespace vm2oci
