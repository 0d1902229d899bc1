// dm-verity's hash tree: a device whose every block is proven by one hash.
//
// Sources: the Linux kernel, Documentation/admin-guide/device-mapper/verity.rst, drivers/md/dm-verity-target.c (order
// of the levels: the root's block first); cryptsetup, lib/verity/verity.c (struct verity_sb, the superblock).
#pragma once

#include "formats/base/progress.hpp"
#include "formats/base/sha256.hpp"
#include "formats/block/overlay.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string>

namespace vm2oci {

inline constexpr std::uint64_t kVerityBlock = 4096; // of data and of hashes

using VeritySalt = std::array<std::byte, 32>;
using VerityUuid = std::array<std::byte, 16>; // of the superblock; nothing depends on it

// What opens a device: its hash says all that the others can say wrongly.
struct VerityRoot {
    Sha256Sum hash{}; // of the tree's first block; of the data's, if it is the only one
    VeritySalt salt{};
    std::uint64_t data_blocks = 0;
    std::uint64_t tree_block = 0; // where the tree begins, in blocks of the device that holds it
};

// Bytes of the tree over so many blocks of data.
std::uint64_t verity_tree_size(std::uint64_t data_blocks);

// Writes the tree over `data`, which has whole blocks and at least one, to `target` from the byte `offset` on, which is
// a multiple of kVerityBlock. Data is read once, in order; memory does not grow with it. Error{usage} for sizes that
// are none.
VerityRoot write_verity_tree(const BlockDevice& data, const VeritySalt& salt, OverlayDevice& target,
                             std::uint64_t offset, const OperationContext& operation);

// Block of the device before the tree, by which `veritysetup` finds what the tree is of.
std::array<std::byte, kVerityBlock> verity_superblock(const VerityRoot& root, const VerityUuid& uuid);

// A device-mapper table of one line, "0 8 verity 1 /dev/vda …": data and tree on the named devices, which the kernel
// finds at its start. With panic_on_corruption a block that is not what it was stops the machine.
std::string verity_table(const VerityRoot& root, const std::string& data_device, const std::string& tree_device);

} // namespace vm2oci
