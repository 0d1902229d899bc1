// A disk's container as a page and as JSON.
#pragma once

#include "formats/block/open_disk.hpp"
#include "libconvert/source/disk_file.hpp"
#include "tools/vm2oci/page.hpp"

namespace vm2oci::cli {

// Adds rows under the heading that the caller has set.
void describe_disk(Page& page, const DiskFindings& findings);

} // namespace vm2oci::cli
