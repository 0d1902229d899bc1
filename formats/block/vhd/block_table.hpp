// The block allocation table of a VHD, and the bitmap of sectors before each block.
//
// A sector whose bit is 0 was never written. Differencing disks have it from their parent. On dynamic disks the bit
// says zeros, and QEMU reads what is stored all the same: both must agree, or the disk is refused where it is read.
#pragma once

#include "formats/block/mapped/block_map.hpp"
#include "formats/block/mapped/table_cache.hpp"
#include "formats/block/vhd/footer.hpp"

#include <cstdint>

namespace vm2oci::vhd {

class BlockTable final : public mapped::BlockMap {
  public:
    BlockTable(DevicePtr file, const Footer& footer, const BlockHeader& header, Tolerance truncation);

    std::uint64_t size() const override { return size_; }
    std::uint64_t unit() const override { return block_size_; }
    mapped::Mapping lookup(std::uint64_t offset, std::uint64_t max_length, mapped::RunRule rule) const override;

    // Of each block's bitmap, in whole sectors.
    std::uint64_t bitmap_bytes() const { return bitmap_bytes_; }
    // Where the bitmap of a block begins; 0: the block is not there.
    std::uint64_t block_at(std::uint64_t index) const;

  private:
    mapped::Mapping lookup_in_block(std::uint64_t block, std::uint64_t within, mapped::RunRule rule) const;

    std::uint64_t size_;
    std::uint64_t block_size_;
    std::uint64_t bitmap_bytes_;
    std::uint64_t table_offset_;
    bool differencing_;
    mapped::TableCache table_;
    mapped::TableCache bitmaps_;
};

} // namespace vm2oci::vhd
