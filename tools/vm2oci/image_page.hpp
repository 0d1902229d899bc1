// An image and the disk inside it, as a page and as JSON.
#pragma once

#include "tools/flows/inspect.hpp"
#include "tools/vm2oci/guest_page.hpp"
#include "tools/vm2oci/page.hpp"

#include <nlohmann/json_fwd.hpp>

namespace vm2oci::cli {

void describe_image(Page& page, const ImageFindings& findings);
nlohmann::ordered_json image_to_json(const ImageFindings& findings);

} // namespace vm2oci::cli
