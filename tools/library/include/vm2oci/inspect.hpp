// What a disk or an image is, and the guest inside.
#pragma once

#include <vm2oci/error.hpp>
#include <vm2oci/guest_access.hpp>
#include <vm2oci/inspection.hpp>
#include <vm2oci/operation.hpp>
#include <vm2oci/source.hpp>

#include <string>

namespace vm2oci::v0 {

struct InspectRequest {
    std::string source; // a reference (source.hpp)
    SourceOptions source_options;
    GuestAccess access;
    std::string architecture; // which image of an index; empty: the only one, else this machine's
};

// What a disk does that keeps it from being read is told in the result.
VM2OCI_API Inspection inspect(const InspectRequest& request, const Operation& operation = {});

} // namespace vm2oci::v0
