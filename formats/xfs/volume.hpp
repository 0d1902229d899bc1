// Inside of the room: the blocks of an xfs, read and held against what they say of themselves.
#pragma once

#include "formats/xfs/geometry.hpp"
#include "formats/xfs/replayed_device.hpp"

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace vm2oci::xfs {

// Where a block of version 5 says who it is. `address` counts sectors of 512 bytes; 0: it has no such field.
struct HeaderPlaces {
    std::size_t checksum;
    std::size_t address;
    std::size_t uuid;
    std::size_t owner;
    enum class OwnerWidth { none, narrow, wide } owner_width = OwnerWidth::wide;
};
inline constexpr HeaderPlaces kShortTreeHeader{52, 16, 32, 48, HeaderPlaces::OwnerWidth::narrow}; // of a group
inline constexpr HeaderPlaces kLongTreeHeader{64, 24, 40, 56};                                    // of an inode
inline constexpr HeaderPlaces kFolderDataHeader{4, 8, 24, 40};
inline constexpr HeaderPlaces kHashTreeHeader{12, 16, 32, 48};
inline constexpr HeaderPlaces kRemoteHeader{12, 40, 16, 32}; // values of attributes, targets of links

// Not thread-safe: it keeps what was read last.
class Volume {
  public:
    // `replayed`: the device itself where the log was applied, else null.
    Volume(std::shared_ptr<const BlockDevice> device, const Geometry& geometry,
           std::shared_ptr<const ReplayedDevice> replayed)
        : device_(std::move(device)), geometry_(geometry), replayed_(std::move(replayed)) {}

    const Geometry& geometry() const { return geometry_; }
    const BlockDevice& device() const { return *device_; }
    bool is_v5() const { return geometry_.version == Version::v5; }

    // Metadata, of which neighbours are read together.
    void read(std::uint64_t offset, std::span<std::byte> buffer) const;

    // Error{corrupt} unless the checksum at `at` is right, version 5 only. What the log changed has none of its own:
    // the log's records have theirs.
    void check_sum(std::span<const std::byte> bytes, std::uint64_t offset, std::size_t at, std::string_view what) const;
    // Error{corrupt} unless the header is that of the block at `offset` in this file system, version 5 only.
    void check_header(std::span<const std::byte> bytes, std::uint64_t offset, const HeaderPlaces& places,
                      std::uint64_t owner, std::string_view what) const;

  private:
    struct Window {
        std::uint64_t begin;
        std::vector<std::byte> bytes;
    };
    const Window& window_at(std::uint64_t begin) const;

    std::shared_ptr<const BlockDevice> device_;
    Geometry geometry_;
    std::shared_ptr<const ReplayedDevice> replayed_;
    mutable std::list<Window> windows_; // last used first
    mutable std::unordered_map<std::uint64_t, std::list<Window>::iterator> places_;
};

} // namespace vm2oci::xfs
