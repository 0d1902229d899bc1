// An image and the disk inside it, as a page and as JSON.
#pragma once

#include "formats/block/open_disk.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "libconvert/source/image_content.hpp"
#include "tools/vm2oci/guest_page.hpp"
#include "tools/vm2oci/page.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <vector>

namespace vm2oci::cli {

struct ImageFindings {
    ImageContent content;
    std::optional<std::string> disk_path; // untrusted
    std::optional<DiskFindings> disk;
    std::string no_disk;                // why there is none; empty if there is one
    std::optional<GuestFindings> guest; // none: there is no disk, or it is refused
    ContentTrust trust = ContentTrust::not_verified;
    std::vector<Descriptor> referrers; // signatures and the like, of the same repository
};

struct ImageReading {
    std::string architecture; // which image of an index; empty: as select_manifest() has it
    DiskPolicy policy;
    GuestReading guest;
    bool verify = false; // all layers, before anything is read of them
};

// Reads manifest and configuration, and of the layer what the disk's tables and the guest's files take.
ImageFindings examine_image(ImageSource& source, const ImageReading& reading, const OperationContext& operation);

void describe_image(Page& page, const ImageFindings& findings);
nlohmann::ordered_json image_to_json(const ImageFindings& findings);

} // namespace vm2oci::cli
