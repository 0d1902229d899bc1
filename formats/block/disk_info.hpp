// What a disk is, as a value: one part that all formats have, and one of its own for each.
#pragma once

#include "formats/base/error.hpp"
#include "formats/block/disk_format.hpp"
#include "formats/block/qcow2/info.hpp"
#include "formats/block/vdi/info.hpp"
#include "formats/block/vhd/info.hpp"
#include "formats/block/vhdx/info.hpp"
#include "formats/block/vmdk/info.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace vm2oci {

// Of a raw disk there is nothing else to tell.
struct RawInfo {};

// Strings from the image are raw bytes: escape them before printing.
struct DiskInfo {
    DiskFormat format = DiskFormat::raw;
    std::uint64_t file_size = 0;
    std::uint64_t virtual_size = 0;
    // Bytes of the guest's disk that the container stores (for raw: the extents that are no holes). With
    // TableScan::none this and the numbers of clusters stay 0.
    std::uint64_t allocated_size = 0;
    std::variant<RawInfo, Qcow2Info, VmdkInfo, VhdInfo, VhdxInfo, VdiInfo> details; // of `format`

    // The details if they are of this kind, else null.
    template <class Details>
    const Details* get() const {
        return std::get_if<Details>(&details);
    }
};

// What there is to say about a disk that open_disk() would refuse, for `inspect`.
struct DiskFindings {
    DiskInfo info;                                   // of a file whose format is not known only `file_size`
    bool format_known = false;                       // false: a foreign or an ambiguous format, or an empty file
    std::optional<std::string> foreign_format;       // the name of a format that is recognised and not read
    std::optional<std::string> refusal;              // what open_disk() would say; none: it is safe to convert
    Hint refusal_hint{};                             // what would have it read all the same
    ErrorKind refusal_kind = ErrorKind::unsupported; // of the refusal, if there is one
};

} // namespace vm2oci
