// Space-efficient sparse extents (seSparse): snapshots of ESXi 6 and later.
//
// The vendor does not document them; facts from QEMU's block/vmdk.c. Little-endian; offsets and sizes in the files are
// sectors, and bytes here.
#pragma once

#include "formats/block/mapped/block_map.hpp"
#include "formats/block/mapped/range_set.hpp"
#include "formats/block/mapped/table_cache.hpp"
#include "formats/block/vmdk/header.hpp"

#include <cstdint>
#include <string_view>

namespace vm2oci::vmdk {

inline constexpr std::string_view kSeSparseMagic{"\xbe\xba\xfe\xca\0\0\0\0", 8};

struct SeSparseHeader {
    std::uint64_t capacity = 0; // bytes of the guest's disk
    Place volatile_header;
    Place journal_header;
    Place journal;
    Place directory; // 8 bytes for each grain table
    Place tables;
    Place free_bitmap;
    Place back_map;
    Place grains;
};

// Error{corrupt, unsupported}: also for a journal that has not been carried out.
SeSparseHeader read_sesparse_header(const BlockDevice& file, Tolerance truncation);

class SeSparseMap final : public mapped::BlockMap {
  public:
    SeSparseMap(DevicePtr file, const SeSparseHeader& header, Tolerance truncation);

    std::uint64_t size() const override { return header_.capacity; }
    std::uint64_t unit() const override;
    mapped::Mapping lookup(std::uint64_t offset, std::uint64_t max_length, mapped::RunRule rule) const override;

    // `taken` gets all that is not grains. Error{corrupt} if two entries of the directory share a table.
    void check_tables(mapped::RangeSet& taken) const;

  private:
    // Offset of the table in the file; 0: none.
    std::uint64_t table_at(std::uint64_t index) const;
    // Whether nothing is there for all that the entry stands for: no table, or one that is a hole.
    bool is_empty(std::uint64_t table) const;
    mapped::Mapping mapping_of(std::uint64_t entry, std::uint64_t guest_offset) const;

    SeSparseHeader header_;
    mapped::TableCache tables_;
};

} // namespace vm2oci::vmdk
