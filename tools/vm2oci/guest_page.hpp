// The guest on a disk, for people and for programs.
#pragma once

#include "tools/flows/inspect.hpp"
#include "tools/vm2oci/page.hpp"

#include <nlohmann/json_fwd.hpp>

namespace vm2oci::cli {

void describe_guest(Page& page, const GuestFindings& findings);
nlohmann::ordered_json guest_to_json(const GuestFindings& findings);

} // namespace vm2oci::cli
