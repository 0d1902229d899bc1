// From what a reference names to one image.
#pragma once

#include "formats/oci/store.hpp"

#include <string>

namespace vm2oci {

// `top` itself if it is a manifest. In an index: the manifest for linux on `architecture` (GOARCH), or, with "" for
// `architecture`, the only one there is. Entries that are no images (attestations) are passed over.
// Error{not_found} and Error{usage} list the architectures that exist.
Descriptor select_manifest(ImageSource& source, const Descriptor& top, const std::string& architecture);

} // namespace vm2oci
