// Removing from an OCI layout what none of its images reaches, and what killed runs left.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/oci/digest.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace vm2oci {

enum class PruneMode { remove, plan_only };

struct PruneOptions {
    // What is younger stays: another program may be about to name it. Our own writers are waited for by a lock.
    std::chrono::seconds least_age{3600};
    PruneMode mode = PruneMode::remove;
};

struct PrunedBlob {
    Digest digest;
    std::uint64_t size = 0;
};

struct PruneReport {
    std::vector<PrunedBlob> removed; // or what would be, by digest
    std::uint64_t removed_bytes = 0;
    std::uint64_t kept = 0; // blobs that images reach
    std::uint64_t kept_bytes = 0;
    std::uint64_t young = 0; // that nothing reaches, and that are too young
};

// Reached is what the entries of index.json name, whatever they name in turn, and images whose subject is reached
// (signatures, lists of packages) even if no entry names them. What is no blob by its name stays. Error{corrupt} if a
// manifest that is reached is missing or cannot be read, for then nobody knows what else is.
PruneReport prune_layout(const std::filesystem::path& folder, const PruneOptions& options,
                         const OperationContext& operation);

} // namespace vm2oci
