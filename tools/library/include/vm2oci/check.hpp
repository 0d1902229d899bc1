// Whether what an image is for would take it, and whether it is whole.
#pragma once

#include <vm2oci/error.hpp>
#include <vm2oci/operation.hpp>
#include <vm2oci/source.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace vm2oci::v0 {

struct ConsumerProblem {
    bool is_error = true; // else it works, under a condition that the text names
    std::string rule;     // a stable word
    std::string text;
    std::string remedy; // may be empty
};

struct ConsumerVerdict {
    std::string consumer; // "kubevirt"
    std::vector<ConsumerProblem> problems;
    bool works = false;
};

// `consumers` empty: all that the image is for. Error{usage} for a name that is none.
VM2OCI_API std::vector<ConsumerVerdict> check(const std::string& image, const std::vector<std::string>& consumers = {},
                                              const SourceOptions& source_options = {},
                                              const Operation& operation = {});

struct Mismatch {
    std::string where; // "layer sha256:…"
    std::string problem;
};

struct Verification {
    std::vector<std::string> digests; // of the images that were checked
    std::vector<Mismatch> mismatches; // empty: nothing is other than it says
    std::vector<Mismatch> unjudged;   // documents of a kind that is not known; empty: all were judged
    std::vector<Mismatch> remarks;    // layers whose stored bytes are right, and what they unpack to cannot be told
    std::uint64_t manifests = 0;
    std::uint64_t blobs = 0;
    std::uint64_t stored_bytes = 0;
    std::uint64_t content_bytes = 0;
};

// Recomputes every digest, size and diff_id of all images that the reference names.
VM2OCI_API Verification verify(const std::string& image, const RegistryOptions& registry = {},
                               const Operation& operation = {});

} // namespace vm2oci::v0
