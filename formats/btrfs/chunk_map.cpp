#include "formats/btrfs/chunk_map.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <iterator>

namespace vm2oci::btrfs {
namespace {

constexpr std::size_t kChunkHead = 48;
constexpr std::size_t kStripe = 32;
constexpr std::size_t kKey = 17;

struct Profile {
    std::uint64_t bit;
    const char* name;
    enum class Layout { copies, striped } layout; // copies: each stripe is all of the chunk
};
using enum Profile::Layout;
constexpr Profile kProfiles[] = {
    {1ull << 3U, "RAID0", striped},  {1ull << 4U, "RAID1", copies},    {1ull << 5U, "DUP", copies},
    {1ull << 6U, "RAID10", striped}, {1ull << 7U, "RAID5", striped},   {1ull << 8U, "RAID6", striped},
    {1ull << 9U, "RAID1C3", copies}, {1ull << 10U, "RAID1C4", copies},
};
constexpr std::uint64_t kContents = 0x7; // data, system, metadata

// The bits that say what is in it and how often, or by which profile it is not read.
void check_type(std::uint64_t type, unsigned stripes) {
    std::uint64_t known = kContents;
    unsigned profiles = 0;
    for (const Profile& profile : kProfiles) {
        known |= profile.bit;
        if ((type & profile.bit) == 0)
            continue;
        ++profiles;
        if (profile.layout == striped)
            fail(ErrorKind::unsupported,
                 fmt::format("the btrfs file system has chunks of the profile {}, which are not read here",
                             profile.name));
    }
    if ((type & ~known) != 0)
        fail(ErrorKind::unsupported,
             fmt::format("the btrfs file system has chunks of a kind that is not known here ({:#x})", type & ~known));
    if (profiles > 1 || (type & kContents) == 0 || stripes == 0 || (profiles == 0 && stripes != 1))
        fail(ErrorKind::corrupt, "a chunk of the btrfs file system has an impossible profile");
}

} // namespace

void ChunkMap::add(std::uint64_t logical, std::span<const std::byte> item) {
    if (item.size() < kChunkHead)
        fail(ErrorKind::corrupt, "a chunk of the btrfs file system is cut off");
    const unsigned stripes = load_le<std::uint16_t>(item.data() + 44);
    if (item.size() != kChunkHead + stripes * kStripe)
        fail(ErrorKind::corrupt, "a chunk of the btrfs file system is cut off");
    check_type(load_le<std::uint64_t>(item.data() + 24), stripes);
    Chunk chunk{logical, load_le<std::uint64_t>(item.data()), {}};
    if (chunk.length == 0 || chunk.length % kSectorSize != 0 || logical % kSectorSize != 0)
        fail(ErrorKind::corrupt, "a chunk of the btrfs file system has an impossible size");
    checked_add(logical, chunk.length, "a chunk's end");
    for (unsigned i = 0; i < stripes; ++i) {
        const std::byte* stripe = item.data() + kChunkHead + i * kStripe;
        if (load_le<std::uint64_t>(stripe) != device_)
            continue;
        const auto offset = load_le<std::uint64_t>(stripe + 8);
        if (checked_add(offset, chunk.length, "a chunk's end") > device_bytes_ || offset % kSectorSize != 0)
            fail(ErrorKind::corrupt, "a chunk of the btrfs file system lies beyond the end of its device");
        chunk.copies.push_back(offset);
    }
    if (chunk.copies.empty())
        fail(ErrorKind::unsupported, "a chunk of the btrfs file system lies on another device");
    if (const auto known = chunks_.find(logical); known != chunks_.end()) {
        if (known->second.length != chunk.length || known->second.copies != chunk.copies)
            fail(ErrorKind::corrupt, "two chunks of the btrfs file system have the same address");
        return;
    }
    const auto behind = chunks_.lower_bound(logical);
    if ((behind != chunks_.end() && behind->second.logical < chunk.end()) ||
        (behind != chunks_.begin() && std::prev(behind)->second.end() > logical))
        fail(ErrorKind::corrupt, "chunks of the btrfs file system overlap");
    if (chunks_.size() == kMaxChunks)
        fail(ErrorKind::limit, "the btrfs file system has more chunks than any real one");
    chunks_.emplace(logical, std::move(chunk));
}

void ChunkMap::add_first(std::span<const std::byte> list) {
    constexpr std::uint64_t kChunkTree = 256; // BTRFS_FIRST_CHUNK_TREE_OBJECTID
    constexpr unsigned kChunkItem = 228;
    while (!list.empty()) {
        if (list.size() < kKey + kChunkHead || load_le<std::uint64_t>(list.data()) != kChunkTree ||
            std::to_integer<unsigned>(list[8]) != kChunkItem)
            fail(ErrorKind::corrupt, "the superblock of the btrfs file system has a damaged list of chunks");
        const std::size_t length = kChunkHead + load_le<std::uint16_t>(list.data() + kKey + 44) * kStripe;
        if (list.size() < kKey + length)
            fail(ErrorKind::corrupt, "the superblock of the btrfs file system has a damaged list of chunks");
        add(load_le<std::uint64_t>(list.data() + 9), list.subspan(kKey, length));
        list = list.subspan(kKey + length);
    }
}

const Chunk& ChunkMap::find(std::uint64_t logical, std::uint64_t length) const {
    const auto behind = chunks_.upper_bound(logical);
    if (behind != chunks_.begin()) {
        const Chunk& chunk = std::prev(behind)->second;
        if (logical < chunk.end() && length <= chunk.end() - logical)
            return chunk;
    }
    fail(ErrorKind::corrupt, fmt::format("the btrfs file system points to address {}, where no chunk is", logical));
}

} // namespace vm2oci::btrfs
