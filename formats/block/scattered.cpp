#include "formats/block/scattered.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"

#include <algorithm>

namespace vm2oci {

ScatteredDevice::ScatteredDevice(std::shared_ptr<const BlockDevice> stored, const std::vector<Piece>& pieces,
                                 std::uint64_t size)
    : stored_(std::move(stored)), size_(size) {
    std::uint64_t stored_at = 0;
    std::uint64_t end = 0;
    for (const Piece& piece : pieces) {
        if (piece.offset < end || piece.offset > size || piece.length > size - piece.offset)
            fail(ErrorKind::corrupt, "the pieces of a sparse file overlap or lie outside of it");
        end = piece.offset + piece.length;
        if (piece.length != 0)
            places_.push_back({piece.offset, end, stored_at});
        stored_at += piece.length;
    }
    if (stored_at != stored_->size())
        fail(ErrorKind::corrupt, "the pieces of a sparse file are not all that is stored");
}

std::vector<ScatteredDevice::Place>::const_iterator ScatteredDevice::place_behind(std::uint64_t offset) const {
    return std::ranges::upper_bound(places_, offset, {}, &Place::end);
}

void ScatteredDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    std::ranges::fill(buffer, std::byte{0});
    const std::uint64_t end = offset + buffer.size();
    for (auto place = place_behind(offset); place != places_.end() && place->begin < end; ++place) {
        const std::uint64_t from = std::max(place->begin, offset);
        const std::uint64_t length = std::min(place->end, end) - from;
        stored_->read_at(place->stored_at + (from - place->begin),
                         buffer.subspan(static_cast<std::size_t>(from - offset), static_cast<std::size_t>(length)));
    }
}

Extent ScatteredDevice::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    const auto place = place_behind(offset);
    if (place == places_.end())
        return {size_ - offset, ExtentKind::unallocated};
    if (offset < place->begin)
        return {place->begin - offset, ExtentKind::unallocated};
    return {place->end - offset, ExtentKind::data};
}

} // namespace vm2oci
