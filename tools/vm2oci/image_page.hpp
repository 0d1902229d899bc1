// An image and the disk inside it, as a page and as JSON.
#pragma once

#include "tools/flows/inspect.hpp"
#include "tools/vm2oci/guest_page.hpp"
#include "tools/vm2oci/page.hpp"

namespace vm2oci::cli {

void describe_image(Page& page, const ImageFindings& findings);

} // namespace vm2oci::cli
