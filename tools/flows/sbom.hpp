// A bill of materials beside what a command does.
#pragma once

#include "libconvert/inspect/guest_info.hpp"

#include <string>

namespace vm2oci {

// The document. CycloneDX 1.5 for a path that its tools know ("bom.json", "*.cdx.json"), else SPDX 2.3.
// Error{unsupported} when there is no guest, or none whose packages are known.
std::string make_sbom(const OpenedGuest& opened, const std::string& path);

} // namespace vm2oci
