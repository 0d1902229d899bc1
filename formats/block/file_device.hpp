// A file or a host block device as a BlockDevice.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/block/block_device.hpp"

#include <filesystem>
#include <mutex>
#include <string>

namespace vm2oci {

// The bytes of a regular file or a host block device, exactly as long as it is. Holes of a sparse file are
// `unallocated` extents where the file system reports them (SEEK_DATA, SEEK_HOLE), else everything is `data`.
// A file that shrinks while it is read is Error{io}, never zeros.
class FileDevice final : public BlockDevice {
  public:
    // Takes over `fd`. `name` is used in messages only.
    FileDevice(UniqueFd fd, const std::filesystem::path& name);

    std::uint64_t size() const override { return size_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    struct Run {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        ExtentKind kind = ExtentKind::data;
    };
    Run find_run(std::uint64_t offset) const;

    UniqueFd fd_;
    std::string name_;
    std::uint64_t size_;
    mutable std::mutex mutex_; // guards the members below
    mutable Run current_;      // the last answer: callers walk the file in order
};

} // namespace vm2oci
