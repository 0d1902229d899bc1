#include "formats/block/routed_changes.hpp"

#include "formats/base/error.hpp"

#include <algorithm>

namespace vm2oci {

PlacedChanges::PlacedChanges(std::vector<PlacedPiece> pieces) : pieces_(std::move(pieces)) {
    std::uint64_t end = 0;
    for (const PlacedPiece& piece : pieces_) {
        if (piece.offset != end || piece.length == 0 || piece.length > ~std::uint64_t{0} - end)
            fail(ErrorKind::corrupt, "the pieces of a volume do not follow each other");
        end += piece.length;
    }
}

template <class Visit>
void PlacedChanges::for_each_part(std::uint64_t offset, std::uint64_t length, Visit visit) const {
    auto piece = std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                  [](std::uint64_t at, const PlacedPiece& each) { return at < each.offset; });
    if (piece != pieces_.begin())
        --piece;
    for (; length != 0 && piece != pieces_.end() && offset - piece->offset < piece->length; ++piece) {
        const std::uint64_t within = offset - piece->offset;
        const std::uint64_t part = std::min(length, piece->length - within);
        visit(*piece->target, piece->target_offset + within, part);
        offset += part;
        length -= part;
    }
    if (length != 0)
        fail(ErrorKind::corrupt, "a change of the guest lies beyond the end of its volume");
}

void PlacedChanges::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    for_each_part(offset, bytes.size(), [&](BlockChanges& target, std::uint64_t at, std::uint64_t length) {
        target.write_at(at, bytes.first(static_cast<std::size_t>(length)));
        bytes = bytes.subspan(static_cast<std::size_t>(length));
    });
}

void PlacedChanges::discard(std::uint64_t offset, std::uint64_t length) {
    for_each_part(offset, length,
                  [](BlockChanges& target, std::uint64_t at, std::uint64_t part) { target.discard(at, part); });
}

void PlacedChanges::write_zeros(std::uint64_t offset, std::uint64_t length) {
    for_each_part(offset, length,
                  [](BlockChanges& target, std::uint64_t at, std::uint64_t part) { target.write_zeros(at, part); });
}

void MirroredChanges::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    for (const auto& copy : copies_)
        copy->write_at(offset, bytes);
}

void MirroredChanges::discard(std::uint64_t offset, std::uint64_t length) {
    for (const auto& copy : copies_)
        copy->discard(offset, length);
}

void MirroredChanges::write_zeros(std::uint64_t offset, std::uint64_t length) {
    for (const auto& copy : copies_)
        copy->write_zeros(offset, length);
}

template <class Visit>
void StripedChanges::for_each_part(std::uint64_t offset, std::uint64_t length, Visit visit) const {
    while (length != 0) {
        const std::uint64_t number = offset / stripe_;
        const std::uint64_t within = offset % stripe_;
        const std::uint64_t part = std::min(length, stripe_ - within);
        visit(*disks_[number % disks_.size()], number / disks_.size() * stripe_ + within, part);
        offset += part;
        length -= part;
    }
}

void StripedChanges::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    for_each_part(offset, bytes.size(), [&](BlockChanges& target, std::uint64_t at, std::uint64_t length) {
        target.write_at(at, bytes.first(static_cast<std::size_t>(length)));
        bytes = bytes.subspan(static_cast<std::size_t>(length));
    });
}

void StripedChanges::discard(std::uint64_t offset, std::uint64_t length) {
    for_each_part(offset, length,
                  [](BlockChanges& target, std::uint64_t at, std::uint64_t part) { target.discard(at, part); });
}

void StripedChanges::write_zeros(std::uint64_t offset, std::uint64_t length) {
    for_each_part(offset, length,
                  [](BlockChanges& target, std::uint64_t at, std::uint64_t part) { target.write_zeros(at, part); });
}

} // namespace vm2oci
