// Inside of the room: content of files, held against its checksums.
#pragma once

#include "formats/btrfs/extents.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace vm2oci::btrfs {

// Of sectors, by their addresses: those that a log adds.
using LoggedSums = std::map<std::uint64_t, Checksum>;

// Not thread-safe: it keeps what was unpacked last.
class ContentReader {
  public:
    // Both outlive it.
    ContentReader(const Volume& volume, TreeRoot sums, const LoggedSums& logged)
        : volume_(volume), sums_(sums), logged_(logged) {}

    // Content from a byte on; what is no extent as zeros. Of several copies each sector is taken from the first that is
    // right. Error{corrupt}: none is, or it has no checksum where it must.
    void read(const FileContentMap& map, DataSums sums, std::uint64_t offset, std::span<std::byte> buffer);

  private:
    void read_stored(std::uint64_t address, std::span<std::byte> buffer, DataSums sums) const;
    void read_sectors(std::uint64_t address, std::span<std::byte> sectors, DataSums sums) const;
    std::vector<std::byte> sums_of(std::uint64_t address, std::size_t sectors) const;
    const std::vector<std::byte>& unpacked(const FileExtent& extent, DataSums sums);

    const Volume& volume_;
    TreeRoot sums_;
    const LoggedSums& logged_;
    FileExtent last_;
    std::vector<std::byte> last_unpacked_; // empty: nothing yet
};

} // namespace vm2oci::btrfs
