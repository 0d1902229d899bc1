// The layout of a Kata Containers guest image: a partition table, what the kernel's NVDIMM driver looks for, the same
// partition table for who looks through that driver, and a partition with the root file system; with dm-verity a second
// one with the hash tree.
//
// Sources: kata-containers/kata-containers, tools/osbuilder/image-builder/{image_builder.sh,nsdax.gpl.c}; the Linux
// kernel, drivers/nvdimm/pfn.h (struct nd_pfn_sb).
#pragma once

#include "formats/base/size.hpp"
#include "formats/block/joined.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace vm2oci {

inline constexpr std::uint64_t kKataHeader = 2 * MiB;      // before what the NVDIMM driver shows
inline constexpr std::uint64_t kKataRootAt = 3 * MiB;      // of the image: the partition
inline constexpr std::uint64_t kKataEnd = 1 * MiB;         // behind the partition
inline constexpr std::uint64_t kKataAlignment = 128 * MiB; // of the image: memory is plugged in such pieces

// The image around its partitions, the root's first, one behind another; together they have kata_root_size() of
// something.
class KataImage final : public BlockDevice {
  public:
    // `disk_id` distinguishes the partition table from others. At most four partitions, of whole sectors.
    KataImage(const std::vector<std::shared_ptr<const BlockDevice>>& partitions, std::uint32_t disk_id);

    std::uint64_t size() const override { return kKataRootAt + partitions_.size() + kKataEnd; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    JoinedDevice partitions_;
    std::vector<std::byte> head_; // everything before the first partition
};

// The room for partitions in the smallest image that has at least `needed` bytes for it.
std::uint64_t kata_root_size(std::uint64_t needed);

} // namespace vm2oci
