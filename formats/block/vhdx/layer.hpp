// A VHDX as a layer: fixed, dynamic or differencing, with its log carried out.
#pragma once

#include "formats/block/layer.hpp"
#include "formats/block/refusals.hpp"
#include "formats/block/vhdx/info.hpp"

#include <memory>

namespace vm2oci::vhdx {

// Fills `info` and `sizes` as far as it gets, whatever is thrown. Error{corrupt, unsupported, limit}.
std::unique_ptr<Layer> load(const LayerSource& source, Refusals& refusals, VhdxInfo& info, LayerSizes& sizes);

} // namespace vm2oci::vhdx
