#include "formats/btrfs/volume.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/btrfs/objects.hpp"
#include "formats/btrfs/tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace vm2oci::btrfs {
namespace {

constexpr std::size_t kBlockHead = 101;
constexpr std::size_t kLeafSlot = 25;
constexpr std::size_t kNodeSlot = 33;
constexpr unsigned kMaxLevel = 7;
constexpr std::uint64_t kKeptBytes = 16 * MiB;

[[noreturn]] void fail_block(std::uint64_t address, const char* what) {
    fail(ErrorKind::corrupt, fmt::format("the tree block at {} of the btrfs file system {}", address, what));
}

} // namespace

Block::Block(std::vector<std::byte> bytes, std::uint64_t address) : bytes_(std::move(bytes)) {
    level_ = std::to_integer<unsigned>(bytes_[100]);
    count_ = load_le<std::uint32_t>(bytes_.data() + 96);
    generation_ = load_le<std::uint64_t>(bytes_.data() + 80);
    owner_ = load_le<std::uint64_t>(bytes_.data() + 88);
    const std::size_t room = (bytes_.size() - kBlockHead) / (level_ == 0 ? kLeafSlot : kNodeSlot);
    if (level_ > kMaxLevel || count_ > room || (level_ > 0 && count_ == 0))
        fail_block(address, "has an impossible level or number of items");
    for (std::uint32_t i = 1; i < count_; ++i)
        if (key(i - 1) >= key(i))
            fail_block(address, "has items out of order");
    if (level_ == 0)
        check_leaf();
}

std::size_t Block::place_of(std::uint32_t slot) const {
    return kBlockHead + slot * (level_ == 0 ? kLeafSlot : kNodeSlot);
}

// Items are stored from the end on, without gaps.
void Block::check_leaf() const {
    std::uint64_t end = bytes_.size() - kBlockHead;
    for (std::uint32_t i = 0; i < count_; ++i) {
        const auto offset = load_le<std::uint32_t>(bytes_.data() + place_of(i) + 17);
        const auto size = load_le<std::uint32_t>(bytes_.data() + place_of(i) + 21);
        if (std::uint64_t{offset} + size != end)
            fail(ErrorKind::corrupt, "a leaf of the btrfs file system has items that overlap or leave gaps");
        end = offset;
    }
    if (end < count_ * kLeafSlot)
        fail(ErrorKind::corrupt, "a leaf of the btrfs file system has items that lie over its head");
}

Key Block::key(std::uint32_t slot) const {
    const std::byte* at = bytes_.data() + place_of(slot);
    return {load_le<std::uint64_t>(at), std::to_integer<std::uint8_t>(at[8]), load_le<std::uint64_t>(at + 9)};
}

std::span<const std::byte> Block::item(std::uint32_t slot) const {
    const std::byte* at = bytes_.data() + place_of(slot);
    return std::span(bytes_).subspan(kBlockHead + load_le<std::uint32_t>(at + 17), load_le<std::uint32_t>(at + 21));
}

std::uint64_t Block::child(std::uint32_t slot) const {
    return load_le<std::uint64_t>(bytes_.data() + place_of(slot) + 17);
}

std::uint64_t Block::child_generation(std::uint32_t slot) const {
    return load_le<std::uint64_t>(bytes_.data() + place_of(slot) + 25);
}

Volume::Volume(std::shared_ptr<const BlockDevice> device)
    : device_(std::move(device)), geometry_(read_geometry(*device_)), chunks_(geometry_) {
    chunks_.add_first(geometry_.first_chunks);
    const TreeRoot root{object::chunk_tree, geometry_.chunk_root, geometry_.chunk_root_level,
                        geometry_.chunk_root_generation};
    // What chunks the tree itself lies in, the superblock's list says.
    ChunkMap all = chunks_;
    for (Cursor at(*this, root, {object::first_chunk, item::chunk, 0}); at.is_at(object::first_chunk, item::chunk);
         at.next())
        all.add(at.key().offset, at.data());
    chunks_ = std::move(all);
}

bool Volume::is_right(std::span<const std::byte> bytes, std::uint64_t address) const {
    return has_checksum(geometry_.checksum, bytes.subspan(32), bytes) &&
           std::memcmp(bytes.data() + 32, geometry_.metadata_uuid.data(), geometry_.metadata_uuid.size()) == 0 &&
           load_le<std::uint64_t>(bytes.data() + 48) == address;
}

std::shared_ptr<const Block> Volume::block(std::uint64_t address) const {
    if (const auto found = places_.find(address); found != places_.end()) {
        kept_.splice(kept_.begin(), kept_, found->second);
        return kept_.front().block;
    }
    if (address % kSectorSize != 0)
        fail_block(address, "begins within a sector");
    std::vector<std::byte> bytes(geometry_.node_size);
    const std::size_t copies = chunks_.find(address, bytes.size()).copies.size();
    for (std::size_t copy = 0; copy < copies; ++copy) {
        read(address, bytes, copy);
        if (is_right(bytes, address))
            break;
        if (copy + 1 == copies)
            fail_block(address, "is damaged: its checksum, UUID or address is wrong");
    }
    auto made = std::make_shared<const Block>(std::move(bytes), address);
    if (kept_.size() * geometry_.node_size >= kKeptBytes) {
        places_.erase(kept_.back().address);
        kept_.pop_back();
    }
    kept_.push_front({address, made});
    places_[address] = kept_.begin();
    return made;
}

void Volume::read(std::uint64_t address, std::span<std::byte> buffer, std::size_t copy) const {
    const Chunk& chunk = chunks_.find(address, buffer.size());
    device_->read_at(chunk.copies[copy] + (address - chunk.logical), buffer);
}

} // namespace vm2oci::btrfs
