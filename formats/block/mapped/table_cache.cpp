#include "formats/block/mapped/table_cache.hpp"

#include "formats/base/checked.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::mapped {
namespace {

constexpr std::size_t kCachedBytes = 4 * MiB; // a sequential reader needs one or two slices for each thread

} // namespace

TableCache::TableCache(DevicePtr container, Tolerance truncation, std::size_t slice_bytes)
    : container_(std::move(container)), truncation_(truncation), slice_bytes_(slice_bytes),
      max_slices_(kCachedBytes / slice_bytes) {}

void TableCache::fail_truncated(std::uint64_t host_offset) const {
    fail(ErrorKind::corrupt,
         fmt::format("a table at {:#x} ends beyond the file, which has {} bytes: it is truncated", host_offset,
                     container_->size()),
         HintKind::allow_truncated);
}

void TableCache::read(std::uint64_t host_offset, std::span<std::byte> buffer) const {
    const std::uint64_t size = container_->size();
    const std::uint64_t readable = host_offset < size ? size - host_offset : 0;
    if (readable < buffer.size() && truncation_ == Tolerance::refuse)
        fail_truncated(host_offset);
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(readable, buffer.size()));
    if (count != 0)
        container_->read_at(host_offset, buffer.first(count));
    std::ranges::fill(buffer.subspan(count), std::byte{0});
}

bool TableCache::is_hole(std::uint64_t host_offset, std::uint64_t length) const {
    if (host_offset > container_->size() || length > container_->size() - host_offset)
        return false;
    const Extent extent = container_->extent_at(host_offset);
    return extent.kind != ExtentKind::data && extent.length >= length;
}

std::shared_ptr<const TableCache::Slice> TableCache::load(std::uint64_t host_offset) const {
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = slices_.find(host_offset); found != slices_.end()) {
            recent_.splice(recent_.begin(), recent_, found->second);
            return found->second->slice;
        }
    }
    // Read without the lock: two threads may read the same slice, which costs less than making one wait.
    const std::uint64_t size = container_->size();
    std::uint64_t length = slice_bytes_;
    if (truncation_ == Tolerance::refuse)
        length = std::min<std::uint64_t>(length, host_offset < size ? size - host_offset : 0);
    auto slice = std::make_shared<Slice>(static_cast<std::size_t>(length));
    read(host_offset, *slice);
    const std::lock_guard lock(mutex_);
    if (const auto found = slices_.find(host_offset); found != slices_.end())
        return found->second->slice;
    recent_.push_front({host_offset, slice});
    slices_.emplace(host_offset, recent_.begin());
    if (recent_.size() > max_slices_) {
        slices_.erase(recent_.back().host_offset);
        recent_.pop_back();
    }
    return slice;
}

TableCache::Window TableCache::window(std::uint64_t host_offset, std::size_t needed) const {
    const std::uint64_t begin = align_down(host_offset, slice_bytes_);
    const auto within = static_cast<std::size_t>(host_offset - begin);
    auto slice = load(begin);
    if (within + needed > slice->size())
        fail_truncated(host_offset);
    return {std::move(slice), within};
}

} // namespace vm2oci::mapped
