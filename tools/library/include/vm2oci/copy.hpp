// Stored images from one reference to another, as they are.
#pragma once

#include <vm2oci/error.hpp>
#include <vm2oci/operation.hpp>
#include <vm2oci/registry.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci::v0 {

struct CopyRequest {
    std::string source; // references to images
    std::string destination;
    bool all_tags = false;            // of the source, under the same names
    bool referrers = false;           // signatures, SBOMs and attestations too
    std::string architecture;         // of an index only this one; empty: all
    std::optional<std::string> reuse; // an earlier version, of which parts need not be fetched
    unsigned parallel_blobs = 3;
    RegistryOptions registry;
};

struct CopiedImage {
    std::string destination;
    std::string digest;
    std::uint64_t copied_bytes = 0;
    std::uint64_t reused_bytes = 0;
    std::vector<std::string> referrers; // digests
};

// Each image appears as a whole.
VM2OCI_API std::vector<CopiedImage> copy(const CopyRequest& request, const Operation& operation = {});

// Joins images for several architectures under one name; the digest of the index.
VM2OCI_API std::string create_index(const std::vector<std::string>& sources, const std::string& destination,
                                    const std::map<std::string, std::string>& annotations = {},
                                    const RegistryOptions& registry = {}, const Operation& operation = {});

} // namespace vm2oci::v0
