// A disk with empty space behind its end.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace vm2oci {

class PaddedDevice final : public BlockDevice {
  public:
    // Error{usage} if `size` is smaller than the disk. What lies behind the disk's end is unallocated.
    PaddedDevice(std::shared_ptr<const BlockDevice> disk, std::uint64_t size);

    std::uint64_t size() const override { return size_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    std::shared_ptr<const BlockDevice> disk_;
    std::uint64_t size_;
};

// The disk as a raw image has it: `size` bytes (none: the disk's own), rounded up to whole sectors of 512 bytes as QEMU
// does. Error{usage} if `size` is smaller than the disk.
std::shared_ptr<const BlockDevice> raw_image(std::shared_ptr<const BlockDevice> disk,
                                             std::optional<std::uint64_t> size = std::nullopt);

} // namespace vm2oci
