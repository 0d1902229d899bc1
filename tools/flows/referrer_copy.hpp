// What refers to an image goes along with it: signatures, SBOMs, attestations.
#pragma once

#include "libconvert/copy/copy_image.hpp"
#include "tools/flows/open_source.hpp"

#include <vector>

namespace vm2oci {

struct ReferrerCopy {
    const ImageReference& source;
    const ImageReference& destination;
    const CopyOptions& options;
    const registry::RegistryOptions& registry_options;
    const OperationContext& operation;
};

// Copies what refers to `top` and to the manifests in it, and what refers to that: by the referrers API
// or its tag (distribution-spec), and by cosign's tags (sha256-….sig, .att, .sbom). In layouts and archives a list of
// referrers has the tag sha256-…, as in registries without the API. Returns the digests, in the order of copying.
// Error{limit} for more than some thousand.
std::vector<Digest> copy_referrers(const Descriptor& top, const ReferrerCopy& copy);

} // namespace vm2oci
