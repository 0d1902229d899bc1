// The metadata of a VHDX: what its disk is.
#pragma once

#include "formats/block/vhdx/guid.hpp"
#include "formats/block/vhdx/headers.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace vm2oci::vhdx {

// What a differencing disk says of its parent.
struct ParentLocator {
    Guid data_write_guid{};
    std::optional<Guid> second_guid; // an older one of the same parent
    std::string name;                // untrusted, UTF-8
};

struct Metadata {
    std::uint64_t block_size = 0;
    bool fixed = false; // blocks stay allocated
    std::uint64_t disk_size = 0;
    std::uint32_t logical_sector_size = 0;
    std::uint32_t physical_sector_size = 0;
    Guid disk_id{};
    std::optional<ParentLocator> parent; // of differencing disks
};

// Error{corrupt, unsupported}: an item is missing, twice there, out of its bounds, or required and not known here.
Metadata read_metadata(const BlockDevice& file, const Region& region);

} // namespace vm2oci::vhdx
