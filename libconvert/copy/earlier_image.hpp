// An earlier version of an image, as a source of frames for the next one.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/codec/earlier_frames.hpp"
#include "formats/oci/store.hpp"

#include <memory>
#include <string>

namespace vm2oci {

// The frames of all layers of the image that have a seek table with checksums; a note says so if there is none.
// `architecture` chooses in an index (select_manifest()). What is opened of `source` outlives it.
std::shared_ptr<const EarlierFrames> open_earlier_frames(ImageSource& source, const std::string& architecture,
                                                         const OperationContext& operation);

} // namespace vm2oci
