// A bill of materials of a guest: CycloneDX 1.5 as JSON (cyclonedx.org/docs/1.5/json).
#pragma once

#include "libconvert/inspect/spdx.hpp"

#include <string>

namespace vm2oci {

// As write_spdx(): the same packages and purls, and the same bytes for the same input.
std::string write_cyclonedx(const OsInfo& os, const PackageDatabase& database, const SbomOptions& options);

} // namespace vm2oci
