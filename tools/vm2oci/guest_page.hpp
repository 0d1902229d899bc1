// The guest on a disk, for people and for programs.
#pragma once

#include "tools/flows/inspect.hpp"
#include "tools/vm2oci/page.hpp"

namespace vm2oci::cli {

void describe_guest(Page& page, const GuestFindings& findings);

} // namespace vm2oci::cli
