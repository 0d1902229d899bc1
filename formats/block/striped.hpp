// Disks that take turns: stripes of one size, one from each, in a circle.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace vm2oci {

class StripedDevice final : public BlockDevice {
  public:
    // Error{corrupt}: no disks, disks of different sizes, or such as are no whole number of stripes.
    StripedDevice(std::vector<std::shared_ptr<const BlockDevice>> disks, std::uint64_t stripe);

    std::uint64_t size() const override { return size_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    struct Place {
        const BlockDevice* disk;
        std::uint64_t offset;
        std::uint64_t length; // up to the end of the stripe
    };
    Place place_at(std::uint64_t offset) const;

    std::vector<std::shared_ptr<const BlockDevice>> disks_;
    std::uint64_t stripe_;
    std::uint64_t size_;
};

} // namespace vm2oci
