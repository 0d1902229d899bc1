// What is at the destination of a batch's machine.
#pragma once

#include "formats/base/progress.hpp"
#include "tools/vm2oci/batch_list.hpp"

#include <optional>
#include <string>

namespace vm2oci::cli {

// The digest of its image, if all blobs of it are there with their sizes (in a registry, which keeps what it has
// taken, the image's manifest alone is asked for); of a plain disk something else; nullopt: nothing is, or it cannot be
// read, and is made again.
std::optional<std::string> published_at(const PlannedConversion& planned, const OperationContext& operation);

} // namespace vm2oci::cli
