// A qcow2 as a layer: header, policy, tables and survey in the order in which they may be trusted.
#pragma once

#include "formats/block/layer.hpp"
#include "formats/block/qcow2/info.hpp"
#include "formats/block/refusals.hpp"

#include <memory>

namespace vm2oci::qcow2 {

// Fills `info` and `sizes` as far as it gets, whatever is thrown. Error{corrupt, unsupported, unsafe, limit, usage}.
std::unique_ptr<Layer> load(const LayerSource& source, Refusals& refusals, Qcow2Info& info, LayerSizes& sizes);

} // namespace vm2oci::qcow2
