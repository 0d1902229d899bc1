// Tiny qcow2 images in memory, made byte by byte, so that a test can break each of them on purpose.
#pragma once

#include "formats/block/qcow2/format.hpp"
#include "tests/support/memory_device.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace vm2oci::test {

struct Qcow2Shape {
    std::uint32_t version = qcow2::kVersion3;
    std::uint32_t cluster_bits = 12;
    std::uint64_t size = 64 * KiB;
    std::uint64_t incompatible = 0; // external data file, extended L2 and compression type change the layout
    qcow2::CompressionType compression = qcow2::CompressionType::zlib;
};

// Layout: header, refcount table, refcount block (all zeros), L1 table, then L2 tables and data as they are added.
// Offsets are bytes. Nothing is checked: what you ask for is what is written.
class Qcow2Builder {
  public:
    explicit Qcow2Builder(const Qcow2Shape& shape = {});

    std::uint64_t cluster_size() const { return 1ULL << shape_.cluster_bits; }
    std::uint64_t end() const { return file_.size(); }
    std::uint64_t l1_offset() const { return l1_offset_; }

    // A cluster of `value` at the end of the file; returns its offset.
    std::uint64_t append_cluster(std::uint8_t value);
    // Bytes at the end of the file, unaligned.
    std::uint64_t append(std::span<const std::byte> bytes);
    // Zeros up to the next cluster.
    void align();

    // A data cluster of `value` for the guest's cluster; returns its place.
    std::uint64_t add_data(std::uint64_t guest_cluster, std::uint8_t value);
    // A compressed cluster, in sectors as QEMU counts them.
    std::uint64_t add_compressed(std::uint64_t guest_cluster, std::span<const std::byte> stream);
    void set_compressed(std::uint64_t guest_cluster, std::uint64_t offset, std::uint64_t further_sectors);

    void set_l1(std::uint64_t index, std::uint64_t entry);
    // The L2 table is made if there is none.
    void set_l2(std::uint64_t guest_cluster, std::uint64_t entry, std::uint64_t bitmap = 0);
    std::uint64_t l2_offset(std::uint64_t guest_cluster);

    // Into the header's cluster, behind what is there; before the backing file's name.
    void add_extension(std::uint32_t type, std::string_view data);
    void set_backing_file(std::string_view name);

    void put8(std::uint64_t offset, std::uint8_t value);
    void put32(std::uint64_t offset, std::uint32_t value);
    void put64(std::uint64_t offset, std::uint64_t value);
    void put(std::uint64_t offset, std::string_view text);
    void truncate(std::uint64_t size) { file_.resize(size); }

    std::shared_ptr<MemoryDevice> device() const;

  private:
    std::uint64_t entry_bytes() const;

    Qcow2Shape shape_;
    std::vector<std::byte> file_;
    std::uint64_t l1_offset_ = 0;
    std::uint64_t extensions_end_ = 0;
    std::map<std::uint64_t, std::uint64_t> l2_tables_; // L1 index to offset
};

} // namespace vm2oci::test
