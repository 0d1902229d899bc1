#include "formats/block/patched.hpp"

#include "formats/base/checked.hpp"

#include <algorithm>

namespace vm2oci {

PatchedDevice::PatchedDevice(std::shared_ptr<const BlockDevice> base, std::uint64_t size)
    : base_(std::move(base)), size_(size) {
    check_not_cut(base_->size(), size);
}

void PatchedDevice::write_page(std::uint64_t offset, const Page& page) {
    check_range(*this, offset, page.size());
    pages_[offset] = page;
}

void PatchedDevice::zero(std::uint64_t offset, std::uint64_t length) {
    check_range(*this, offset, length);
    if (length == 0)
        return;
    std::uint64_t begin = offset;
    std::uint64_t end = offset + length;
    pages_.erase(pages_.lower_bound(begin), pages_.lower_bound(end));
    auto zeros = zeros_.upper_bound(end);
    while (zeros != zeros_.begin() && std::prev(zeros)->second >= begin) {
        --zeros;
        begin = std::min(begin, zeros->first);
        end = std::max(end, zeros->second);
        zeros = zeros_.erase(zeros);
    }
    zeros_[begin] = end;
}

PatchedDevice::Run PatchedDevice::run_at(std::uint64_t offset) const {
    const auto next_page = pages_.upper_bound(offset);
    if (next_page != pages_.begin()) {
        const auto& [begin, page] = *std::prev(next_page);
        if (offset < begin + kPageBytes)
            return {Source::page, std::min(begin + kPageBytes, size_), &page};
    }
    std::uint64_t end = next_page == pages_.end() ? size_ : next_page->first;
    const auto next_zeros = zeros_.upper_bound(offset);
    if (next_zeros != zeros_.begin() && offset < std::prev(next_zeros)->second)
        return {Source::zero, std::min(end, std::prev(next_zeros)->second)};
    if (next_zeros != zeros_.end())
        end = std::min(end, next_zeros->first);
    if (offset >= base_->size())
        return {Source::beyond, end};
    return {Source::base, std::min(end, base_->size())};
}

void PatchedDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    while (!buffer.empty()) {
        const Run run = run_at(offset);
        const auto piece =
            buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(run.end - offset, buffer.size())));
        if (run.source == Source::page)
            std::ranges::copy(std::span(*run.page).subspan(offset % kPageBytes, piece.size()), piece.begin());
        else if (run.source == Source::base)
            base_->read_at(offset, piece);
        else
            std::ranges::fill(piece, std::byte{0});
        offset += piece.size();
        buffer = buffer.subspan(piece.size());
    }
}

Extent PatchedDevice::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    const Run run = run_at(offset);
    switch (run.source) {
    case Source::page:
        return {run.end - offset, ExtentKind::data};
    case Source::zero:
        return {run.end - offset, ExtentKind::zero};
    case Source::beyond:
        return {run.end - offset, ExtentKind::unallocated};
    case Source::base:
        break;
    }
    Extent extent = base_->extent_at(offset);
    extent.length = std::min(extent.length, run.end - offset);
    return extent;
}

} // namespace vm2oci
