#include "formats/block/masked.hpp"

#include <algorithm>

namespace vm2oci {

MaskedDevice::MaskedDevice(std::shared_ptr<const BlockDevice> base, std::vector<DiskRange> masked)
    : base_(std::move(base)) {
    std::sort(masked.begin(), masked.end(), [](const DiskRange& a, const DiskRange& b) { return a.offset < b.offset; });
    for (const DiskRange& range : masked) {
        check_range(*base_, range.offset, range.length);
        if (range.length == 0)
            continue;
        if (!masked_.empty() && range.offset <= masked_.back().offset + masked_.back().length)
            masked_.back().length =
                std::max(masked_.back().length, range.offset + range.length - masked_.back().offset);
        else
            masked_.push_back(range);
    }
}

std::vector<DiskRange>::const_iterator MaskedDevice::find(std::uint64_t offset) const {
    return std::upper_bound(masked_.begin(), masked_.end(), offset,
                            [](std::uint64_t at, const DiskRange& range) { return at < range.offset + range.length; });
}

void MaskedDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    auto range = find(offset);
    while (!buffer.empty()) {
        const bool inside = range != masked_.end() && range->offset <= offset;
        std::uint64_t step = buffer.size();
        if (inside)
            step = std::min(step, range->offset + range->length - offset);
        else if (range != masked_.end())
            step = std::min(step, range->offset - offset);
        const std::span<std::byte> part = buffer.first(static_cast<std::size_t>(step));
        if (inside) {
            std::fill(part.begin(), part.end(), std::byte{0});
            ++range;
        } else {
            base_->read_at(offset, part);
        }
        buffer = buffer.subspan(part.size());
        offset += step;
    }
}

Extent MaskedDevice::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    const auto range = find(offset);
    if (range != masked_.end() && range->offset <= offset)
        return {range->offset + range->length - offset, ExtentKind::unallocated};
    Extent extent = base_->extent_at(offset);
    if (range != masked_.end())
        extent.length = std::min(extent.length, range->offset - offset);
    return extent;
}

} // namespace vm2oci
