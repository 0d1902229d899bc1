// One image index of images for several architectures.
#pragma once

#include "formats/oci/descriptor.hpp"
#include "libconvert/copy/copy_image.hpp"

#include <string>
#include <vector>

namespace vm2oci {

struct JoinSource {
    ImageSource* image = nullptr; // not owned
    std::string name;             // for messages
};

struct JoinResult {
    Descriptor top;
    std::vector<Descriptor> manifests; // in the order of the sources
    std::vector<CopiedBlob> blobs;
};

// Copies the contents of all sources, and writes an index of their manifests, which the caller gives to
// destination.publish(); a source that is an index itself gives all of its manifests. The platform of a manifest is
// that of its config. Error{conflict} if two are for the same platform (however they spell it; attestations are for
// none, and podman's disks for one kind of machine), Error{unsupported} for a manifest whose config states none.
JoinResult join_images(const std::vector<JoinSource>& sources, ImageDestination& destination,
                       const Annotations& annotations, const CopyOptions& options, const OperationContext& operation);

} // namespace vm2oci
