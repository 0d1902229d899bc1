// A blob that changed little since an earlier version: what is the same is taken from there, the rest is fetched.
#pragma once

#include "formats/base/size.hpp"
#include "libconvert/copy/earlier_image.hpp"

#include <cstdint>
#include <optional>

namespace vm2oci {

inline constexpr std::uint64_t kLargestFetch = 8 * MiB; // of one request: bounds the memory
inline constexpr std::uint64_t kBridgedGap = 32 * KiB;  // fetched again rather than asked around: a request costs more
inline constexpr std::uint64_t kSmallestPartial = 1 * MiB; // smaller blobs are fetched whole

// How a blob is put together.
struct PartialStep {
    std::uint64_t offset = 0; // in the blob
    std::uint64_t size = 0;
    std::optional<EarlierParts::Place> earlier; // none: to be fetched
};

// Steps that cover [0, blob_size) in order.
std::vector<PartialStep> plan_partial_copy(const std::vector<LayerPart>& parts, std::uint64_t blob_size,
                                           const EarlierParts& earlier);

// Writes the whole blob to a new writer of `destination` and commits it. Returns how many bytes came from the earlier
// version. nullopt, and nothing committed: this way does not work, because the registry serves no parts, nothing is the
// same, or the result was not what the digest says. Error as the source's and the destination's.
std::optional<std::uint64_t> copy_partially(ImageSource& source, ImageDestination& destination, const Descriptor& blob,
                                            const EarlierParts& earlier, const OperationContext& operation);

} // namespace vm2oci
