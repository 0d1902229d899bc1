// Disks one behind another as one disk: the pieces of a logical volume, the disks of a machine.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace vm2oci {

class JoinedDevice final : public BlockDevice {
  public:
    // Disks without a byte count for nothing. Error{limit}: together they are larger than any disk can be.
    explicit JoinedDevice(const std::vector<std::shared_ptr<const BlockDevice>>& disks);

    std::uint64_t size() const override { return size_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    struct Piece {
        std::uint64_t offset;
        std::shared_ptr<const BlockDevice> device;
    };
    const Piece& piece_at(std::uint64_t offset) const;

    std::vector<Piece> pieces_; // by offset
    std::uint64_t size_ = 0;
};

} // namespace vm2oci
