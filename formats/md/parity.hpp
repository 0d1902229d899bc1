// Stripes with parity: RAID 4 and 5 can miss one member, RAID 6 two. Reading calculates what missing members held;
// writing keeps the parity of each stripe that it touches.
//
// Sources: Linux, drivers/md/raid5.c (raid5_compute_sector, raid6_d0, raid6_idx_to_slot), drivers/md/raid5.h
// (ALGORITHM_…); H. P. Anvin, The mathematics of RAID-6.
#pragma once

#include "formats/block/block_changes.hpp"
#include "formats/block/block_device.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace vm2oci::md {

// How the blocks of data and of parity take turns on the members.
class ParityForm {
  public:
    // Of the level (4, 5, 6) and md's number of the layout. Error{unsupported}: a layout that md's own levels do not
    // have; Error{corrupt}: too few members or too many, or a chunk of no size that they can have.
    ParityForm(std::int32_t level, std::uint32_t layout, std::uint32_t members, std::uint64_t chunk);

    // Of one row of chunks.
    struct Row {
        std::vector<std::size_t> data; // members, in the array's order
        std::vector<unsigned> powers;  // of each of them in Q
        std::size_t p = 0;             // the member with the sums
        std::size_t q = 0;             // and the one with those of multiples, where there are two
    };
    Row row(std::uint64_t number) const;

    // Where a byte of the array lies.
    struct Place {
        Row row;
        std::size_t data = 0;    // which of the row's
        std::uint64_t at = 0;    // in that member
        std::uint64_t bytes = 0; // that follow it there, itself counted, until the chunk ends
        std::size_t member() const { return row.data[data]; }
    };
    Place place_of(std::uint64_t offset) const;

    std::size_t members() const { return members_; }
    std::size_t data_members() const { return members_ - parities_; }
    std::size_t parities() const { return parities_; }
    std::uint64_t chunk() const { return chunk_; }

  private:
    std::uint32_t layout_;
    std::size_t members_;
    std::size_t parities_;
    std::uint64_t chunk_;
};

class ParityDevice final : public BlockDevice {
  public:
    // A missing member is null. Error{corrupt}: more are missing than the parity replaces, or their sizes differ or are
    // no whole number of chunks.
    ParityDevice(ParityForm form, std::vector<std::shared_ptr<const BlockDevice>> members);

    std::uint64_t size() const override { return size_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

    const ParityForm& form() const { return form_; }
    const BlockDevice& member(std::size_t number) const { return *members_[number]; }
    // From reading a stripe to writing its parity; of all that lies in the array.
    std::mutex& stripe_lock() const { return stripe_lock_; }

  private:
    void calculate(const ParityForm::Row& row, std::size_t wanted, std::uint64_t at, std::span<std::byte> buffer) const;

    ParityForm form_;
    std::vector<std::shared_ptr<const BlockDevice>> members_;
    std::uint64_t size_ = 0;
    mutable std::mutex stripe_lock_;
};

// What is written goes to its member, and with it the parity of all that lies beside it, whatever the parity was
// before. Thread-safe if what it stands on is.
class ParityChanges final : public BlockChanges {
  public:
    // `device` has all of its members, and shows what `members` change.
    ParityChanges(std::shared_ptr<const ParityDevice> device, std::vector<std::shared_ptr<BlockChanges>> members)
        : device_(std::move(device)), members_(std::move(members)) {}

    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override;
    void discard(std::uint64_t offset, std::uint64_t length) override;
    void write_zeros(std::uint64_t offset, std::uint64_t length) override;

  private:
    void check_within(std::uint64_t offset, std::uint64_t length) const;

    std::shared_ptr<const ParityDevice> device_;
    std::vector<std::shared_ptr<BlockChanges>> members_;
};

} // namespace vm2oci::md
