// A range of a disk as a disk of its own: a partition, an entry of an archive.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstdint>
#include <memory>

namespace vm2oci {

class SliceDevice final : public BlockDevice {
  public:
    // Error{corrupt} unless the range lies inside `whole`.
    SliceDevice(std::shared_ptr<const BlockDevice> whole, std::uint64_t offset, std::uint64_t length);

    std::uint64_t size() const override { return length_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    std::shared_ptr<const BlockDevice> whole_;
    std::uint64_t offset_;
    std::uint64_t length_;
};

} // namespace vm2oci
