#include "formats/verity/hash_tree.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace vm2oci {
namespace {

constexpr std::uint64_t kHashesPerBlock = kVerityBlock / sizeof(Sha256Sum);

Sha256Sum salted(const VeritySalt& salt, std::span<const std::byte> block) {
    Sha256 sum;
    sum.update(salt);
    sum.update(block);
    return sum.finish();
}

// Blocks of each level, that over the data first. A single block of data needs none.
std::vector<std::uint64_t> level_blocks(std::uint64_t data_blocks) {
    std::vector<std::uint64_t> levels;
    for (std::uint64_t below = data_blocks; below > 1;) {
        below = (below + kHashesPerBlock - 1) / kHashesPerBlock;
        levels.push_back(below);
    }
    return levels;
}

// The levels as they grow: one block of each in memory, written when it is full.
class TreeWriter {
  public:
    TreeWriter(const VeritySalt& salt, OverlayDevice& target, std::uint64_t offset, std::uint64_t data_blocks)
        : salt_(salt), target_(target) {
        const std::vector<std::uint64_t> blocks = level_blocks(data_blocks);
        levels_.resize(blocks.size());
        std::uint64_t at = offset;
        for (std::size_t level = blocks.size(); level-- > 0;) { // the topmost lies first
            levels_[level].next = at;
            at += blocks[level] * kVerityBlock;
        }
    }

    void add(const Sha256Sum& hash) { add(0, hash); }

    Sha256Sum finish() {
        for (std::size_t level = 0; level < levels_.size(); ++level)
            if (levels_[level].used != 0)
                end_block(level);
        return root_;
    }

  private:
    struct Level {
        std::array<std::byte, kVerityBlock> block{};
        std::size_t used = 0;   // bytes of the block
        std::uint64_t next = 0; // where it will lie
    };

    void add(std::size_t level, const Sha256Sum& hash) {
        if (level == levels_.size()) {
            root_ = hash;
            return;
        }
        Level& into = levels_[level];
        std::copy(hash.begin(), hash.end(), into.block.begin() + static_cast<std::ptrdiff_t>(into.used));
        into.used += hash.size();
        if (into.used == into.block.size())
            end_block(level);
    }

    void end_block(std::size_t level) {
        Level& full = levels_[level];
        target_.write_at(full.next, full.block);
        const Sha256Sum hash = salted(salt_, full.block);
        full.next += kVerityBlock;
        full.block.fill(std::byte{0});
        full.used = 0;
        add(level + 1, hash);
    }

    const VeritySalt& salt_;
    OverlayDevice& target_;
    std::vector<Level> levels_; // that over the data first
    Sha256Sum root_{};
};

} // namespace

std::uint64_t verity_tree_size(std::uint64_t data_blocks) {
    std::uint64_t size = 0;
    for (const std::uint64_t blocks : level_blocks(data_blocks))
        size += blocks * kVerityBlock;
    return size;
}

VerityRoot write_verity_tree(const BlockDevice& data, const VeritySalt& salt, OverlayDevice& target,
                             std::uint64_t offset, const OperationContext& operation) {
    constexpr std::size_t kPiece = 1 * MiB;
    if (data.size() == 0 || data.size() % kVerityBlock != 0 || offset % kVerityBlock != 0)
        fail(ErrorKind::usage, "a hash tree needs whole blocks of 4096 bytes");
    VerityRoot root;
    root.salt = salt;
    root.data_blocks = data.size() / kVerityBlock;
    root.tree_block = offset / kVerityBlock;

    TreeWriter tree(root.salt, target, offset, root.data_blocks);
    std::vector<std::byte> piece(kPiece);
    const Sha256Sum of_zeros = salted(salt, std::vector<std::byte>(kVerityBlock));
    operation.progress->begin("verity", data.size());
    for (std::uint64_t at = 0; at < data.size();) {
        const std::uint64_t before = at;
        operation.check_cancelled();
        const Extent extent = data.extent_at(at);
        const std::uint64_t empty = extent.kind == ExtentKind::data ? 0 : extent.length / kVerityBlock;
        for (std::uint64_t block = 0; block < empty; ++block)
            tree.add(of_zeros);
        at += empty * kVerityBlock;
        if (empty == 0) {
            // An extent may end within a block.
            const std::uint64_t wanted = align_up(std::min<std::uint64_t>(extent.length, kPiece), kVerityBlock);
            const auto bytes = std::span(piece).first(std::min({wanted, std::uint64_t{kPiece}, data.size() - at}));
            data.read_at(at, bytes);
            for (std::size_t block = 0; block < bytes.size(); block += kVerityBlock)
                tree.add(salted(salt, bytes.subspan(block, kVerityBlock)));
            at += bytes.size();
        }
        operation.progress->advance(at - before);
    }
    root.hash = tree.finish();
    operation.progress->end();
    return root;
}

std::array<std::byte, kVerityBlock> verity_superblock(const VerityRoot& root, const VerityUuid& uuid) {
    constexpr std::size_t kVersionAt = 8;
    constexpr std::size_t kHashTypeAt = 12; // 1: the salt comes before the block
    constexpr std::size_t kUuidAt = 16;
    constexpr std::size_t kAlgorithmAt = 32;
    constexpr std::size_t kDataBlockAt = 64;
    constexpr std::size_t kHashBlockAt = 68;
    constexpr std::size_t kDataBlocksAt = 72;
    constexpr std::size_t kSaltSizeAt = 80;
    constexpr std::size_t kSaltAt = 88;
    std::array<std::byte, kVerityBlock> block{};
    std::memcpy(block.data(), "verity\0\0", 8);
    store_le(block.data() + kVersionAt, std::uint32_t{1});
    store_le(block.data() + kHashTypeAt, std::uint32_t{1});
    std::copy(uuid.begin(), uuid.end(), block.begin() + kUuidAt);
    std::memcpy(block.data() + kAlgorithmAt, "sha256", 6);
    store_le(block.data() + kDataBlockAt, static_cast<std::uint32_t>(kVerityBlock));
    store_le(block.data() + kHashBlockAt, static_cast<std::uint32_t>(kVerityBlock));
    store_le(block.data() + kDataBlocksAt, root.data_blocks);
    store_le(block.data() + kSaltSizeAt, static_cast<std::uint16_t>(root.salt.size()));
    std::copy(root.salt.begin(), root.salt.end(), block.begin() + kSaltAt);
    return block;
}

std::string verity_table(const VerityRoot& root, const std::string& data_device, const std::string& tree_device) {
    constexpr std::uint64_t kSector = 512;
    return fmt::format("0 {} verity 1 {} {} {} {} {} {} sha256 {} {} 1 panic_on_corruption",
                       root.data_blocks * (kVerityBlock / kSector), data_device, tree_device, kVerityBlock,
                       kVerityBlock, root.data_blocks, root.tree_block, to_hex(root.hash), to_hex(root.salt));
}

} // namespace vm2oci
