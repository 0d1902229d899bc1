#include "formats/ext4/journal.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/ext4/extents.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>

namespace vm2oci {
namespace {

constexpr std::uint32_t kJournalMagic = 0xc03b3998;
constexpr std::uint32_t kDescriptor = 1;
constexpr std::uint32_t kCommit = 2;
constexpr std::uint32_t kSuperblockV1 = 3;
constexpr std::uint32_t kSuperblockV2 = 4;
constexpr std::uint32_t kRevoke = 5;
constexpr std::size_t kHeaderSize = 12; // magic, type, sequence

constexpr std::uint32_t kIncompatRevoke = 0x01;
constexpr std::uint32_t kIncompat64Bit = 0x02;
constexpr std::uint32_t kIncompatAsyncCommit = 0x04;
constexpr std::uint32_t kIncompatChecksumV2 = 0x08;
constexpr std::uint32_t kIncompatChecksumV3 = 0x10;
constexpr std::uint32_t kIncompatFastCommit = 0x20;
constexpr std::uint32_t kCompatChecksum = 0x01;

constexpr std::uint32_t kTagEscaped = 0x1; // the block began with the journal's magic number, which was blanked
constexpr std::uint32_t kTagSameUuid = 0x2;
constexpr std::uint32_t kTagLast = 0x8;

constexpr std::size_t kJournalSuperblockSize = 1024;
constexpr std::size_t kSuperblockChecksumAt = 0xfc;
constexpr std::size_t kCommitChecksumAt = 16;

struct Replacement {
    std::uint64_t journal_offset; // bytes of the device
    bool escaped;
};
using Replacements = std::map<std::uint64_t, Replacement>; // by block of the file system

class ReplayedDevice final : public BlockDevice {
  public:
    ReplayedDevice(std::shared_ptr<const BlockDevice> base, std::uint64_t block_size, Replacements replacements)
        : base_(std::move(base)), block_size_(block_size), replacements_(std::move(replacements)) {}

    std::uint64_t size() const override { return base_->size(); }

    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        while (!buffer.empty()) {
            const auto next = replacements_.lower_bound(offset / block_size_);
            if (next != replacements_.end() && next->first == offset / block_size_) {
                const std::uint64_t within = offset % block_size_;
                const std::size_t step = std::min<std::uint64_t>(buffer.size(), block_size_ - within);
                read_replacement(next->second, within, buffer.first(step));
                buffer = buffer.subspan(step);
                offset += step;
                continue;
            }
            std::uint64_t step = buffer.size();
            if (next != replacements_.end())
                step = std::min(step, next->first * block_size_ - offset);
            base_->read_at(offset, buffer.first(static_cast<std::size_t>(step)));
            buffer = buffer.subspan(static_cast<std::size_t>(step));
            offset += step;
        }
    }

    Extent extent_at(std::uint64_t offset) const override {
        check_range(*this, offset, 1);
        const auto next = replacements_.lower_bound(offset / block_size_);
        if (next != replacements_.end() && next->first == offset / block_size_)
            return {std::min(block_size_ - offset % block_size_, size() - offset), ExtentKind::data};
        Extent extent = base_->extent_at(offset);
        if (next != replacements_.end())
            extent.length = std::min(extent.length, next->first * block_size_ - offset);
        return extent;
    }

  private:
    void read_replacement(const Replacement& replacement, std::uint64_t within, std::span<std::byte> buffer) const {
        base_->read_at(replacement.journal_offset + within, buffer);
        if (!replacement.escaped)
            return;
        std::array<std::byte, 4> magic;
        store_be<std::uint32_t>(magic.data(), kJournalMagic);
        for (std::size_t i = 0; i < buffer.size() && within + i < magic.size(); ++i)
            buffer[i] = magic[static_cast<std::size_t>(within) + i];
    }

    std::shared_ptr<const BlockDevice> base_;
    std::uint64_t block_size_;
    Replacements replacements_;
};

// One walk over the log, as the kernel's recovery does three of: find its end, collect what was revoked, replay.
class Log {
  public:
    explicit Log(const Ext4Library& library) : library_(library), block_size_(library.handle()->blocksize) {
        const ext2_super_block& super = *library.handle()->super;
        if (super.s_journal_inum == 0)
            fail(ErrorKind::unsupported, "the ext4 file system has a journal on another disk that must be replayed: "
                                         "mount it once in its machine and shut that down cleanly");
        ext2_inode_large inode{};
        library.check(ext2fs_read_inode_full(library.handle(), super.s_journal_inum,
                                             reinterpret_cast<ext2_inode*>(&inode), sizeof inode),
                      "reading the journal's inode");
        extents_ = read_extents(library, super.s_journal_inum, inode);
        read_superblock();
    }

    Replacements replay() {
        if (start_ == 0)
            return {};
        const std::uint32_t end = walk(Pass::scan, 0);
        walk(Pass::revoke, end);
        walk(Pass::replay, end);
        return std::move(replacements_);
    }

  private:
    enum class Pass { scan, revoke, replay };

    bool has(std::uint32_t feature) const { return (incompatible_ & feature) != 0; }
    bool has_checksums() const { return has(kIncompatChecksumV2 | kIncompatChecksumV3); }

    static std::uint32_t be32(const std::vector<std::byte>& block, std::size_t at) {
        return load_be<std::uint32_t>(block.data() + at);
    }

    std::uint64_t offset_of(std::uint32_t block) const {
        const auto extent =
            std::upper_bound(extents_.begin(), extents_.end(), block,
                             [](std::uint32_t wanted, const Ext4Extent& e) { return wanted < e.logical + e.count; });
        if (extent == extents_.end() || block < extent->logical)
            fail(ErrorKind::corrupt, "the journal of the ext4 file system has a hole");
        return (extent->physical + (block - extent->logical)) * block_size_;
    }

    std::vector<std::byte> read_block(std::uint32_t block) const {
        std::vector<std::byte> bytes(block_size_);
        library_.device().read_at(offset_of(block), bytes);
        return bytes;
    }

    std::uint32_t checksum(std::uint32_t seed, std::span<const std::byte> bytes) const {
        return ext2fs_crc32c_le(seed, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    }

    // Of a block whose own checksum stands at `at` and counts as zero.
    void check_block(std::vector<std::byte> block, std::size_t at, std::uint32_t seed, std::string_view what) const {
        if (!has_checksums())
            return;
        const std::uint32_t stored = be32(block, at);
        store_be<std::uint32_t>(block.data() + at, 0);
        if (checksum(seed, block) != stored)
            fail(ErrorKind::corrupt, fmt::format("the checksum of a {} in the ext4 journal is wrong: run e2fsck on "
                                                 "the file system first",
                                                 what));
    }

    void read_superblock() {
        std::vector<std::byte> block = read_block(0);
        const std::uint32_t type = be32(block, 4);
        if (be32(block, 0) != kJournalMagic || (type != kSuperblockV1 && type != kSuperblockV2))
            fail(ErrorKind::corrupt, "the journal of the ext4 file system has no superblock");
        if (be32(block, 12) != block_size_)
            fail(ErrorKind::corrupt, "the ext4 journal has another block size than its file system");
        last_ = be32(block, 16);
        first_ = be32(block, 20);
        sequence_ = be32(block, 24);
        start_ = be32(block, 28);
        const std::uint32_t compatible = type == kSuperblockV2 ? be32(block, 36) : 0;
        incompatible_ = type == kSuperblockV2 ? be32(block, 40) : 0;
        constexpr std::uint32_t kKnown =
            kIncompatRevoke | kIncompat64Bit | kIncompatAsyncCommit | kIncompatChecksumV2 | kIncompatChecksumV3;
        if (has(kIncompatFastCommit) || (compatible & kCompatChecksum) != 0 || has(~kKnown))
            fail(ErrorKind::unsupported, "the ext4 journal must be replayed and uses fast commits or another feature "
                                         "that only the kernel replays: mount it once in its machine and shut that "
                                         "down cleanly");
        if (last_ > kMaxJournalBlocks)
            fail(ErrorKind::limit, "the ext4 journal is larger than any real one");
        if (first_ == 0 || first_ >= last_ || (start_ != 0 && (start_ < first_ || start_ >= last_)))
            fail(ErrorKind::corrupt, "the ext4 journal names blocks outside itself");
        seed_ = checksum(~0u, std::span(block).subspan(48, 16));
        block.resize(kJournalSuperblockSize);
        check_block(std::move(block), kSuperblockChecksumAt, ~0u, "superblock");
    }

    void advance(std::uint32_t& block, std::uint32_t count) const {
        const std::uint64_t next = std::uint64_t{block} + count;
        block = static_cast<std::uint32_t>(next < last_ ? next : first_ + (next - last_) % (last_ - first_));
    }

    std::size_t tag_size() const {
        if (has(kIncompatChecksumV3))
            return 16;
        return (has(kIncompatChecksumV2) ? 10u : 8u) + (has(kIncompat64Bit) ? 4u : 0u);
    }

    struct Tag {
        std::uint64_t block;
        std::uint32_t flags;
        std::uint32_t checksum;
    };

    std::vector<Tag> read_tags(const std::vector<std::byte>& descriptor) const {
        std::vector<Tag> tags;
        const std::size_t end = block_size_ - (has_checksums() ? 4u : 0u);
        std::size_t at = kHeaderSize;
        while (at + tag_size() <= end) {
            Tag tag{};
            tag.block = be32(descriptor, at);
            if (has(kIncompatChecksumV3)) {
                tag.flags = be32(descriptor, at + 4);
                tag.checksum = be32(descriptor, at + 12);
            } else {
                tag.checksum = load_be<std::uint16_t>(descriptor.data() + at + 4);
                tag.flags = load_be<std::uint16_t>(descriptor.data() + at + 6);
            }
            if (has(kIncompat64Bit))
                tag.block |= std::uint64_t{be32(descriptor, at + 8)} << 32;
            tags.push_back(tag);
            at += tag_size() + ((tag.flags & kTagSameUuid) != 0 ? 0u : 16u);
            if ((tag.flags & kTagLast) != 0)
                break;
        }
        return tags;
    }

    void revoke(const std::vector<std::byte>& block, std::uint32_t sequence) {
        const std::size_t record = has(kIncompat64Bit) ? 8 : 4;
        const std::size_t end = be32(block, 12);
        if (end > block_size_ - (has_checksums() ? 4u : 0u))
            fail(ErrorKind::corrupt, "a revoke record of the ext4 journal is longer than its block");
        check_block(block, block_size_ - 4, seed_, "revoke record");
        for (std::size_t at = kHeaderSize + 4; at + record <= end; at += record) {
            const std::uint64_t target = record == 8 ? load_be<std::uint64_t>(block.data() + at) : be32(block, at);
            const auto [found, added] = revoked_.emplace(target, sequence);
            if (!added && static_cast<std::int32_t>(sequence - found->second) > 0)
                found->second = sequence;
        }
    }

    void replay_tags(const std::vector<Tag>& tags, std::uint32_t data_block, std::uint32_t sequence) {
        const std::uint64_t blocks = ext2fs_blocks_count(library_.handle()->super);
        for (const Tag& tag : tags) {
            const std::uint32_t source = data_block;
            advance(data_block, 1);
            const auto revoked = revoked_.find(tag.block);
            if (revoked != revoked_.end() && static_cast<std::int32_t>(sequence - revoked->second) <= 0)
                continue;
            if (tag.block >= blocks)
                fail(ErrorKind::corrupt, "the ext4 journal holds a block beyond the file system's end");
            if (has_checksums()) {
                std::array<std::byte, 4> number;
                store_be<std::uint32_t>(number.data(), sequence);
                const std::uint32_t actual = checksum(checksum(seed_, number), read_block(source));
                if ((has(kIncompatChecksumV3) ? actual : actual & 0xffff) != tag.checksum)
                    fail(ErrorKind::corrupt, "the checksum of a block in the ext4 journal is wrong: run e2fsck on the "
                                             "file system first");
            }
            replacements_[tag.block] = {offset_of(source), (tag.flags & kTagEscaped) != 0};
        }
    }

    // Returns the sequence number behind the last committed transaction. The later passes stop there.
    std::uint32_t walk(Pass pass, std::uint32_t end_sequence) {
        std::uint32_t sequence = sequence_;
        std::uint32_t block = start_;
        // The log is a ring: what goes on for longer than once around is none.
        for (std::uint32_t visited = 0; visited <= last_; ++visited) {
            if (pass != Pass::scan && sequence == end_sequence)
                return sequence;
            const std::vector<std::byte> bytes = read_block(block);
            if (be32(bytes, 0) != kJournalMagic || be32(bytes, 8) != sequence)
                return sequence;
            advance(block, 1);
            switch (be32(bytes, 4)) {
            case kDescriptor: {
                check_block(bytes, block_size_ - 4, seed_, "descriptor");
                const std::vector<Tag> tags = read_tags(bytes);
                if (pass == Pass::replay)
                    replay_tags(tags, block, sequence);
                advance(block, static_cast<std::uint32_t>(tags.size()));
                visited += static_cast<std::uint32_t>(tags.size());
                break;
            }
            case kCommit:
                check_block(bytes, kCommitChecksumAt, seed_, "commit record");
                ++sequence;
                break;
            case kRevoke:
                if (pass == Pass::revoke)
                    revoke(bytes, sequence);
                break;
            default:
                return sequence;
            }
        }
        fail(ErrorKind::corrupt, "the ext4 journal goes in circles");
    }

    const Ext4Library& library_;
    std::uint32_t block_size_;
    std::vector<Ext4Extent> extents_;
    std::uint32_t incompatible_ = 0;
    std::uint32_t first_ = 0;
    std::uint32_t last_ = 0;
    std::uint32_t start_ = 0;
    std::uint32_t sequence_ = 0;
    std::uint32_t seed_ = 0;
    std::unordered_map<std::uint64_t, std::uint32_t> revoked_; // block → the last transaction that revoked it
    Replacements replacements_;
};

} // namespace

bool needs_journal_replay(const Ext4Library& library) {
    return ext2fs_has_feature_journal_needs_recovery(library.handle()->super) != 0;
}

std::shared_ptr<const BlockDevice> replay_journal(const std::shared_ptr<const BlockDevice>& device,
                                                  const Ext4Library& library) {
    Replacements replacements = Log(library).replay();
    if (replacements.empty())
        return device;
    return std::make_shared<ReplayedDevice>(device, library.handle()->blocksize, std::move(replacements));
}

} // namespace vm2oci
