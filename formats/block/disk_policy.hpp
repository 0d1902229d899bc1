// What the user lets a disk do, and how far its reader looks: below all formats.
#pragma once

#include "formats/base/size.hpp"

#include <cstdint>

namespace vm2oci {

// Whether something irregular that the user can vouch for is refused (the default) or read all the same.
enum class Tolerance { refuse, allow };

inline constexpr std::uint64_t kDefaultMaxVirtualSize = 2 * TiB; // larger than disks that are packaged; bounds tables

struct DiskPolicy {
    std::uint64_t max_virtual_size = kDefaultMaxVirtualSize;
    Tolerance corrupt_bit = Tolerance::refuse; // --allow-corrupt
    Tolerance truncation = Tolerance::refuse;  // --allow-truncated: clusters beyond the end of the file read as zeros
    Tolerance in_use = Tolerance::refuse;      // --allow-in-use: read while somebody else may be writing
};

// How much of the tables open_disk() looks at before it returns.
enum class TableScan {
    complete, // all of them: nothing that is read later can turn out to be refused, and DiskInfo is complete
    none,     // only the header (and the L1 table): each entry is judged when it is read; for a head within a layer
};

// Error{limit} for a disk that is larger than the policy has it.
void check_virtual_size(std::uint64_t size, const DiskPolicy& policy);

// Compression makes a cluster up to about 1000 times smaller, and guest clusters may share a host cluster. Real disks
// stay below 10; a file that promises more than this is a bomb, unless what it promises is small.
inline constexpr std::uint64_t kMaxAmplification = 256;
inline constexpr std::uint64_t kAmplificationFreeBytes = 4 * GiB;

// Error{limit} if a file that stores `stored` bytes promises out of all proportion to that.
void check_amplification(std::uint64_t promised, std::uint64_t stored);

} // namespace vm2oci
