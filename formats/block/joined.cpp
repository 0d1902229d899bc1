#include "formats/block/joined.hpp"

#include "formats/base/error.hpp"

#include <algorithm>

namespace vm2oci {

JoinedDevice::JoinedDevice(const std::vector<std::shared_ptr<const BlockDevice>>& disks) {
    for (const std::shared_ptr<const BlockDevice>& disk : disks) {
        if (disk->size() == 0)
            continue;
        pieces_.push_back({size_, disk});
        if (__builtin_add_overflow(size_, disk->size(), &size_))
            fail(ErrorKind::limit, "the disks are larger together than a disk can be");
    }
}

void JoinedDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    while (!buffer.empty()) {
        const Piece& piece = piece_at(offset);
        const std::uint64_t within = offset - piece.offset;
        const auto step =
            static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), piece.device->size() - within));
        piece.device->read_at(within, buffer.first(step));
        buffer = buffer.subspan(step);
        offset += step;
    }
}

Extent JoinedDevice::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    const Piece& piece = piece_at(offset);
    return piece.device->extent_at(offset - piece.offset);
}

const JoinedDevice::Piece& JoinedDevice::piece_at(std::uint64_t offset) const {
    return *std::prev(std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                       [](std::uint64_t at, const Piece& piece) { return at < piece.offset; }));
}

} // namespace vm2oci
