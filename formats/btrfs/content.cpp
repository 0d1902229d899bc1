#include "formats/btrfs/content.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/btrfs/objects.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::btrfs {
namespace {

constexpr std::size_t kPiece = 1 * MiB;

} // namespace

void ContentReader::read(const FileContentMap& map, DataSums sums, std::uint64_t offset, std::span<std::byte> buffer) {
    std::fill(buffer.begin(), buffer.end(), std::byte{0});
    const std::uint64_t end = offset + buffer.size();
    auto extent = std::upper_bound(map.extents.begin(), map.extents.end(), offset,
                                   [](std::uint64_t at, const FileExtent& each) { return at < each.end(); });
    for (; extent != map.extents.end() && extent->logical < end; ++extent) {
        const std::uint64_t from = std::max(offset, extent->logical);
        const std::uint64_t to = std::min(end, extent->end());
        const std::span<std::byte> part = buffer.subspan(from - offset, to - from);
        const std::uint64_t within = extent->offset + (from - extent->logical);
        if (extent->place == FileExtent::Place::in_item)
            std::copy_n(map.in_item.begin() + static_cast<std::ptrdiff_t>(within), part.size(), part.begin());
        else if (extent->codec == Codec::none)
            read_stored(extent->address + within, part, sums);
        else
            std::copy_n(unpacked(*extent, sums).begin() + static_cast<std::ptrdiff_t>(within), part.size(),
                        part.begin());
    }
}

const std::vector<std::byte>& ContentReader::unpacked(const FileExtent& extent, DataSums sums) {
    if (last_unpacked_.empty() || last_.address != extent.address || last_.stored != extent.stored ||
        last_.codec != extent.codec || last_.unpacked != extent.unpacked) {
        std::vector<std::byte> stored(static_cast<std::size_t>(extent.stored));
        read_stored(extent.address, stored, sums);
        last_unpacked_ = unpack(extent.codec, stored, extent.unpacked);
        last_ = extent;
    }
    return last_unpacked_;
}

void ContentReader::read_stored(std::uint64_t address, std::span<std::byte> buffer, DataSums sums) const {
    std::vector<std::byte> piece;
    while (!buffer.empty()) {
        const std::uint64_t begin = align_down(address, kSectorSize);
        const std::size_t before = static_cast<std::size_t>(address - begin);
        const std::size_t step = std::min(buffer.size(), kPiece - before);
        piece.resize(static_cast<std::size_t>(align_up(before + step, kSectorSize)));
        read_sectors(begin, piece, sums);
        std::copy_n(piece.begin() + static_cast<std::ptrdiff_t>(before), step, buffer.begin());
        buffer = buffer.subspan(step);
        address += step;
    }
}

// Whole sectors.
void ContentReader::read_sectors(std::uint64_t address, std::span<std::byte> sectors, DataSums sums) const {
    volume_.read(address, sectors, 0);
    if (sums == DataSums::none)
        return;
    const ChecksumType type = volume_.geometry().checksum;
    const std::size_t size = checksum_size(type);
    const std::vector<std::byte> stored = sums_of(address, sectors.size() / kSectorSize);
    const std::size_t copies = volume_.copies_of(address);
    for (std::size_t i = 0; i < sectors.size() / kSectorSize; ++i) {
        const std::span<std::byte> sector = sectors.subspan(i * kSectorSize, kSectorSize);
        const std::span<const std::byte> sum = std::span(stored).subspan(i * size, size);
        for (std::size_t copy = 1; !has_checksum(type, sector, sum); ++copy) {
            if (copy == copies)
                fail(ErrorKind::corrupt, fmt::format("the checksum of data at {} of the btrfs file system is wrong",
                                                     address + i * kSectorSize));
            volume_.read(address + i * kSectorSize, sector, copy);
        }
    }
}

// One behind another.
std::vector<std::byte> ContentReader::sums_of(std::uint64_t address, std::size_t sectors) const {
    const std::size_t size = checksum_size(volume_.geometry().checksum);
    std::vector<std::byte> sums(sectors * size);
    std::vector<bool> is_known(sectors);
    const std::uint64_t end = address + sectors * kSectorSize;
    Key from{object::checksums, item::checksums, address};
    if (const auto before = find_at_or_before(volume_, sums_, from);
        before && before->key.object == from.object && before->key.type == from.type)
        from = before->key;
    for (Cursor at(volume_, sums_, from); at.is_at(object::checksums, item::checksums) && at.key().offset < end;
         at.next()) {
        for (std::size_t i = 0; i < at.data().size() / size; ++i) {
            const std::uint64_t sector = checked_add(at.key().offset, i * kSectorSize, "a checksum's address");
            if (sector < address || sector >= end)
                continue;
            const std::size_t place = (sector - address) / kSectorSize;
            std::copy_n(at.data().begin() + static_cast<std::ptrdiff_t>(i * size), size,
                        sums.begin() + static_cast<std::ptrdiff_t>(place * size));
            is_known[place] = true;
        }
    }
    for (auto at = logged_.lower_bound(address); at != logged_.end() && at->first < end; ++at) {
        const std::size_t place = (at->first - address) / kSectorSize;
        std::copy_n(at->second.begin(), size, sums.begin() + static_cast<std::ptrdiff_t>(place * size));
        is_known[place] = true;
    }
    if (const auto missing = std::find(is_known.begin(), is_known.end(), false); missing != is_known.end())
        fail(ErrorKind::corrupt,
             fmt::format("data at {} of the btrfs file system have no checksum",
                         address + static_cast<std::uint64_t>(missing - is_known.begin()) * kSectorSize));
    return sums;
}

} // namespace vm2oci::btrfs
