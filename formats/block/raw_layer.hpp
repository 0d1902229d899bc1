// A raw disk as a layer.
#pragma once

#include "formats/block/layer.hpp"

namespace vm2oci {

// Pads the disk to whole sectors. Fills `sizes` as far as it gets, whatever is thrown. Error{limit}.
std::unique_ptr<Layer> load_raw(const LayerSource& source, LayerSizes& sizes);

} // namespace vm2oci
