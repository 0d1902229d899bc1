// A VMDK as a layer: one file, or a descriptor and the extents that it asks for.
#pragma once

#include "formats/block/layer.hpp"
#include "formats/block/refusals.hpp"
#include "formats/block/vmdk/info.hpp"

#include <memory>

namespace vm2oci::vmdk {

// Fills `info` and `sizes` as far as it gets, whatever is thrown. Error{corrupt, unsupported, unsafe, limit}.
std::unique_ptr<Layer> load(const LayerSource& source, Refusals& refusals, VmdkInfo& info, LayerSizes& sizes);

} // namespace vm2oci::vmdk
