// A VDI as a layer.
#pragma once

#include "formats/block/layer.hpp"
#include "formats/block/refusals.hpp"
#include "formats/block/vdi/info.hpp"

#include <memory>

namespace vm2oci::vdi {

// Fills `info` and `sizes` as far as it gets, whatever is thrown. Error{corrupt, unsupported, limit}.
std::unique_ptr<Layer> load(const LayerSource& source, Refusals& refusals, VdiInfo& info, LayerSizes& sizes);

} // namespace vm2oci::vdi
