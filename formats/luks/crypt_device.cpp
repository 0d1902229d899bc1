#include "formats/luks/crypt_device.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"

#include <algorithm>

namespace vm2oci::luks {
namespace {

constexpr std::uint64_t kEncryptedStep =
    256ull * 1024; // a multiple of every sector's size; NBD's requests are as large

} // namespace

std::uint64_t CryptDevice::number_of(std::uint64_t offset) const {
    return first_number_ + offset / kSector; // wraps as dm-crypt's does
}

void CryptDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    // Whole sectors go into the buffer itself; the first and the last may be cut.
    while (!buffer.empty()) {
        const std::uint64_t begin = align_down(offset, sector_);
        if (begin == offset && buffer.size() >= sector_) {
            const auto whole = static_cast<std::size_t>(align_down(buffer.size(), sector_));
            encrypted_->read_at(offset_ + offset, buffer.first(whole));
            cipher_.decrypt(buffer.first(whole), number_of(begin));
            buffer = buffer.subspan(whole);
            offset += whole;
            continue;
        }
        SecretBytes sector(static_cast<std::size_t>(sector_));
        encrypted_->read_at(offset_ + begin, sector.span());
        cipher_.decrypt(sector.span(), number_of(begin));
        const auto within = static_cast<std::size_t>(offset - begin);
        const std::size_t length = std::min(buffer.size(), sector.size() - within);
        std::copy_n(sector.span().begin() + static_cast<std::ptrdiff_t>(within), length, buffer.begin());
        buffer = buffer.subspan(length);
        offset += length;
    }
}

Extent CryptDevice::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    return {size_ - offset, ExtentKind::data};
}

void CryptDevice::encrypt(std::span<std::byte> bytes, std::uint64_t offset) const {
    cipher_.encrypt(bytes, number_of(offset));
}

void CryptChanges::check_within(std::uint64_t offset, std::uint64_t length) const {
    if (offset > device_->size() || length > device_->size() - offset)
        fail(ErrorKind::corrupt, "a change of the guest lies beyond the end of its encrypted volume");
}

void CryptChanges::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    check_within(offset, bytes.size());
    const std::uint64_t sector = device_->sector();
    const std::lock_guard lock(mutex_);
    while (!bytes.empty()) {
        const std::uint64_t begin = align_down(offset, sector);
        const auto within = static_cast<std::size_t>(offset - begin);
        const std::size_t part = std::min<std::size_t>(bytes.size(), kEncryptedStep - within);
        SecretBytes sectors(static_cast<std::size_t>(align_up(within + part, sector)));
        // What of the first and of the last stays.
        if (within != 0)
            device_->read_at(begin, sectors.span().first(static_cast<std::size_t>(sector)));
        if ((within + part) % sector != 0 && (within == 0 || sectors.size() > sector))
            device_->read_at(begin + sectors.size() - sector, sectors.span().last(static_cast<std::size_t>(sector)));
        std::copy_n(bytes.begin(), part, sectors.span().begin() + static_cast<std::ptrdiff_t>(within));
        device_->encrypt(sectors.span(), begin);
        below_->write_at(device_->offset() + begin, sectors.span());
        offset += part;
        bytes = bytes.subspan(part);
    }
}

void CryptChanges::discard(std::uint64_t offset, std::uint64_t length) {
    check_within(offset, length);
    const std::uint64_t begin = align_up(offset, device_->sector());
    const std::uint64_t end = align_down(offset + length, device_->sector());
    if (begin < end)
        below_->discard(device_->offset() + begin, end - begin);
}

void CryptChanges::write_zeros(std::uint64_t offset, std::uint64_t length) {
    check_within(offset, length);
    const std::vector<std::byte> zeros(static_cast<std::size_t>(std::min(length, kEncryptedStep)));
    while (length != 0) {
        const std::size_t part = static_cast<std::size_t>(std::min<std::uint64_t>(length, zeros.size()));
        write_at(offset, std::span(zeros).first(part));
        offset += part;
        length -= part;
    }
}

} // namespace vm2oci::luks
