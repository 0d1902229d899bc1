// Changes that go on to several places: pieces of a volume, mirrors, stripes. All are thread-safe if those are.
#pragma once

#include "formats/block/block_changes.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace vm2oci {

// A part of a volume, and where it lies.
struct PlacedPiece {
    std::uint64_t offset = 0; // in the volume
    std::uint64_t length = 0;
    std::shared_ptr<BlockChanges> target;
    std::uint64_t target_offset = 0;
};

// The counterpart of SliceDevice and JoinedDevice.
class PlacedChanges final : public BlockChanges {
  public:
    // Error{corrupt}: the pieces are not in order, or have gaps or nothing in them.
    explicit PlacedChanges(std::vector<PlacedPiece> pieces);

    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override;
    void discard(std::uint64_t offset, std::uint64_t length) override;
    void write_zeros(std::uint64_t offset, std::uint64_t length) override;

  private:
    template <class Visit>
    void for_each_part(std::uint64_t offset, std::uint64_t length, Visit visit) const;

    std::vector<PlacedPiece> pieces_;
};

// Every change goes to all of them.
class MirroredChanges final : public BlockChanges {
  public:
    explicit MirroredChanges(std::vector<std::shared_ptr<BlockChanges>> copies) : copies_(std::move(copies)) {}

    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override;
    void discard(std::uint64_t offset, std::uint64_t length) override;
    void write_zeros(std::uint64_t offset, std::uint64_t length) override;

  private:
    std::vector<std::shared_ptr<BlockChanges>> copies_;
};

// The counterpart of StripedDevice.
class StripedChanges final : public BlockChanges {
  public:
    // `stripe` is not 0, and there is a disk.
    StripedChanges(std::vector<std::shared_ptr<BlockChanges>> disks, std::uint64_t stripe)
        : disks_(std::move(disks)), stripe_(stripe) {}

    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override;
    void discard(std::uint64_t offset, std::uint64_t length) override;
    void write_zeros(std::uint64_t offset, std::uint64_t length) override;

  private:
    template <class Visit>
    void for_each_part(std::uint64_t offset, std::uint64_t length, Visit visit) const;

    std::vector<std::shared_ptr<BlockChanges>> disks_;
    std::uint64_t stripe_;
};

} // namespace vm2oci
