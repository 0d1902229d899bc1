// The block allocation table of a VHDX: states and places of blocks, and which sectors a differencing disk has of its
// own.
#pragma once

#include "formats/block/mapped/block_map.hpp"
#include "formats/block/mapped/range_set.hpp"
#include "formats/block/mapped/table_cache.hpp"
#include "formats/block/vhdx/headers.hpp"
#include "formats/block/vhdx/metadata.hpp"

#include <cstdint>

namespace vm2oci::vhdx {

class BlockStates final : public mapped::BlockMap {
  public:
    // Error{corrupt} if the region is too small for the disk. `file` is the one with the log carried out.
    BlockStates(DevicePtr file, const Region& region, const Metadata& metadata, Tolerance truncation);

    std::uint64_t size() const override { return disk_size_; }
    std::uint64_t unit() const override { return block_size_; }
    mapped::Mapping lookup(std::uint64_t offset, std::uint64_t max_length, mapped::RunRule rule) const override;

    // `taken` gets the bitmaps of a differencing disk.
    void add_bitmaps(mapped::RangeSet& taken) const;

  private:
    std::uint64_t entry_at(std::uint64_t index) const;
    std::uint64_t bitmap_at(std::uint64_t chunk) const;
    mapped::Mapping mapping_of(std::uint64_t block, std::uint64_t within) const;
    mapped::Mapping lookup_partial(std::uint64_t block, std::uint64_t within, std::uint64_t place) const;

    std::uint64_t table_offset_;
    std::uint64_t disk_size_;
    std::uint64_t block_size_;
    std::uint64_t sector_size_;
    std::uint64_t chunk_ratio_; // payload blocks before each entry of a bitmap
    bool differencing_;
    mapped::TableCache table_;
    mapped::TableCache bitmaps_;
};

} // namespace vm2oci::vhdx
