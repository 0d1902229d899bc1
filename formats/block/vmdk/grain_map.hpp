// The grain directory and tables of a sparse extent (hosted, streamOptimized, COWD).
#pragma once

#include "formats/base/lending_pool.hpp"
#include "formats/block/mapped/block_map.hpp"
#include "formats/block/mapped/range_set.hpp"
#include "formats/block/mapped/table_cache.hpp"
#include "formats/block/vmdk/grain_decoder.hpp"
#include "formats/block/vmdk/header.hpp"

#include <cstdint>

namespace vm2oci::vmdk {

class GrainMap final : public mapped::BlockMap {
  public:
    GrainMap(DevicePtr file, const SparseHeader& header, Tolerance truncation);

    std::uint64_t size() const override { return header_.capacity; }
    std::uint64_t unit() const override { return header_.grain_size; }
    mapped::Mapping lookup(std::uint64_t offset, std::uint64_t max_length, mapped::RunRule rule) const override;
    void decode(std::uint64_t guest_offset, const mapped::Mapping& mapping, std::span<std::byte> unit) const override;

    // Goes through the directory once: `taken` gets the tables. Error{corrupt} if the redundant directory or one of its
    // tables says anything else than the first.
    void check_tables(mapped::RangeSet& taken) const;

  private:
    // Offset of the table in the file; 0: none.
    std::uint64_t table_at(const Place& directory, std::uint64_t index) const;
    std::uint64_t table_bytes() const { return header_.entries_per_table * sizeof(std::uint32_t); }
    // Whether nothing is there for all that the entry stands for: no table, or one that is a hole.
    bool is_empty(std::uint64_t table) const;
    mapped::Mapping mapping_of(std::uint32_t entry) const;
    void compare_tables(std::uint64_t first, std::uint64_t second, std::uint64_t index) const;
    std::uint64_t max_stream_bytes() const;

    DevicePtr file_;
    SparseHeader header_;
    Tolerance truncation_;
    mapped::TableCache tables_;
    mutable LendingPool<GrainDecoder> decoders_;
};

} // namespace vm2oci::vmdk
