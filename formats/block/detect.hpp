// What kind of disk some bytes are, by the rule under which exactly one format may match.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/block/disk_format.hpp"

#include <optional>
#include <string_view>
#include <vector>

namespace vm2oci {

struct FormatMatch {
    std::string_view name;              // "qcow2", "VMDK", "gzip-compressed data"
    std::string_view advice;            // what to do with it, if it is not read here
    std::optional<DiskFormat> format{}; // what it is read as; none: it is not read here
    bool by_tail = false;               // a raw disk may end like that, too: the user must say which it is

    // Without being asked for by name.
    bool is_read() const { return format && !by_tail; }
};

// The name of what is text about something else, perhaps about a machine with disks.
inline constexpr std::string_view kXmlDocument = "XML document";

// The outcome of looking; judged by require_format().
struct Detection {
    // Formats whose signature matches, none twice.
    std::vector<FormatMatch> matches;
    // Signs of a raw disk (partition table), which a container format cannot bear at the same time.
    std::vector<std::string_view> raw_signs;
};

// Reads the first 64 KiB and the last KiB at most.
Detection detect(const BlockDevice& container);

// The one format that `detection` allows: what the only match is read as, raw if nothing matches. Else
// Error{unsupported} for a foreign format (by name, with advice) and Error{unsafe} for bytes that are two things at
// once.
DiskFormat require_format(const Detection& detection);

} // namespace vm2oci
