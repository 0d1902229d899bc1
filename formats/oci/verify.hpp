// Recomputes everything that an image says about itself.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/oci/store.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace vm2oci {

struct VerifyFinding {
    std::string where;   // "index", "manifest sha256:…", "config sha256:…", "layer sha256:…"
    std::string problem; // one line, escaped
};

struct VerifyReport {
    std::vector<Descriptor> images;      // what was checked, by name
    std::vector<VerifyFinding> findings; // empty: nothing is wrong with the image
    std::vector<VerifyFinding> unjudged; // documents that cannot be judged here, and what they name with them
    std::vector<VerifyFinding>
        remarks;                     // what is right to each stored byte, and cannot be held against all that is said
    std::uint64_t manifests = 0;     // indexes included
    std::uint64_t blobs = 0;         // configs and layers, each counted once
    std::uint64_t stored_bytes = 0;  // of them
    std::uint64_t content_bytes = 0; // of the layers, decoded
};

// Checks all images that the reference names, each from its top to every layer, of all platforms: digests and sizes;
// media types against what the documents say they are and what the layers are compressed with; required fields;
// platforms in an index against the configs'; as many diff_ids as layers, and each against its layer's decoded content;
// seek tables against their frames. Of layers that are encrypted or in a form that is not known here the stored bytes
// are checked, and a remark says the rest; non-distributable ones may lie elsewhere.
//
// Never stops at the first mismatch: what is wrong with the image is a finding. Error is for what keeps us from
// telling: Error{io}, Error{external}, Error{cancelled}, Error{not_found} when the reference names nothing. Streams:
// memory does not depend on the image. Hashing and decoding run on threads of their own.
VerifyReport verify_image(ImageSource& source, const OperationContext& operation);

} // namespace vm2oci
