// A disk's container as a page and as JSON.
#pragma once

#include "formats/block/open_disk.hpp"
#include "libconvert/source/disk_file.hpp"
#include "tools/vm2oci/page.hpp"

#include <nlohmann/json_fwd.hpp>

namespace vm2oci::cli {

// Adds rows under the heading that the caller has set.
void describe_disk(Page& page, const DiskFindings& findings);

nlohmann::ordered_json disk_to_json(const DiskFindings& findings);
nlohmann::ordered_json packing_to_json(const FilePacking& packing);

} // namespace vm2oci::cli
