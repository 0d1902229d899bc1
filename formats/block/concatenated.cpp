#include "formats/block/concatenated.hpp"

#include "formats/base/checked.hpp"

#include <algorithm>

namespace vm2oci {

ConcatenatedDevice::ConcatenatedDevice(std::vector<std::shared_ptr<const BlockDevice>> parts) {
    for (auto& part : parts) {
        if (part->size() == 0)
            continue;
        const std::uint64_t begin = size_;
        size_ = checked_add(size_, part->size(), "size of the disk");
        parts_.push_back({begin, std::move(part)});
    }
}

const ConcatenatedDevice::Part& ConcatenatedDevice::part_at(std::uint64_t offset) const {
    return *std::prev(std::ranges::upper_bound(parts_, offset, {}, &Part::begin));
}

void ConcatenatedDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    while (!buffer.empty()) {
        const Part& part = part_at(offset);
        const std::uint64_t within = offset - part.begin;
        const auto piece = buffer.first(
            static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), part.device->size() - within)));
        part.device->read_at(within, piece);
        offset += piece.size();
        buffer = buffer.subspan(piece.size());
    }
}

Extent ConcatenatedDevice::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    const Part& part = part_at(offset);
    return part.device->extent_at(offset - part.begin);
}

} // namespace vm2oci
