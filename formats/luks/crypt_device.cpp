#include "formats/luks/crypt_device.hpp"

#include "formats/base/checked.hpp"

#include <algorithm>

namespace vm2oci::luks {

void CryptDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    // Whole sectors go into the buffer itself; the first and the last may be cut.
    while (!buffer.empty()) {
        const std::uint64_t begin = align_down(offset, sector_);
        const std::uint64_t number = first_number_ + begin / kSector; // wraps as dm-crypt's does
        if (begin == offset && buffer.size() >= sector_) {
            const auto whole = static_cast<std::size_t>(align_down(buffer.size(), sector_));
            encrypted_->read_at(offset_ + offset, buffer.first(whole));
            cipher_.decrypt(buffer.first(whole), number);
            buffer = buffer.subspan(whole);
            offset += whole;
            continue;
        }
        SecretBytes sector(static_cast<std::size_t>(sector_));
        encrypted_->read_at(offset_ + begin, sector.span());
        cipher_.decrypt(sector.span(), number);
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

} // namespace vm2oci::luks
