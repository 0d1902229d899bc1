// What the headers and the metadata of a VHDX say.
#pragma once

#include "formats/block/block_counts.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace vm2oci {

struct VhdxInfo {
    std::string type;    // "fixed", "dynamic", "differencing"
    std::string creator; // untrusted
    std::uint64_t block_size = 0;
    std::uint32_t logical_sector_size = 0;
    std::uint32_t physical_sector_size = 0;
    std::string disk_id;                    // GUID; empty: the file tells none
    std::string data_id;                    // GUID of the content, which children name as their parent
    std::optional<std::string> parent_id;   // the parent's data_id
    std::string parent_name;                // untrusted
    std::uint32_t replayed_log_entries = 0; // read with the log applied, which its last user left behind
    BlockCounts blocks;
};

} // namespace vm2oci
