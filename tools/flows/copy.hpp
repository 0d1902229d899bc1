// Stored images from one reference to another, and several of them joined under one name.
#pragma once

#include "libconvert/copy/copy_image.hpp"
#include "libconvert/copy/join_images.hpp"
#include "tools/flows/open_source.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

enum class TagChoice {
    one, // that the references name
    all, // of the source, under the same names
};
enum class ReferrerChoice { leave, take }; // signatures, SBOMs, attestations

struct ImageCopyRequest {
    std::string source_name;      // as the user wrote it
    std::string destination_name; // the same
    ImageReference source;
    ImageReference destination;
    TagChoice tags = TagChoice::one;
    ReferrerChoice referrers = ReferrerChoice::leave;
    CopyOptions options;                 // `earlier` is found
    std::optional<ImageReference> reuse; // an earlier version, of which parts need not be fetched, and what deltas need
    std::optional<ImageReference> against; // what it has is left out: the result is a delta
    registry::RegistryOptions registry;
    std::filesystem::path digest_file; // gets the digest of the one image; empty: none
};

struct CopiedImage {
    std::string destination;
    CopyResult result;
    std::vector<Digest> referrers{};
};

// Each image appears as a whole, with its digest file, after what refers to it; `copied` is called then. Error{usage}
// where references do not fit TagChoice::all, Error{not_found}: the source has no tags.
void copy_images(const ImageCopyRequest& request, const std::function<void(const CopiedImage&)>& copied,
                 const OperationContext& operation);

struct NamedImage {
    ImageReference reference;
    std::string name; // as the user wrote it
};

struct IndexRequest {
    std::vector<NamedImage> sources;
    ImageReference destination;
    Annotations annotations;
    registry::RegistryOptions registry;
    std::filesystem::path digest_file; // gets the index's digest; empty: none
};

// As join_images(), and published, with the digest file.
JoinResult create_index(const IndexRequest& request, const OperationContext& operation);

} // namespace vm2oci
