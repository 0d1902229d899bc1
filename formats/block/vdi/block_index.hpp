// The map of a VDI: for each block of the disk, its number in the file.
#pragma once

#include "formats/block/mapped/block_map.hpp"
#include "formats/block/mapped/table_cache.hpp"
#include "formats/block/vdi/header.hpp"

#include <cstdint>

namespace vm2oci::vdi {

class BlockIndex final : public mapped::BlockMap {
  public:
    BlockIndex(DevicePtr file, const Header& header, Tolerance truncation);

    std::uint64_t size() const override { return header_.disk_size; }
    std::uint64_t unit() const override { return header_.block_size; }
    mapped::Mapping lookup(std::uint64_t offset, std::uint64_t max_length, mapped::RunRule rule) const override;

  private:
    Header header_;
    mapped::TableCache table_;
};

} // namespace vm2oci::vdi
