// Inside of the room: the log of an xfs as a ring of records, from the oldest that counts to the last.
#pragma once

#include "formats/xfs/volume.hpp"

#include <cstdint>
#include <vector>

namespace vm2oci::xfs {

struct LogRecord {
    std::uint64_t number = 0; // "LSN": cycle in the upper half, block of the log in the lower one
    std::uint32_t operations = 0;
    std::vector<std::byte> bytes; // of the operations, as they were before they were written
};

class LogRing {
  public:
    // Finds the ends: the head by the cycle numbers that each block bears, the tail by the last whole record. Error:
    // corrupt, unsupported (written by a machine of the other byte order).
    explicit LogRing(const Volume& volume);

    // Nothing was written after the last unmount, or ever.
    bool is_clean() const { return is_clean_; }

    // Calls `visit` with the records from the tail to the head, each checked. Error{corrupt}.
    template <class Visit>
    void visit(Visit&& visit) const {
        for (std::uint64_t block = tail_; block != head_;) {
            const Header header = read_header(block);
            visit(read_record(block, header));
            block = behind(block, header);
        }
    }

  private:
    struct Header {
        std::vector<std::byte> bytes; // all header blocks
        std::uint64_t blocks = 0;     // of these
        std::uint64_t data_blocks = 0;
        std::uint64_t length = 0; // of the data

        std::uint32_t u32(std::size_t at) const;
        std::uint64_t u64(std::size_t at) const;
    };

    void read_blocks(std::uint64_t block, std::span<std::byte> buffer) const; // goes on at the beginning behind the end
    std::uint32_t cycle_of(std::uint64_t block) const;
    bool is_header(std::uint64_t block) const;
    std::uint64_t first_block_with(std::uint32_t cycle, std::uint64_t first, std::uint64_t last) const;
    std::uint64_t find_head() const;
    bool ends_in_unmount() const;
    std::uint64_t first_in(std::uint64_t begin, std::uint64_t end, std::uint32_t cycle) const;
    std::uint64_t cut_partial_record(std::uint64_t head) const;
    std::uint64_t header_before(std::uint64_t block) const;
    std::uint64_t cut_torn_records(std::uint64_t head) const;
    Header read_header(std::uint64_t block) const;
    bool is_whole(std::uint64_t block, const Header& header, std::span<const std::byte> data) const;
    LogRecord read_record(std::uint64_t block, const Header& header) const;
    std::uint64_t behind(std::uint64_t block, const Header& header) const;
    std::uint64_t distance(std::uint64_t from, std::uint64_t to) const { return (to + blocks_ - from) % blocks_; }
    bool is_unmount(std::uint64_t block, const Header& header) const;

    const Volume& volume_;
    std::uint64_t begin_;  // bytes of the device
    std::uint64_t blocks_; // of 512 bytes
    std::uint64_t head_ = 0;
    std::uint64_t tail_ = 0;
    bool is_clean_ = false;
};

} // namespace vm2oci::xfs
