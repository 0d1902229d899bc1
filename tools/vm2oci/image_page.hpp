// An image and the disk inside it, as a page and as JSON.
#pragma once

#include "formats/block/open_disk.hpp"
#include "libconvert/source/image_content.hpp"
#include "tools/vm2oci/page.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>

namespace vm2oci::cli {

struct ImageFindings {
    ImageContent content;
    std::optional<std::string> disk_path; // untrusted
    std::optional<DiskFindings> disk;
    std::string no_disk; // why there is none; empty if there is one
};

// Reads manifest and configuration, and the head of the disk.
ImageFindings examine_image(ImageSource& source, const std::string& architecture, const OperationContext& operation);

void describe_image(Page& page, const ImageFindings& findings);
nlohmann::ordered_json image_to_json(const ImageFindings& findings);

} // namespace vm2oci::cli
