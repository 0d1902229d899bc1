// Which kernel modules an initrd holds.
#pragma once

#include "libconvert/guest/guest.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace vm2oci::inspect {

struct InitrdFindings {
    std::string compression; // of the last compressed part; "none"
    std::string problem;     // empty: all of it was read
    std::uint64_t files = 0;
    std::vector<std::string> modules; // paths of kernel modules, raw bytes
};

InitrdFindings read_initrd(const Guest& guest, const std::string& path, const OperationContext& operation);

} // namespace vm2oci::inspect
