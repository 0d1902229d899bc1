// The file systems that are read in this process, by signature.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/partition/signature.hpp"
#include "formats/tree/file_system.hpp"

#include <memory>

namespace vm2oci {

bool is_native(const Signature& signature);
// Error{unsupported} unless is_native().
std::shared_ptr<const FileSystem> open_native(const std::shared_ptr<const BlockDevice>& device,
                                              const Signature& signature);

} // namespace vm2oci
