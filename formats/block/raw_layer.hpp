// A raw disk as a layer.
#pragma once

#include "formats/block/layer.hpp"

namespace vm2oci {

// Pads the disk to whole sectors. Fills `sizes` as far as it gets, whatever is thrown. Error{limit}.
std::unique_ptr<Layer> load_raw(const LayerSource& source, LayerSizes& sizes);

// Bytes of the device that lie in extents with data.
std::uint64_t stored_bytes(const BlockDevice& device);

} // namespace vm2oci
