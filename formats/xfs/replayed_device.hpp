// Inside of the room: a volume with sectors that its log changes, in memory.
#pragma once

#include "formats/xfs/geometry.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>

namespace vm2oci::xfs {

// A log of 64 MiB, which is what volumes of up to 1 TiB have, changes some 100,000 sectors at most; 140 MiB in memory.
inline constexpr std::size_t kMaxReplayedSectors = std::size_t{240} * 1024;

// Changes come first, from one thread; then it is a disk like any other.
class ReplayedDevice final : public BlockDevice {
  public:
    explicit ReplayedDevice(std::shared_ptr<const BlockDevice> base) : base_(std::move(base)) {}

    // Error: corrupt (beyond the end), limit (more sectors than any real log changes).
    void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
    // Whether something of the range was changed.
    bool is_changed(std::uint64_t offset, std::uint64_t length) const;

    std::uint64_t size() const override { return base_->size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    static constexpr std::uint64_t kSector = kSectorOfAddresses;

    std::shared_ptr<const BlockDevice> base_;
    std::map<std::uint64_t, std::array<std::byte, kSector>> sectors_; // by their numbers
};

} // namespace vm2oci::xfs
