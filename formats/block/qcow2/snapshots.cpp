#include "formats/block/qcow2/snapshots.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vm2oci::qcow2 {
namespace {

// The fixed part of an entry: L1 offset (64 bits), L1 size (32), id length (16), name length (16), seconds (32),
// nanoseconds (32), clock (64), state size (32), extra length (32).
constexpr std::uint32_t kMaxExtraBytes = 1024; // QEMU's limit
// In the extra data: state size (64 bits), disk size (64).
constexpr std::size_t kExtraStateSize = 8;
constexpr std::size_t kExtraDiskSize = 16;

class TableCursor {
  public:
    TableCursor(const BlockDevice& container, std::uint64_t offset) : container_(container), begin_(offset) {}

    void read(std::span<std::byte> buffer) {
        const std::uint64_t offset = begin_ + used_;
        advance(buffer.size());
        container_.read_at(offset, buffer);
    }

    // Reads the first bytes of a text of `length` bytes and goes on behind it.
    std::string read_text(std::size_t length) {
        std::string text(std::min(length, kMaxReportedSnapshotNameBytes), '\0');
        read(std::as_writable_bytes(std::span(text)));
        advance(length - text.size());
        return text;
    }

    void advance(std::uint64_t bytes) {
        used_ += bytes;
        if (used_ > kMaxSnapshotTableBytes)
            fail(ErrorKind::limit, "the snapshot table is larger than the format's limit of 64 MiB");
        if (begin_ > container_.size() || used_ > container_.size() - begin_)
            fail(ErrorKind::corrupt, "the snapshot table ends beyond the end of the file");
    }

    void align() { advance(align_up(used_, 8) - used_); }

  private:
    const BlockDevice& container_;
    std::uint64_t begin_;
    std::uint64_t used_ = 0;
};

} // namespace

std::vector<SnapshotInfo> read_snapshots(const BlockDevice& container, const Header& header) {
    std::vector<SnapshotInfo> snapshots;
    TableCursor cursor(container, header.snapshots_offset);
    for (std::uint32_t i = 0; i < header.snapshot_count; ++i) {
        // The last entry need not be padded.
        if (i != 0)
            cursor.align();
        std::array<std::byte, kSnapshotEntryBytes> entry;
        cursor.read(entry);
        const auto id_length = load_be<std::uint16_t>(&entry[12]);
        const auto name_length = load_be<std::uint16_t>(&entry[14]);
        const auto extra_length = load_be<std::uint32_t>(&entry[36]);
        if (extra_length > kMaxExtraBytes)
            fail(ErrorKind::corrupt, fmt::format("snapshot {} has {} bytes of extra data", i, extra_length));

        SnapshotInfo snapshot;
        snapshot.created_unix = load_be<std::uint32_t>(&entry[16]);
        snapshot.vm_state_size = load_be<std::uint32_t>(&entry[32]);
        snapshot.disk_size = header.virtual_size();
        std::array<std::byte, kExtraDiskSize> extra;
        const std::size_t known = std::min<std::size_t>(extra_length, extra.size());
        cursor.read(std::span(extra).first(known));
        cursor.advance(extra_length - known);
        if (known >= kExtraStateSize)
            snapshot.vm_state_size = load_be<std::uint64_t>(&extra[0]);
        if (known >= kExtraDiskSize)
            snapshot.disk_size = load_be<std::uint64_t>(&extra[8]);
        snapshot.id = cursor.read_text(id_length);
        snapshot.name = cursor.read_text(name_length);
        if (snapshots.size() < kMaxReportedSnapshots)
            snapshots.push_back(std::move(snapshot));
    }
    return snapshots;
}

} // namespace vm2oci::qcow2
