// A sparse disk in memory, for tests: chosen content, chosen extents, reads that fail on demand.
#pragma once

#include "formats/base/error.hpp"
#include "formats/block/block_device.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <vector>

namespace vm2oci::test {

// Set up from one thread, then read from as many as you like. Everything is unallocated until put(), fill() or
// declare() says otherwise; all three check that they stay inside the device.
class MemoryDevice final : public BlockDevice {
  public:
    explicit MemoryDevice(std::uint64_t size) : size_(size) { kinds_[0] = ExtentKind::unallocated; }
    MemoryDevice(const MemoryDevice&) = delete;
    MemoryDevice& operator=(const MemoryDevice&) = delete;

    // Writes bytes; the range becomes a data extent.
    MemoryDevice& put(std::uint64_t offset, std::span<const std::byte> bytes) {
        declare(offset, bytes.size(), ExtentKind::data);
        while (!bytes.empty()) {
            const std::uint64_t within = offset % kPageSize;
            const std::size_t step = std::min<std::size_t>(bytes.size(), kPageSize - within);
            std::copy_n(bytes.begin(), step, pages_[offset / kPageSize].begin() + static_cast<std::ptrdiff_t>(within));
            bytes = bytes.subspan(step);
            offset += step;
        }
        return *this;
    }
    MemoryDevice& put(std::uint64_t offset, std::string_view text) {
        return put(offset, std::as_bytes(std::span(text.data(), text.size())));
    }
    MemoryDevice& fill(std::uint64_t offset, std::uint64_t length, std::uint8_t value) {
        return put(offset, std::vector<std::byte>(length, std::byte{value}));
    }
    // What extent_at() says of the range, whatever its content; `data` without put() is data that reads as zeros.
    MemoryDevice& declare(std::uint64_t offset, std::uint64_t length, ExtentKind kind) {
        check_range(*this, offset, length);
        if (length == 0)
            return *this;
        const ExtentKind behind = kind_at(offset + length);
        kinds_.erase(kinds_.lower_bound(offset), kinds_.upper_bound(offset + length));
        kinds_[offset] = kind;
        kinds_[offset + length] = behind;
        return *this;
    }
    // Extents are cut at multiples of `length`, as formats that look at one table at a time do.
    MemoryDevice& limit_extents(std::uint64_t length) {
        extent_limit_ = length;
        return *this;
    }
    // Reads that touch the range throw.
    MemoryDevice& fail_reads(std::uint64_t offset, std::uint64_t length, ErrorKind kind = ErrorKind::io) {
        failures_.push_back({offset, length, kind});
        return *this;
    }

    std::uint64_t size() const override { return size_; }

    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        ++reads_;
        bytes_read_ += buffer.size();
        for (const Failure& failure : failures_)
            if (offset < failure.offset + failure.length && failure.offset < offset + buffer.size())
                fail(failure.kind, "this read fails on purpose");
        while (!buffer.empty()) {
            const std::uint64_t within = offset % kPageSize;
            const std::size_t step = std::min<std::size_t>(buffer.size(), kPageSize - within);
            const auto page = pages_.find(offset / kPageSize);
            if (page == pages_.end())
                std::fill_n(buffer.begin(), step, std::byte{0});
            else
                std::copy_n(page->second.begin() + static_cast<std::ptrdiff_t>(within), step, buffer.begin());
            buffer = buffer.subspan(step);
            offset += step;
        }
    }

    Extent extent_at(std::uint64_t offset) const override {
        check_range(*this, offset, 1);
        const ExtentKind kind = kind_at(offset);
        auto next = kinds_.upper_bound(offset);
        while (next != kinds_.end() && next->second == kind)
            ++next;
        std::uint64_t end = next == kinds_.end() ? size_ : std::min(next->first, size_);
        if (extent_limit_ != 0)
            end = std::min(end, (offset / extent_limit_ + 1) * extent_limit_);
        return {end - offset, kind};
    }

    // How often read_at() was called, and for how much.
    std::uint64_t reads() const { return reads_; }
    std::uint64_t bytes_read() const { return bytes_read_; }

  private:
    static constexpr std::size_t kPageSize = 4096;

    struct Failure {
        std::uint64_t offset;
        std::uint64_t length;
        ErrorKind kind;
    };

    ExtentKind kind_at(std::uint64_t offset) const { return std::prev(kinds_.upper_bound(offset))->second; }

    std::uint64_t size_;
    std::uint64_t extent_limit_ = 0;
    std::map<std::uint64_t, std::array<std::byte, kPageSize>> pages_; // value-initialised by operator[]: zeros
    std::map<std::uint64_t, ExtentKind> kinds_;                       // where each kind begins
    std::vector<Failure> failures_;
    mutable std::atomic<std::uint64_t> reads_{0};
    mutable std::atomic<std::uint64_t> bytes_read_{0};
};

} // namespace vm2oci::test
