// Inside of the room: a thin pool and its volumes, whose blocks are found through the pool's metadata.
//
// Source of the format: Linux, drivers/md/dm-thin-metadata.c and dm-thin.c.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/lvm/thin_tree.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace vm2oci::lvm {

class ThinPool {
  public:
    // Error{corrupt, unsupported}: the metadata is no pool's, damaged, or of another transaction than LVM's.
    // `chunk`: bytes of a block, as LVM has it.
    ThinPool(const std::shared_ptr<const BlockDevice>& metadata, std::shared_ptr<const BlockDevice> data,
             std::uint64_t chunk, std::uint64_t transaction);

    // The volume `id`. What was never written shows `origin`, or zeros where there is none. Error{corrupt}: the pool
    // does not know the volume.
    std::shared_ptr<const BlockDevice> open(std::uint64_t id, std::uint64_t size,
                                            std::shared_ptr<const BlockDevice> origin) const;

  private:
    std::shared_ptr<const ThinNodes> nodes_;
    std::shared_ptr<const BlockDevice> data_;
    std::uint64_t chunk_;
    std::uint64_t mapping_root_ = 0;
};

} // namespace vm2oci::lvm
