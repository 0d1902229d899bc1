// Changes to a volume of a guest, stored where its pieces lie on the disk.
#pragma once

#include "formats/block/block_changes.hpp"
#include "formats/block/overlay.hpp"
#include "libconvert/guest/volumes.hpp"

#include <memory>
#include <vector>

namespace vm2oci {

// Thread-safe, as the overlay is.
class VolumeChanges final : public BlockChanges {
  public:
    // `segments` in order and without gaps.
    VolumeChanges(std::shared_ptr<OverlayDevice> overlay, std::vector<VolumeSegment> segments);

    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override;
    void discard(std::uint64_t offset, std::uint64_t length) override;

  private:
    template <class Visit>
    void for_each_piece(std::uint64_t offset, std::uint64_t length, Visit visit) const;

    std::shared_ptr<OverlayDevice> overlay_;
    std::vector<VolumeSegment> segments_;
};

} // namespace vm2oci
