// Inside of the room: from a physical volume to the text that describes its group.
#pragma once

#include "formats/block/block_device.hpp"

#include <string>

namespace vm2oci::lvm {

// The current metadata text, its checksum checked; empty if this volume carries none. Error{corrupt}, Error{limit}.
std::string read_metadata_text(const BlockDevice& device);

} // namespace vm2oci::lvm
