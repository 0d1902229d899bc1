// A bill of materials of a guest: SPDX 2.3 as JSON (spdx.github.io/spdx-spec/v2.3).
#pragma once

#include "libconvert/inspect/guest_info.hpp"
#include "libconvert/inspect/package_database.hpp"

#include <string>

namespace vm2oci {

struct SbomOptions {
    std::string name;    // of the document: what was looked at
    std::string created; // RFC 3339, in UTC and whole seconds
};

// The same bytes for the same input. Every package has a purl; licences are named where they are expressions of
// licences on SPDX' list, or of Debian's names for them, else NOASSERTION.
std::string write_spdx(const OsInfo& os, const PackageDatabase& database, const SbomOptions& options);

// Inside of the room, for tests: "GPL-2+ and Expat" → "GPL-2.0-or-later AND MIT". Empty: not all of it is known.
std::string spdx_license(std::string_view text);

} // namespace vm2oci
