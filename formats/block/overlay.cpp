#include "formats/block/overlay.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/size.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <mutex>

namespace vm2oci {
namespace {

constexpr std::uint64_t kPageSize = 4 * KiB;
constexpr std::array<std::byte, kPageSize> kZeroPage{};

} // namespace

OverlayDevice::OverlayDevice(std::shared_ptr<const BlockDevice> base, std::optional<std::uint64_t> size,
                             std::filesystem::path scratch_folder)
    : base_(std::move(base)), size_(size.value_or(base_->size())), scratch_folder_(std::move(scratch_folder)) {
    check_not_cut(base_->size(), size_);
}

void OverlayDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    const std::shared_lock lock(mutex_);
    read_locked(offset, buffer);
}

Extent OverlayDevice::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    const std::shared_lock lock(mutex_);
    const Part part = part_at(offset);
    if (part.change)
        return {part.end - offset, *part.change == Change::written ? ExtentKind::data : ExtentKind::unallocated};
    if (offset >= base_->size())
        return {part.end - offset, ExtentKind::unallocated};
    Extent extent = base_->extent_at(offset);
    extent.length = std::min(extent.length, part.end - offset);
    return extent;
}

void OverlayDevice::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    check_range(*this, offset, bytes.size());
    const std::unique_lock lock(mutex_);
    write_locked(offset, bytes);
}

void OverlayDevice::discard(std::uint64_t offset, std::uint64_t length) {
    check_range(*this, offset, length);
    const std::unique_lock lock(mutex_);
    const std::uint64_t end = offset + length;
    // The disk's last page may be short; discarding all that there is of it discards the page.
    const std::uint64_t whole_begin = std::min(align_up(offset, kPageSize), end);
    const std::uint64_t whole_end = std::max(end == size_ ? end : align_down(end, kPageSize), whole_begin);
    const auto write_zeros = [&](std::uint64_t begin, std::uint64_t stop) {
        if (begin < stop && part_at(begin).change != Change::discarded)
            write_locked(begin, std::span(kZeroPage).first(static_cast<std::size_t>(stop - begin)));
    };
    write_zeros(offset, whole_begin);
    if (whole_begin < whole_end) {
        change_range(whole_begin, whole_end, Change::discarded);
        // Gives the space back; nobody reads there again before it is written, so failure does not matter.
        if (scratch_)
            static_cast<void>(::fallocate(scratch_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                          static_cast<off_t>(whole_begin),
                                          static_cast<off_t>(whole_end - whole_begin)));
    }
    write_zeros(whole_end, end);
}

OverlayDevice::Part OverlayDevice::part_at(std::uint64_t offset) const {
    const auto next = runs_.upper_bound(offset);
    if (next != runs_.begin()) {
        const Run& run = std::prev(next)->second;
        if (offset < run.end)
            return {run.end, run.change};
    }
    std::uint64_t end = next == runs_.end() ? size_ : next->first;
    if (offset < base_->size())
        end = std::min(end, base_->size());
    return {end, std::nullopt};
}

void OverlayDevice::read_locked(std::uint64_t offset, std::span<std::byte> buffer) const {
    while (!buffer.empty()) {
        const Part part = part_at(offset);
        const auto piece =
            buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), part.end - offset)));
        if (part.change == Change::written)
            read_exactly_at(scratch_.get(), offset, piece);
        else if (!part.change && offset < base_->size())
            base_->read_at(offset, piece);
        else
            std::fill(piece.begin(), piece.end(), std::byte{0});
        buffer = buffer.subspan(piece.size());
        offset += piece.size();
    }
}

void OverlayDevice::write_locked(std::uint64_t offset, std::span<const std::byte> bytes) {
    const auto to_page = static_cast<std::size_t>(kPageSize - offset % kPageSize);
    if (to_page != kPageSize || bytes.size() < kPageSize) {
        const auto head = bytes.first(std::min(to_page, bytes.size()));
        write_within_page(offset, head);
        bytes = bytes.subspan(head.size());
        offset += head.size();
    }
    const auto whole = bytes.first(static_cast<std::size_t>(align_down(bytes.size(), kPageSize)));
    if (!whole.empty()) {
        write_exactly_at(scratch(), offset, whole);
        change_range(offset, offset + whole.size(), Change::written);
    }
    write_within_page(offset + whole.size(), bytes.subspan(whole.size()));
}

void OverlayDevice::write_within_page(std::uint64_t offset, std::span<const std::byte> bytes) {
    if (bytes.empty())
        return;
    const std::uint64_t begin = align_down(offset, kPageSize);
    const std::uint64_t end = std::min(begin + kPageSize, size_);
    if (part_at(begin).change != Change::written) {
        std::array<std::byte, kPageSize> page;
        const auto all = std::span(page).first(static_cast<std::size_t>(end - begin));
        read_locked(begin, all);
        write_exactly_at(scratch(), begin, all);
        change_range(begin, end, Change::written);
    }
    write_exactly_at(scratch(), offset, bytes);
}

void OverlayDevice::change_range(std::uint64_t begin, std::uint64_t end, Change change) {
    // What reaches into the range is cut; what touches it and is of the same kind becomes one with it.
    auto run = runs_.lower_bound(begin);
    if (run != runs_.begin() && std::prev(run)->second.end >= begin)
        --run;
    Run merged{end, change};
    std::uint64_t merged_begin = begin;
    while (run != runs_.end() && run->first <= end) {
        const auto [old_begin, old] = *run;
        run = runs_.erase(run);
        if (old.change == change) {
            merged_begin = std::min(merged_begin, old_begin);
            merged.end = std::max(merged.end, old.end);
            continue;
        }
        if (old_begin < begin)
            runs_.emplace(old_begin, Run{begin, old.change});
        if (old.end > end)
            run = std::next(runs_.emplace(end, Run{old.end, old.change}).first);
    }
    runs_.emplace(merged_begin, merged);
}

std::uint64_t OverlayDevice::scratch_bytes() const {
    const std::shared_lock lock(mutex_);
    struct stat status {};
    if (!scratch_ || ::fstat(scratch_.get(), &status) != 0)
        return 0;
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

int OverlayDevice::scratch() {
    if (!scratch_)
        scratch_ = scratch_file(scratch_folder_);
    return scratch_.get();
}

} // namespace vm2oci
