// A disk that can be written without its source ever changing.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/block/block_changes.hpp"
#include "formats/block/block_device.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <span>

namespace vm2oci {

// Copy-on-write over another disk, in pages of 4 KiB. What was written lies in a scratch file that is sparse, has no
// name, and comes into being with the first write. All methods are thread-safe; a read sees every write and discard
// that returned before it began.
class OverlayDevice final : public BlockDevice, public BlockChanges {
  public:
    // `size` none: the base's. A larger disk has unallocated space behind the base's end; Error{usage} if it is
    // smaller. `scratch_folder` empty: $TMPDIR, else /var/tmp.
    explicit OverlayDevice(std::shared_ptr<const BlockDevice> base, std::optional<std::uint64_t> size = std::nullopt,
                           std::filesystem::path scratch_folder = {});

    std::uint64_t size() const override { return size_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

    // Error{corrupt} beyond the end of the disk, Error{io} when the scratch file cannot take it.
    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override;
    // The range reads as zeros; whole pages of it become unallocated.
    void discard(std::uint64_t offset, std::uint64_t length) override;
    void write_zeros(std::uint64_t offset, std::uint64_t length) override { discard(offset, length); }
    // What the scratch file occupies of its file system.
    std::uint64_t scratch_bytes() const;

  private:
    enum class Change { written, discarded };
    struct Run {
        std::uint64_t end;
        Change change;
    };
    // Runs by where they begin; they do not overlap, begin at pages, and end at pages or the end of the disk.
    using Runs = std::map<std::uint64_t, Run>;
    // What holds the byte at an offset, and up to where.
    struct Part {
        std::uint64_t end;
        std::optional<Change> change; // none: the base
    };

    // The caller holds mutex_ for these.
    Part part_at(std::uint64_t offset) const;
    void read_locked(std::uint64_t offset, std::span<std::byte> buffer) const;
    void write_locked(std::uint64_t offset, std::span<const std::byte> bytes);
    void write_within_page(std::uint64_t offset, std::span<const std::byte> bytes);
    void change_range(std::uint64_t begin, std::uint64_t end, Change change);
    int scratch();

    std::shared_ptr<const BlockDevice> base_;
    std::uint64_t size_;
    std::filesystem::path scratch_folder_;
    mutable std::shared_mutex mutex_;
    Runs runs_;
    UniqueFd scratch_; // a byte of a written page lies at its own offset of the disk
};

} // namespace vm2oci
