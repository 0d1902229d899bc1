// A stored image goes from one store to another as it is: same bytes, same digests.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/copy/earlier_image.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

inline constexpr unsigned kParallelBlobs = 3;             // what registries bear from one client, and links fill with
inline constexpr std::size_t kMaxManifestsOfImage = 1000; // an index of indexes names a few dozen at most

struct CopyOptions {
    unsigned parallel_blobs = kParallelBlobs;
    std::string architecture; // not empty: of an index, only the manifest for this one (GOARCH)
    std::shared_ptr<const EarlierParts> earlier = nullptr; // what need not be fetched from a remote source; may be null
};

enum class BlobOutcome { copied, already_there };

struct CopiedBlob {
    Descriptor blob;
    BlobOutcome outcome;
    std::uint64_t reused_bytes = 0; // of a copied blob, that came from an earlier version
};

struct CopyResult {
    Descriptor top;
    Descriptor entry;              // `top` as it is published, with its platform
    std::vector<CopiedBlob> blobs; // by digest
    std::uint64_t copied_bytes() const;
    std::uint64_t reused_bytes() const;
};

// All manifests, configs and layers of what the source names, several blobs at once. Every blob's digest and size are
// verified before the destination makes it visible; the reference is written last. Error{corrupt} for a blob that is
// not what its descriptor says, Error{not_found} for an architecture that is not there. Progress: one phase, its total
// is the sum of the blobs; those that are there already do not advance it.
CopyResult copy_image(ImageSource& source, ImageDestination& destination, const CopyOptions& options,
                      const OperationContext& operation);

// The same without the last step: the caller gives `entry` to destination.publish(), or drops it all.
CopyResult copy_unpublished(ImageSource& source, ImageDestination& destination, const CopyOptions& options,
                            const OperationContext& operation);

// The same for one manifest or index of the source.
std::vector<CopiedBlob> copy_contents(ImageSource& source, const Descriptor& top, ImageDestination& destination,
                                      const CopyOptions& options, const OperationContext& operation);

} // namespace vm2oci
