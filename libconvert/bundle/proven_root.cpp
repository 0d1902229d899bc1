#include "libconvert/bundle/proven_root.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/sha256.hpp"
#include "formats/block/empty.hpp"
#include "formats/block/joined.hpp"
#include "formats/block/padded.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

VeritySalt salt_for(const std::string& identity) {
    return sha256(as_bytes("vm2oci verity salt " + identity));
}

VerityUuid superblock_uuid_for(const std::string& identity) {
    constexpr std::size_t kVersionAt = 6; // RFC 9562: version 8, whose bits mean what their maker says
    constexpr std::size_t kVariantAt = 8;
    const Sha256Sum sum = sha256(as_bytes("vm2oci verity superblock " + identity));
    VerityUuid made{};
    std::copy_n(sum.begin(), made.size(), made.begin());
    made[kVersionAt] = (made[kVersionAt] & std::byte{0x0f}) | std::byte{0x80};
    made[kVariantAt] = (made[kVariantAt] & std::byte{0x3f}) | std::byte{0x80};
    return made;
}

std::shared_ptr<const BlockDevice> in_whole_blocks(const std::shared_ptr<const BlockDevice>& root) {
    return std::make_shared<PaddedDevice>(root, align_up(root->size(), kVerityBlock));
}

} // namespace

ProvenRoot prove_root(const std::shared_ptr<const BlockDevice>& root, const std::string& identity,
                      const OperationContext& operation) {
    const std::shared_ptr<const BlockDevice> data = in_whole_blocks(root);
    const std::uint64_t tree_size = verity_tree_size(data->size() / kVerityBlock);
    const auto proof = std::make_shared<OverlayDevice>(std::make_shared<EmptyDevice>(kVerityBlock + tree_size),
                                                       std::nullopt, std::filesystem::path(operation.scratch_folder));
    ProvenRoot proven;
    proven.superblock_at = data->size();
    proven.verity = write_verity_tree(*data, salt_for(identity), *proof, kVerityBlock, operation);
    proven.verity.tree_block += data->size() / kVerityBlock;
    proof->write_at(0, verity_superblock(proven.verity, superblock_uuid_for(identity)));
    proven.device = std::make_shared<JoinedDevice>(std::vector<std::shared_ptr<const BlockDevice>>{data, proof});
    return proven;
}

ProvenPartitions prove_partition(const std::shared_ptr<const BlockDevice>& root, const std::string& identity,
                                 const OperationContext& operation) {
    ProvenPartitions proven;
    proven.root = in_whole_blocks(root);
    // A tree over a single block is empty, and a partition is not.
    const std::uint64_t tree_size =
        std::max(verity_tree_size(proven.root->size() / kVerityBlock), std::uint64_t{kVerityBlock});
    const auto tree = std::make_shared<OverlayDevice>(std::make_shared<EmptyDevice>(tree_size), std::nullopt,
                                                      std::filesystem::path(operation.scratch_folder));
    proven.verity = write_verity_tree(*proven.root, salt_for(identity), *tree, 0, operation);
    proven.tree = tree;
    return proven;
}

std::vector<std::string> verity_words(const VerityRoot& verity) {
    return {fmt::format("dm-mod.create=\"vm2oci-root,,,ro,{}\"", verity_table(verity, "/dev/vda", "/dev/vda")),
            "root=/dev/dm-0"};
}

std::string kata_verity_parameters(const VerityRoot& verity) {
    return fmt::format("root_hash={},salt={},data_blocks={},data_block_size={},hash_block_size={}", to_hex(verity.hash),
                       to_hex(verity.salt), verity.data_blocks, kVerityBlock, kVerityBlock);
}

} // namespace vm2oci
