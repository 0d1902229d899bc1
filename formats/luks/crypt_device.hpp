// Inside of the room: the data of an encrypted volume.
#pragma once

#include "formats/block/block_changes.hpp"
#include "formats/block/block_device.hpp"
#include "formats/luks/cipher.hpp"
#include "formats/luks/header.hpp"

#include <memory>
#include <mutex>

namespace vm2oci::luks {

class CryptDevice final : public BlockDevice {
  public:
    CryptDevice(std::shared_ptr<const BlockDevice> encrypted, const Header& header, std::span<const std::byte> key)
        : encrypted_(std::move(encrypted)), cipher_(header.cipher, key, header.sector), sector_(header.sector),
          offset_(header.offset), size_(header.size), first_number_(header.first_number) {}

    std::uint64_t size() const override { return size_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    // Everything is data: what was never written decrypts to something else than zeros.
    Extent extent_at(std::uint64_t offset) const override;

    std::uint64_t sector() const { return sector_; }
    // Where the data begins on the encrypted volume.
    std::uint64_t offset() const { return offset_; }
    // Whole sectors, as the volume has them from `offset` on.
    void encrypt(std::span<std::byte> bytes, std::uint64_t offset) const;

  private:
    std::uint64_t number_of(std::uint64_t offset) const;

    std::shared_ptr<const BlockDevice> encrypted_;
    SectorCipher cipher_;
    std::uint64_t sector_;
    std::uint64_t offset_; // on the encrypted volume
    std::uint64_t size_;
    std::uint64_t first_number_;
};

// What is written to the data of an encrypted volume, encrypted on its way. Discarded sectors are discarded as they
// lie, as dm-crypt does where discards are allowed: what they decrypt to is noise. Thread-safe if `below` is.
class CryptChanges final : public BlockChanges {
  public:
    // `device` shows what is written to `below`.
    CryptChanges(std::shared_ptr<const CryptDevice> device, std::shared_ptr<BlockChanges> below)
        : device_(std::move(device)), below_(std::move(below)) {}

    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override;
    void discard(std::uint64_t offset, std::uint64_t length) override;
    void write_zeros(std::uint64_t offset, std::uint64_t length) override;

  private:
    void check_within(std::uint64_t offset, std::uint64_t length) const;

    std::shared_ptr<const CryptDevice> device_;
    std::shared_ptr<BlockChanges> below_;
    std::mutex mutex_; // a sector that is changed in part is read before it is written
};

} // namespace vm2oci::luks
