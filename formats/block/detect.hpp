// What kind of disk some bytes are, by the rule under which exactly one format may match.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/block/open_disk.hpp"

#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// The outcome of looking; judged by require_format().
struct Detection {
    // Formats whose signature matches, by name ("qcow2", "VMDK", "gzip-compressed data"), none twice.
    std::vector<std::string> matches;
    // Signs of a raw disk (partition table), which a container format cannot bear at the same time.
    std::vector<std::string> raw_signs;
};

// Reads the first 64 KiB and the last KiB at most.
Detection detect(const BlockDevice& container);

// The one format that `detection` allows: qcow2 if only that matches, raw if nothing does. Else Error{unsupported} for
// a foreign format (by name, with advice) and Error{unsafe} for bytes that are two things at once.
DiskFormat require_format(const Detection& detection);

} // namespace vm2oci
