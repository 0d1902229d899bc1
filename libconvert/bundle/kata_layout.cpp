#include "libconvert/bundle/kata_layout.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace vm2oci {
namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kDaxInfoAt = 4 * KiB;
constexpr std::size_t kDaxInfoSize = 4 * KiB;

using Partitions = std::vector<std::shared_ptr<const BlockDevice>>;

// Primary Linux partitions, one behind another. Cylinders are not counted: the LBA is what counts.
void put_partition_table(std::byte* at, std::uint32_t disk_id, std::uint64_t first, const Partitions& partitions) {
    constexpr std::size_t kIdAt = 440;
    constexpr std::size_t kEntryAt = 446;
    constexpr std::size_t kEntrySize = 16;
    store_le(at + kIdAt, disk_id);
    std::byte* entry = at + kEntryAt;
    for (const auto& partition : partitions) {
        std::fill_n(entry + 1, 3, std::byte{0xfe});
        entry[4] = std::byte{0x83};
        std::fill_n(entry + 5, 3, std::byte{0xfe});
        store_le(entry + 8, checked_cast<std::uint32_t>(first / kSector, "the partition's place"));
        store_le(entry + 12, checked_cast<std::uint32_t>(partition->size() / kSector, "the partition's size"));
        first += partition->size();
        entry += kEntrySize;
    }
    at[510] = std::byte{0x55};
    at[511] = std::byte{0xaa};
}

// Fletcher's checksum over words of 32 bits, as the kernel's nd_fletcher64().
std::uint64_t fletcher64(const std::byte* at, std::size_t size) {
    std::uint32_t low = 0;
    std::uint64_t high = 0;
    for (std::size_t i = 0; i < size; i += 4) {
        low += load_le<std::uint32_t>(at + i);
        high += low;
    }
    return high << 32 | low;
}

void put_dax_info(std::byte* at) {
    constexpr std::size_t kMinorVersionAt = 54;
    constexpr std::size_t kDataAt = 56;
    constexpr std::size_t kModeAt = 72;
    constexpr std::size_t kAlignmentAt = 84;
    constexpr std::size_t kChecksumAt = kDaxInfoSize - 8;
    constexpr std::uint32_t kPagesInRam = 1;
    constexpr std::uint32_t kHugePage = 2 * MiB;
    constexpr char kSignature[16] = "NVDIMM_PFN_INFO";
    std::memcpy(at, kSignature, sizeof kSignature);
    store_le(at + kMinorVersionAt, std::uint16_t{2});
    store_le(at + kDataAt, kKataHeader);
    store_le(at + kModeAt, kPagesInRam);
    store_le(at + kAlignmentAt, kHugePage);
    store_le(at + kChecksumAt, fletcher64(at, kDaxInfoSize));
}

} // namespace

KataImage::KataImage(const Partitions& partitions, std::uint32_t disk_id)
    : partitions_(partitions), head_(kKataRootAt) {
    put_partition_table(head_.data(), disk_id, kKataRootAt, partitions);
    put_dax_info(head_.data() + kDaxInfoAt);
    put_partition_table(head_.data() + kKataHeader, disk_id, kKataRootAt - kKataHeader, partitions);
}

void KataImage::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    while (!buffer.empty()) {
        std::size_t step = buffer.size();
        const std::uint64_t end_of_partitions = kKataRootAt + partitions_.size();
        if (offset < kKataRootAt) {
            step = std::min<std::size_t>(step, static_cast<std::size_t>(kKataRootAt - offset));
            std::copy_n(head_.begin() + static_cast<std::ptrdiff_t>(offset), step, buffer.begin());
        } else if (offset < end_of_partitions) {
            step = static_cast<std::size_t>(std::min<std::uint64_t>(step, end_of_partitions - offset));
            partitions_.read_at(offset - kKataRootAt, buffer.first(step));
        } else {
            std::fill(buffer.begin(), buffer.end(), std::byte{0});
        }
        buffer = buffer.subspan(step);
        offset += step;
    }
}

Extent KataImage::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    if (offset < kKataRootAt)
        return {kKataRootAt - offset, ExtentKind::data};
    if (offset - kKataRootAt < partitions_.size())
        return partitions_.extent_at(offset - kKataRootAt);
    return {size() - offset, ExtentKind::unallocated};
}

std::uint64_t kata_root_size(std::uint64_t needed) {
    return align_up(checked_add(needed, kKataRootAt + kKataEnd, "the size of the image"), kKataAlignment) -
           kKataRootAt - kKataEnd;
}

} // namespace vm2oci
