// Several disks, one behind the other, as one.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace vm2oci {

class ConcatenatedDevice final : public BlockDevice {
  public:
    // Error{corrupt} if the sum of the sizes overflows.
    explicit ConcatenatedDevice(std::vector<std::shared_ptr<const BlockDevice>> parts);

    std::uint64_t size() const override { return size_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    struct Part {
        std::uint64_t begin;
        std::shared_ptr<const BlockDevice> device;
    };
    // The part that holds the byte at `offset` (< size()).
    const Part& part_at(std::uint64_t offset) const;

    std::vector<Part> parts_; // none of them empty
    std::uint64_t size_ = 0;
};

} // namespace vm2oci
