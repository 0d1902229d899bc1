#include "libconvert/edit/volume_changes.hpp"

#include "formats/base/error.hpp"

#include <algorithm>
#include <utility>

namespace vm2oci {

VolumeChanges::VolumeChanges(std::shared_ptr<OverlayDevice> overlay, std::vector<VolumeSegment> segments)
    : overlay_(std::move(overlay)), segments_(std::move(segments)) {}

template <class Visit>
void VolumeChanges::for_each_piece(std::uint64_t offset, std::uint64_t length, Visit visit) const {
    for (const VolumeSegment& segment : segments_) {
        if (length == 0)
            return;
        if (offset < segment.offset || offset - segment.offset >= segment.length)
            continue;
        const std::uint64_t within = offset - segment.offset;
        const std::uint64_t step = std::min(length, segment.length - within);
        visit(segment.disk_offset + within, step);
        offset += step;
        length -= step;
    }
    if (length != 0)
        fail(ErrorKind::corrupt, "a change of the guest lies beyond the end of its volume");
}

void VolumeChanges::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    for_each_piece(offset, bytes.size(), [&](std::uint64_t disk_offset, std::uint64_t length) {
        overlay_->write_at(disk_offset, bytes.first(static_cast<std::size_t>(length)));
        bytes = bytes.subspan(static_cast<std::size_t>(length));
    });
}

void VolumeChanges::discard(std::uint64_t offset, std::uint64_t length) {
    for_each_piece(offset, length,
                   [&](std::uint64_t disk_offset, std::uint64_t piece) { overlay_->discard(disk_offset, piece); });
}

} // namespace vm2oci
