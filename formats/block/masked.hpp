// A disk of which some ranges read as zeros that were never written.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace vm2oci {

struct DiskRange {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

class MaskedDevice final : public BlockDevice {
  public:
    // `masked` in any order; ranges may touch and overlap. Error{corrupt} for one that reaches beyond the disk.
    MaskedDevice(std::shared_ptr<const BlockDevice> base, std::vector<DiskRange> masked);

    std::uint64_t size() const override { return base_->size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

    // In order, joined, none empty.
    const std::vector<DiskRange>& masked() const { return masked_; }

  private:
    // The first range that ends behind `offset`.
    std::vector<DiskRange>::const_iterator find(std::uint64_t offset) const;

    std::shared_ptr<const BlockDevice> base_;
    std::vector<DiskRange> masked_;
};

} // namespace vm2oci
