// The list of files in an initrd: cpio archives one behind the other, the first ones often plain (microcode), the last
// ones compressed (Documentation/driver-api/early-userspace/buffer-format.rst of the kernel).
#pragma once

#include "libconvert/guest/guest.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace vm2oci::inspect {

// More than any initrd holds; what goes beyond is reported as a problem.
inline constexpr std::uint64_t kMaxInitrdContent = 2ull * 1024 * 1024 * 1024;
inline constexpr std::uint64_t kMaxInitrdFiles = 200'000;

struct InitrdFindings {
    std::string compression; // of the last compressed part; "none"
    std::string problem;     // empty: all of it was read
    std::uint64_t files = 0;
    std::vector<std::string> modules; // paths of kernel modules, raw bytes
};

InitrdFindings read_initrd(const Guest& guest, const std::string& path, const OperationContext& operation);

} // namespace vm2oci::inspect
