// The log of a VHDX: changes of metadata that its last user wrote down and may not have carried out.
#pragma once

#include "formats/block/layer.hpp"
#include "formats/block/vhdx/headers.hpp"

#include <cstdint>

namespace vm2oci::vhdx {

struct Replay {
    DevicePtr file;            // as it is once the log is carried out; the file itself is not changed
    std::uint32_t entries = 0; // how many were carried out; 0: the log was empty
};

// Error{corrupt} for a log that is not empty and holds no sound sequence of entries (the format says that such a file
// is corrupt), for entries that contradict themselves, and for a file that is shorter than the log says; Error{limit}
// for one that is larger than 32 MiB (Hyper-V's have 1 MiB).
Replay replay_log(DevicePtr file, const FileHeader& header);

} // namespace vm2oci::vhdx
