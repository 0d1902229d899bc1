// A file beside one that the user named, whose name follows from his.
#pragma once

#include "formats/block/disk_policy.hpp"
#include "formats/block/layer.hpp"

#include <filesystem>
#include <string_view>

namespace vm2oci {

struct SiblingFile {
    DevicePtr file;           // null: it is not opened
    std::string_view refusal; // why: "is a link"
};

// Only a regular file, and no link is followed in its name. Error{io}; Error{unsafe} as open_disk_file().
SiblingFile open_sibling_file(const std::filesystem::path& path, const DiskPolicy& policy);

} // namespace vm2oci
