#include "formats/xfs/replayed_device.hpp"

#include "formats/base/error.hpp"

#include <algorithm>

namespace vm2oci::xfs {

void ReplayedDevice::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    check_range(*this, offset, bytes.size());
    while (!bytes.empty()) {
        const std::uint64_t within = offset % kSector;
        const std::size_t step = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), kSector - within));
        const auto [found, added] = sectors_.try_emplace(offset / kSector);
        if (added) {
            if (sectors_.size() > kMaxReplayedSectors)
                fail(ErrorKind::limit, "the log of the xfs file system changes more than fits into memory: mount it "
                                       "once in its machine and shut that down cleanly");
            const std::uint64_t begin = offset - within;
            const std::uint64_t stored = std::min(kSector, size() - begin);
            base_->read_at(begin, std::span(found->second).first(static_cast<std::size_t>(stored)));
        }
        std::copy_n(bytes.begin(), step, found->second.begin() + static_cast<std::ptrdiff_t>(within));
        bytes = bytes.subspan(step);
        offset += step;
    }
}

bool ReplayedDevice::is_changed(std::uint64_t offset, std::uint64_t length) const {
    const auto next = sectors_.lower_bound(offset / kSector);
    return next != sectors_.end() && next->first * kSector < offset + length;
}

void ReplayedDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    while (!buffer.empty()) {
        const auto next = sectors_.lower_bound(offset / kSector);
        std::uint64_t step = buffer.size();
        if (next != sectors_.end() && next->first == offset / kSector) {
            const std::uint64_t within = offset % kSector;
            step = std::min(step, kSector - within);
            std::copy_n(next->second.begin() + static_cast<std::ptrdiff_t>(within), step, buffer.begin());
        } else {
            if (next != sectors_.end())
                step = std::min(step, next->first * kSector - offset);
            base_->read_at(offset, buffer.first(static_cast<std::size_t>(step)));
        }
        buffer = buffer.subspan(static_cast<std::size_t>(step));
        offset += step;
    }
}

Extent ReplayedDevice::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    const auto next = sectors_.lower_bound(offset / kSector);
    if (next != sectors_.end() && next->first == offset / kSector)
        return {std::min(kSector - offset % kSector, size() - offset), ExtentKind::data};
    Extent extent = base_->extent_at(offset);
    if (next != sectors_.end())
        extent.length = std::min(extent.length, next->first * kSector - offset);
    return extent;
}

} // namespace vm2oci::xfs
