// Tables of a disk, read from its file in slices as they are asked for: memory stays the same whatever their size.
#pragma once

#include "formats/base/endian.hpp"
#include "formats/block/disk_policy.hpp"
#include "formats/block/layer.hpp"

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

namespace vm2oci::mapped {

// Thread-safe. Keeps at most 4 MiB.
class TableCache {
  public:
    // `slice_bytes`, a power of two, is what is read at once.
    TableCache(DevicePtr container, Tolerance truncation, std::size_t slice_bytes = 64 * KiB);

    // The bytes of the file from `host_offset` to the end of their slice, at least `needed` of them, which must not
    // cross a multiple of the slice's size. Error{corrupt} if the file ends before, unless truncation is allowed.
    class Window {
      public:
        Window(std::shared_ptr<const std::vector<std::byte>> slice, std::size_t begin)
            : slice_(std::move(slice)), begin_(begin) {}
        std::span<const std::byte> bytes() const { return std::span(*slice_).subspan(begin_); }

      private:
        std::shared_ptr<const std::vector<std::byte>> slice_;
        std::size_t begin_;
    };
    Window window(std::uint64_t host_offset, std::size_t needed) const;

    // Whether a range lies in a hole of the file, and so is all zeros without reading it.
    bool is_hole(std::uint64_t host_offset, std::uint64_t length) const;

    // Past the cache, for who goes through a table once.
    void read(std::uint64_t host_offset, std::span<std::byte> buffer) const;

  private:
    using Slice = std::vector<std::byte>;
    struct CachedSlice {
        std::uint64_t host_offset;
        std::shared_ptr<const Slice> slice;
    };
    std::shared_ptr<const Slice> load(std::uint64_t host_offset) const;
    [[noreturn]] void fail_truncated(std::uint64_t host_offset) const;

    DevicePtr container_;
    Tolerance truncation_;
    std::size_t slice_bytes_;
    std::size_t max_slices_;
    mutable std::mutex mutex_;              // guards the members below
    mutable std::list<CachedSlice> recent_; // most recently used first
    mutable std::unordered_map<std::uint64_t, std::list<CachedSlice>::iterator> slices_;
};

} // namespace vm2oci::mapped
