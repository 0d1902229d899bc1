// A root file system that proves itself: the hash tree of dm-verity behind it, or beside it, and what opens it.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/block_device.hpp"
#include "formats/verity/hash_tree.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vm2oci {

enum class RootProof {
    none,
    verity, // every block that is read is held against a hash tree, whose root the kernel's command line names
};

struct ProvenRoot {
    std::shared_ptr<const BlockDevice> device; // the root, dm-verity's superblock and the tree
    VerityRoot verity;                         // the tree on that device
    std::uint64_t superblock_at = 0;           // bytes
};

// Root and tree in one file. The salt and the superblock's UUID come from `identity`, such as the root's own UUID, so
// that the same root has the same hash.
ProvenRoot prove_root(const std::shared_ptr<const BlockDevice>& root, const std::string& identity,
                      const OperationContext& operation);

struct ProvenPartitions {
    std::shared_ptr<const BlockDevice> root; // to whole blocks
    std::shared_ptr<const BlockDevice> tree; // alone, without a superblock
    VerityRoot verity;
};

// Root and tree each for itself.
ProvenPartitions prove_partition(const std::shared_ptr<const BlockDevice>& root, const std::string& identity,
                                 const OperationContext& operation);

// What a kernel with device-mapper built in is told, so that it opens the first virtio disk as a proven root before its
// init runs. A block that is not what it was stops the machine.
std::vector<std::string> verity_words(const VerityRoot& verity);

// Kata's `kernel_verity_params` (src/runtime/virtcontainers/hypervisor.go, ParseKernelVerityParams).
std::string kata_verity_parameters(const VerityRoot& verity);

} // namespace vm2oci
