// Inside of the room: the data of an encrypted volume.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/luks/cipher.hpp"
#include "formats/luks/header.hpp"

#include <memory>

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

  private:
    std::shared_ptr<const BlockDevice> encrypted_;
    SectorCipher cipher_;
    std::uint64_t sector_;
    std::uint64_t offset_; // on the encrypted volume
    std::uint64_t size_;
    std::uint64_t first_number_;
};

} // namespace vm2oci::luks
