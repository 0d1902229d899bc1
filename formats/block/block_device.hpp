// The central type: a read-only virtual disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci {

enum class ExtentKind {
    data,        // read it to know
    zero,        // reads as zeros, and the format says so
    unallocated, // reads as zeros, because nothing was ever written there
};

struct Extent {
    std::uint64_t length; // bytes from the offset that was asked for; at least 1
    ExtentKind kind;
};

// Offsets and lengths are bytes of the guest's disk. All methods are thread-safe. They throw Error: io when the machine
// fails, corrupt or unsafe when the image is to blame.
class BlockDevice {
  public:
    virtual ~BlockDevice() = default;

    // Constant during the object's life. Need not be a multiple of 512.
    virtual std::uint64_t size() const = 0;

    // Fills the whole buffer. The caller keeps offset + buffer.size() <= size(); implementations check it and throw
    // Error{corrupt}, since such offsets come from the guest's own tables.
    virtual void read_at(std::uint64_t offset, std::span<std::byte> buffer) const = 0;

    // What begins at `offset` (< size()) and how far it goes without changing kind. Never reaches beyond size(). May
    // say `data` for something that holds zeros, and may return less than the longest possible run.
    virtual Extent extent_at(std::uint64_t offset) const = 0;
};

// Throws Error{corrupt} unless offset + length lies inside the device.
void check_range(const BlockDevice& device, std::uint64_t offset, std::uint64_t length);

// Throws Error{usage} if something of `wanted` bytes cannot hold a disk of `disk_size`: a disk is grown, never cut.
void check_not_cut(std::uint64_t disk_size, std::uint64_t wanted);

// True if every byte is zero. Vectorised: about 40 GB/s from cache.
bool is_zero(std::span<const std::byte> bytes);

// Bytes in extents that are data.
std::uint64_t data_bytes(const BlockDevice& device);

} // namespace vm2oci
