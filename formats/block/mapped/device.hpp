// The guest's disk behind a BlockMap, as a BlockDevice.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/block/layer.hpp"
#include "formats/block/mapped/block_map.hpp"

#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace vm2oci::mapped {

struct DeviceParts {
    std::shared_ptr<const BlockMap> map;
    DevicePtr data;                  // the file with the data
    std::uint64_t data_end = 0;      // its readable part: what lies behind is the format's own
    DevicePtr parent;                // null: unallocated reads as zeros
    std::uint64_t parent_offset = 0; // where this disk begins on the parent
    Tolerance truncation = Tolerance::refuse;
};

// Memory: about 4 MiB of decoded units, whatever the disk's size. Runs of contiguous units are read from the file in
// one piece, straight into the caller's buffer.
class MappedDevice final : public BlockDevice {
  public:
    explicit MappedDevice(DeviceParts parts);

    std::uint64_t size() const override { return parts_.map->size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    using Bytes = std::shared_ptr<const std::vector<std::byte>>;
    struct DecodedUnit {
        std::uint64_t guest_offset;
        Bytes bytes;
    };
    void read_stored(std::uint64_t guest_offset, std::uint64_t host_offset, std::span<std::byte> buffer) const;
    void read_zero(std::uint64_t guest_offset, std::uint64_t host_offset, std::span<std::byte> buffer) const;
    void read_parent(std::uint64_t guest_offset, std::span<std::byte> buffer) const;
    void read_compressed(std::uint64_t guest_offset, const Mapping& mapping, std::span<std::byte> buffer) const;
    std::uint64_t unit_length(std::uint64_t unit_offset) const;
    Extent look(std::uint64_t offset) const;

    DeviceParts parts_;
    std::size_t max_decoded_;
    mutable std::mutex mutex_;                // guards decoded_
    mutable std::deque<DecodedUnit> decoded_; // newest first: small reads come back to the same unit
};

} // namespace vm2oci::mapped
