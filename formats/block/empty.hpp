// A disk on which nothing was ever written: what a new file system is made on, through an OverlayDevice.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstdint>

namespace vm2oci {

class EmptyDevice final : public BlockDevice {
  public:
    explicit EmptyDevice(std::uint64_t size) : size_(size) {}

    std::uint64_t size() const override { return size_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    std::uint64_t size_;
};

} // namespace vm2oci
