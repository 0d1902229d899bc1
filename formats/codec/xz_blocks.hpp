// The content of an xz file of several blocks, as `xz -T` and pixz write them, block by block.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/block_device.hpp"

#include <cstdint>
#include <memory>

namespace vm2oci {

// Null: there is one block only, or no index that can be read; a decoder from the beginning then says what is wrong.
// Reads the indexes (xz-file-format, section 4). A block is decoded when it is first asked for, into a scratch file, so
// that memory does not depend on the blocks' size, and held against its checksum. Error{limit} beyond `max_content`.
// `operation` as in open_compressed_file().
std::shared_ptr<const BlockDevice> open_xz_blocks(std::shared_ptr<const BlockDevice> stored, std::uint64_t max_content,
                                                  const OperationContext& operation);

} // namespace vm2oci
