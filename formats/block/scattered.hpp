// A disk of which only pieces are stored, one behind the other; between them it is zeros.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace vm2oci {

class ScatteredDevice final : public BlockDevice {
  public:
    struct Piece {
        std::uint64_t offset = 0; // on the disk
        std::uint64_t length = 0;
    };

    // Pieces in order, without overlaps, within `size`; `stored` has just their bytes. Error{corrupt} else.
    ScatteredDevice(std::shared_ptr<const BlockDevice> stored, const std::vector<Piece>& pieces, std::uint64_t size);

    std::uint64_t size() const override { return size_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    struct Place {
        std::uint64_t begin;
        std::uint64_t end;
        std::uint64_t stored_at;
    };
    // The first place that ends behind `offset`.
    std::vector<Place>::const_iterator place_behind(std::uint64_t offset) const;

    std::shared_ptr<const BlockDevice> stored_;
    std::vector<Place> places_;
    std::uint64_t size_;
};

} // namespace vm2oci
