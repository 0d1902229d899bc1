#include "formats/xfs/log_replay.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/xfs/log_items.hpp"
#include "formats/xfs/logged_buffer.hpp"
#include "formats/xfs/logged_inode.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <set>
#include <utility>

namespace vm2oci::xfs {
namespace {

constexpr unsigned kItemFreeIntent = 0x1236;
constexpr unsigned kItemFreeDone = 0x1237;
constexpr unsigned kItemInode = 0x123b;
constexpr unsigned kItemBuffer = 0x123c;
constexpr unsigned kItemQuota = 0x123d;
constexpr unsigned kItemQuotaOff = 0x123e;
constexpr unsigned kItemCreate = 0x123f;
constexpr unsigned kItemOwnerIntent = 0x1240; // of the reverse map
constexpr unsigned kItemOwnerDone = 0x1241;
constexpr unsigned kItemSharesIntent = 0x1242; // of the reference counts
constexpr unsigned kItemSharesDone = 0x1243;
constexpr unsigned kItemMapIntent = 0x1244;
constexpr unsigned kItemMapDone = 0x1245;
constexpr unsigned kItemAttributeIntent = 0x1246;
constexpr unsigned kItemAttributeDone = 0x1247;
constexpr unsigned kItemExchangeIntent = 0x1248;
constexpr unsigned kItemExchangeDone = 0x1249;

constexpr std::uint32_t kLogFeatureAttributes = 1; // changes of attributes as intents
constexpr std::uint64_t kMaxPendingIntents = std::uint64_t{256} * 1024;
constexpr std::uint64_t kMaxCancelled = std::uint64_t{256} * 1024;
constexpr std::uint64_t kMaxCreated = 4 * GiB;    // of inodes that were made, 8 million of them
constexpr std::size_t kHeaderOfBuffer = 512;      // where its own number stands
constexpr std::uint64_t kMaxClusterSectors = 128; // 64 KiB
constexpr std::uint64_t kInodesOfChunk = 64;      // that are made together

[[noreturn]] void fail_replay(std::string_view what) {
    fail(ErrorKind::corrupt,
         fmt::format("the log of the xfs file system {}: run xfs_repair on it in its machine", what));
}

// Buffers whose blocks were freed: what the log says of them before that does not count.
class CancelledBuffers {
  public:
    using Place = std::pair<std::uint64_t, std::uint32_t>;

    void add(const Place& place) {
        ++counts_[place];
        if (counts_.size() > kMaxCancelled)
            fail(ErrorKind::limit, "the log of the xfs file system frees more than any real one");
    }
    bool has(const Place& place) const { return counts_.count(place) != 0; }
    void pass(const Place& place) {
        if (const auto found = counts_.find(place); found != counts_.end() && --found->second == 0)
            counts_.erase(found);
    }

  private:
    std::map<Place, std::uint64_t> counts_;
};

// What was announced and not done.
class Intents {
  public:
    void track(const LogItem& item) {
        const unsigned type = item.type();
        const bool is_done = (type & 1) != 0;
        const std::vector<std::byte>& bytes = item.regions.front();
        if (bytes.size() < 16)
            fail_replay("announces something in an unknown way");
        const std::pair<unsigned, std::uint64_t> key{type & ~1u, load_le<std::uint64_t>(bytes.data() + 8)};
        if (is_done)
            pending_.erase(key);
        else
            pending_.insert(key);
        if (pending_.size() > kMaxPendingIntents)
            fail(ErrorKind::limit, "the log of the xfs file system announces more than any real one");
    }
    // What is pending and changes the content of files is not done here.
    SpaceAccount finish() const {
        for (const auto& [type, id] : pending_)
            if (type == kItemMapIntent || type == kItemAttributeIntent || type == kItemExchangeIntent)
                fail(ErrorKind::unsupported,
                     fmt::format("the log of the xfs file system stops in the middle of {}, which only the kernel "
                                 "finishes: mount it once in its machine and shut that down cleanly",
                                 type == kItemMapIntent         ? "a change of shared extents"
                                 : type == kItemAttributeIntent ? "a change of extended attributes"
                                                                : "an exchange of files"));
        return pending_.empty() ? SpaceAccount::finished : SpaceAccount::unfinished;
    }

  private:
    std::set<std::pair<unsigned, std::uint64_t>> pending_;
};

class Replay {
  public:
    Replay(const Geometry& geometry, std::shared_ptr<ReplayedDevice> device)
        : geometry_(geometry), device_(std::move(device)) {}

    void collect_cancelled(const LogTransaction& transaction) {
        for (const LogItem& item : transaction.items)
            if (item.type() == kItemBuffer)
                if (const BufferItem buffer = describe_buffer(item); buffer.is_cancelled())
                    cancelled_.add({buffer.address, buffer.sectors});
    }

    // Buffers first, the inodes in them then, the lists of deleted inodes after those, and what is freed last.
    void apply(const LogTransaction& transaction) {
        for (const LogItem& item : transaction.items) {
            if (item.type() == kItemCreate)
                create_inodes(item);
            else if (item.type() == kItemBuffer && !describe_buffer(item).is_late())
                apply_buffer(item, transaction.number);
        }
        for (const LogItem& item : transaction.items)
            apply_other(item, transaction.number);
        for (const LogItem& item : transaction.items)
            if (item.type() == kItemBuffer && describe_buffer(item).is_late())
                apply_buffer(item, transaction.number);
    }

    SpaceAccount finish() const { return intents_.finish(); }

  private:
    void apply_other(const LogItem& item, std::uint64_t number) {
        switch (item.type()) {
        case kItemBuffer:
        case kItemCreate:
        case kItemQuota: // quotas are no part of what is read here
        case kItemQuotaOff:
            return;
        case kItemInode:
            return apply_inode(item, number);
        case kItemFreeIntent:
        case kItemOwnerIntent:
        case kItemSharesIntent:
        case kItemMapIntent:
        case kItemAttributeIntent:
        case kItemExchangeIntent:
        case kItemFreeDone:
        case kItemOwnerDone:
        case kItemSharesDone:
        case kItemMapDone:
        case kItemAttributeDone:
        case kItemExchangeDone:
            return intents_.track(item);
        default:
            fail(ErrorKind::unsupported,
                 fmt::format("the log of the xfs file system has changes of a kind that is not known here ({:#x}): "
                             "mount it once in its machine and shut that down cleanly",
                             item.type()));
        }
    }

    std::uint64_t offset_of(std::uint64_t address, std::uint64_t sectors) const {
        const std::uint64_t offset = checked_multiply(address, kSectorOfAddresses, "an address in the log");
        check_range(*device_, offset, sectors * kSectorOfAddresses);
        return offset;
    }

    void apply_buffer(const LogItem& item, std::uint64_t number) {
        const BufferItem buffer = describe_buffer(item);
        const CancelledBuffers::Place place{buffer.address, buffer.sectors};
        if (buffer.is_cancelled())
            return cancelled_.pass(place);
        if (cancelled_.has(place) || buffer.is_quota())
            return;
        const std::uint64_t offset = offset_of(buffer.address, buffer.sectors);
        std::array<std::byte, kHeaderOfBuffer> head;
        device_->read_at(offset, head);
        if (is_buffer_newer(geometry_, head, number))
            return;
        replay_buffer(geometry_, buffer, item,
                      [&](std::uint64_t at, std::span<const std::byte> part) { device_->write_at(offset + at, part); });
    }

    void apply_inode(const LogItem& item, std::uint64_t number) {
        const InodeItem description = describe_inode(item);
        if (cancelled_.has({description.buffer, description.buffer_length}))
            return;
        const std::uint64_t cluster = offset_of(description.buffer, description.buffer_length);
        const std::uint64_t offset = geometry_.offset_of_inode(description.number);
        if (description.buffer_length > kMaxClusterSectors || cluster + description.at != offset)
            fail_replay("puts an inode into another's place");
        std::vector<std::byte> inode(static_cast<std::size_t>(geometry_.inode_size));
        device_->read_at(offset, inode);
        replay_inode(geometry_, description, item, number, inode);
        device_->write_at(offset, inode);
    }

    // A chunk of inodes that were made and hold nothing yet. Whatever they came to hold stands behind it in the log.
    void create_inodes(const LogItem& item) {
        const std::vector<std::byte>& bytes = item.regions.front();
        if (bytes.size() < 28)
            fail_replay("makes inodes in an unknown way");
        const auto field = [&](std::size_t at) { return std::uint64_t{load_be<std::uint32_t>(bytes.data() + at)}; };
        const std::uint64_t group = field(4);
        const std::uint64_t block = field(8);
        const std::uint64_t blocks = field(20);
        const std::uint64_t in_block = geometry_.block_size / geometry_.inode_size;
        if (group >= geometry_.groups || field(16) != geometry_.inode_size || blocks == 0 ||
            block >= geometry_.blocks_of_group(group) || blocks * in_block != field(12) ||
            field(12) > std::max(kInodesOfChunk, in_block))
            fail_replay("makes inodes that cannot be");
        const std::uint64_t first = group << geometry_.group_block_bits | block;
        const std::uint64_t offset = geometry_.offset_of(first, blocks);
        if (is_part_cancelled(offset / kSectorOfAddresses, blocks * geometry_.block_size / kSectorOfAddresses))
            return;
        created_ += blocks * geometry_.block_size;
        if (created_ > kMaxCreated)
            fail(ErrorKind::limit, "the log of the xfs file system makes more inodes than any real one");
        std::vector<std::byte> inode(static_cast<std::size_t>(geometry_.inode_size));
        store_be<std::uint16_t>(inode.data(), 0x494e);
        inode[4] = std::byte{3};
        store_be<std::uint32_t>(inode.data() + 92, load_be<std::uint32_t>(bytes.data() + 24)); // generation
        store_be<std::uint32_t>(inode.data() + 96, ~0u);                                       // no next deleted one
        std::copy(geometry_.metadata_uuid.begin(), geometry_.metadata_uuid.end(), inode.begin() + 160);
        for (std::uint64_t i = 0; i < field(12); ++i) {
            store_be<std::uint64_t>(inode.data() + 152, (first << geometry_.inode_in_block_bits) + i);
            device_->write_at(offset + i * geometry_.inode_size, inode);
        }
    }

    // Clusters are freed one by one; of a chunk that was freed and used again nothing is made.
    bool is_part_cancelled(std::uint64_t address, std::uint64_t sectors) const {
        for (std::uint64_t length = 1; length <= sectors; length *= 2)
            for (std::uint64_t at = 0; at + length <= sectors; at += length)
                if (cancelled_.has({address + at, static_cast<std::uint32_t>(length)}))
                    return true;
        return false;
    }

    const Geometry& geometry_;
    std::shared_ptr<ReplayedDevice> device_;
    CancelledBuffers cancelled_;
    Intents intents_;
    std::uint64_t created_ = 0; // bytes of new inodes
};

} // namespace

RecoveredVolume recover(std::shared_ptr<const BlockDevice> device) {
    const Geometry geometry = read_geometry(*device, SuperblockSum::checked);
    Volume stored(device, geometry, nullptr);
    const LogRing ring(stored);
    if (ring.is_clean())
        return {std::move(stored), LogState::clean, SpaceAccount::finished};
    if (geometry.version == Version::v5 && (geometry.log_features & ~kLogFeatureAttributes) != 0)
        fail(ErrorKind::unsupported, fmt::format("the log of the xfs file system must be replayed and has features "
                                                 "that are not known here ({:#x}): mount it once in its machine and "
                                                 "shut that down cleanly",
                                                 geometry.log_features));
    auto replayed = std::make_shared<ReplayedDevice>(std::move(device));
    Replay replay(geometry, replayed);
    const auto walk = [&](const std::function<void(const LogTransaction&)>& committed) {
        TransactionReader reader(committed);
        ring.visit([&](const LogRecord& record) { reader.add(record); });
    };
    walk([&](const LogTransaction& transaction) { replay.collect_cancelled(transaction); });
    walk([&](const LogTransaction& transaction) { replay.apply(transaction); });
    const SpaceAccount space = replay.finish();
    // The superblock may be among what was changed: an idle machine logs it every half minute.
    const SuperblockSum sum =
        replayed->is_changed(0, geometry.sector_size) ? SuperblockSum::of_the_log : SuperblockSum::checked;
    const Geometry after = read_geometry(*replayed, sum);
    return {Volume(replayed, after, replayed), LogState::replayed, space};
}

} // namespace vm2oci::xfs
