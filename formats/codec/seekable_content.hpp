// The content of a zstd layer that has a seek table.
#pragma once

#include "formats/codec/layer_content.hpp"

namespace vm2oci {

// Null if the layer has no seek table, or one whose frames are too large to be decoded each in memory.
std::shared_ptr<const LayerContent> open_seekable_content(std::shared_ptr<const BlockDevice> layer,
                                                          const DecodeLimits& limits, std::vector<FrameProof> proofs);

} // namespace vm2oci
