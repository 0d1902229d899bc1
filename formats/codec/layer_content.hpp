// Random access to the content of a stored layer, without unpacking it.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/base/sha256.hpp"
#include "formats/base/source.hpp"
#include "formats/block/block_device.hpp"
#include "formats/codec/layer_decoder.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace vm2oci {

// Thread-safe.
class LayerContent : public ByteSource {
  public:
    // Of all content. May have to decode everything.
    virtual std::uint64_t size() const = 0;
    // Whether a read decodes little more than what is asked for; else, all that lies before it.
    virtual bool reads_anywhere() const = 0;
};

// What a part of a zstd layer must decode to, by somebody's word that counts for more than the layer's own: a table of
// contents whose digest the manifest names.
struct FrameProof {
    std::uint64_t stored_offset = 0; // where a frame begins
    std::uint64_t content_size = 0;  // of that frame, or of several with zeros
    bool is_zero = false;
    Sha256Sum digest{}; // of what is not zeros
};

// Chooses by the stored bytes:
// - not compressed: reads in place;
// - zstd with a seek table, independent frames: decodes the frames that are asked for, of which a few stay in memory;
//   a frame that is not what the table, its checksum or one of `proofs` (sorted by offset) says is Error{corrupt};
// - other zstd, gzip and xz: decodes from the beginning as far as is asked for, into a sparse scratch file.
// Layers whose content outgrows `limits`, or whose scratch file would be out of proportion to the layer, are
// Error{limit}. Of `operation`, cancellation and the scratch folder are used, during the object's whole life.
std::shared_ptr<const LayerContent> open_layer_content(std::shared_ptr<const BlockDevice> layer,
                                                       const OperationContext& operation, DecodeLimits limits = {},
                                                       std::vector<FrameProof> proofs = {});

// A range of the content as a disk, such as a member of the layer's tar. Reading beyond the content's end is
// Error{corrupt}; that is not checked beforehand.
std::shared_ptr<const BlockDevice> content_range(std::shared_ptr<const LayerContent> content, std::uint64_t offset,
                                                 std::uint64_t length);

} // namespace vm2oci
