// A VHD as a layer: fixed, dynamic or differencing.
#pragma once

#include "formats/block/layer.hpp"
#include "formats/block/refusals.hpp"
#include "formats/block/vhd/info.hpp"

#include <memory>

namespace vm2oci::vhd {

// Fills `info` and `sizes` as far as it gets, whatever is thrown. Error{corrupt, unsupported, limit}.
std::unique_ptr<Layer> load(const LayerSource& source, Refusals& refusals, VhdInfo& info, LayerSizes& sizes);

} // namespace vm2oci::vhd
