#include "formats/ext4/library.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <list>
#include <unordered_map>
#include <vector>

namespace vm2oci {
namespace {

constexpr std::uint64_t kChunkSize = 32 * KiB; // inodes and directories of one place are read together
constexpr std::size_t kMaxChunks = 256;        // 8 MiB: the inode tables of a usual system

// Recently read ranges, the least recently used ones dropped.
class ChunkCache {
  public:
    std::vector<std::byte>* find(std::uint64_t index) {
        const auto found = by_index_.find(index);
        if (found == by_index_.end())
            return nullptr;
        chunks_.splice(chunks_.begin(), chunks_, found->second);
        return &chunks_.front().bytes;
    }
    std::vector<std::byte>& insert(std::uint64_t index) {
        if (chunks_.size() >= kMaxChunks) {
            by_index_.erase(chunks_.back().index);
            chunks_.splice(chunks_.begin(), chunks_, std::prev(chunks_.end()));
        } else {
            chunks_.emplace_front();
        }
        chunks_.front().index = index;
        by_index_[index] = chunks_.begin();
        return chunks_.front().bytes;
    }
    void forget(std::uint64_t index) {
        const auto found = by_index_.find(index);
        if (found == by_index_.end())
            return;
        chunks_.erase(found->second);
        by_index_.erase(found);
    }

  private:
    struct Chunk {
        std::uint64_t index = 0;
        std::vector<std::byte> bytes;
    };
    std::list<Chunk> chunks_;
    std::unordered_map<std::uint64_t, std::list<Chunk>::iterator> by_index_;
};

// Features of which libext2fs says only that it does not know them.
constexpr Ext4FeatureName kUnreadable[] = {{0x1, "compression"}, {0x1000, "dirdata"}};

// What must hold before libext2fs allocates by these numbers.
void check_superblock(const BlockDevice& device) {
    constexpr std::uint64_t kSuperAt = 1024;
    std::array<std::byte, 1024> raw;
    if (device.size() < kSuperAt + raw.size())
        fail(ErrorKind::corrupt, "the ext4 file system ends before its superblock");
    device.read_at(kSuperAt, raw);
    if (load_le<std::uint16_t>(raw.data() + 56) != EXT2_SUPER_MAGIC)
        fail(ErrorKind::corrupt, "there is no ext2, ext3 or ext4 file system");
    const std::uint32_t incompatible = load_le<std::uint32_t>(raw.data() + 96);
    if ((incompatible & EXT3_FEATURE_INCOMPAT_JOURNAL_DEV) != 0 || incompatible == ~0u)
        fail(ErrorKind::unsupported, "this is an external ext4 journal or no legal ext4 at all");
    for (const Ext4FeatureName& feature : kUnreadable)
        if ((incompatible & feature.bit) != 0)
            fail(ErrorKind::unsupported, fmt::format("the ext4 feature '{}' cannot be read", feature.name));
    constexpr std::uint32_t kReadable = EXT2_LIB_FEATURE_INCOMPAT_SUPP | EXT4_FEATURE_INCOMPAT_MMP;
    if (const std::uint32_t unknown = incompatible & ~kReadable; unknown != 0)
        fail(ErrorKind::unsupported, fmt::format("the ext4 file system has incompatible features (bits 0x{:x}) that "
                                                 "are newer than this program",
                                                 unknown));
    const std::uint32_t log_block_size = load_le<std::uint32_t>(raw.data() + 24);
    if (log_block_size > 6)
        fail(ErrorKind::corrupt, "the ext4 block size is not legal");
    const std::uint64_t block_size = std::uint64_t{1024} << log_block_size;
    std::uint64_t blocks = load_le<std::uint32_t>(raw.data() + 4);
    if ((incompatible & EXT4_FEATURE_INCOMPAT_64BIT) != 0)
        blocks |= std::uint64_t{load_le<std::uint32_t>(raw.data() + 0x150)} << 32;
    if (blocks == 0 || checked_multiply(blocks, block_size, "the ext4 size") > device.size())
        fail(ErrorKind::corrupt, "the ext4 file system is larger than the space it lies in");
    const std::uint64_t group_blocks = load_le<std::uint32_t>(raw.data() + 32);
    const std::uint64_t descriptor_size =
        std::max<std::uint64_t>(load_le<std::uint16_t>(raw.data() + 254), EXT2_MIN_DESC_SIZE);
    if (group_blocks == 0 || divide_up(blocks, group_blocks) * descriptor_size > kMaxGroupDescriptorBytes)
        fail(ErrorKind::limit, "the ext4 file system has more block groups than any real one of its size");
    const std::uint32_t inodes = load_le<std::uint32_t>(raw.data());
    const std::uint32_t revision = load_le<std::uint32_t>(raw.data() + 76);
    const std::uint32_t first_inode = load_le<std::uint32_t>(raw.data() + 84);
    if (revision != 0 && (first_inode < EXT2_GOOD_OLD_FIRST_INO || first_inode > inodes))
        fail(ErrorKind::corrupt, "the ext4 superblock names an impossible first inode");
}

void know_messages() {
    static const bool messages_known = (initialize_ext2_error_table(), true);
    static_cast<void>(messages_known);
}

constexpr const char* kMaking = "making an ext4 file system";

// What a file system is made from.
ext2_super_block superblock_for(const Ext4Geometry& geometry, std::uint64_t blocks) {
    ext2_super_block super{};
    super.s_rev_level = EXT2_DYNAMIC_REV;
    super.s_log_block_size = 2;
    super.s_log_cluster_size = 2;
    super.s_inode_size = 256;
    super.s_min_extra_isize = super.s_want_extra_isize = sizeof(ext2_inode_large) - EXT2_GOOD_OLD_INODE_SIZE;
    super.s_log_groups_per_flex = 4;
    super.s_inodes_count = checked_cast<std::uint32_t>(geometry.inodes, "the number of inodes");
    ext2fs_blocks_count_set(&super, blocks);
    ext2fs_r_blocks_count_set(&super, blocks * geometry.reserved_percent / 100);
    ext2fs_set_feature_xattr(&super);
    ext2fs_set_feature_resize_inode(&super);
    ext2fs_set_feature_dir_index(&super);
    ext2fs_set_feature_filetype(&super);
    ext2fs_set_feature_extents(&super);
    ext2fs_set_feature_64bit(&super);
    ext2fs_set_feature_flex_bg(&super);
    ext2fs_set_feature_sparse_super(&super);
    ext2fs_set_feature_large_file(&super);
    ext2fs_set_feature_huge_file(&super);
    ext2fs_set_feature_dir_nlink(&super);
    ext2fs_set_feature_extra_isize(&super);
    ext2fs_set_feature_metadata_csum(&super);
    return super;
}

// What the library leaves to whoever makes one.
void settle_superblock(const Ext4Geometry& geometry, ext2_super_block& made) {
    made.s_mkfs_time = made.s_lastcheck = made.s_wtime = static_cast<std::uint32_t>(geometry.time);
    made.s_checkinterval = 0;
    made.s_max_mnt_count = -1;
    made.s_errors = EXT2_ERRORS_CONTINUE;
    made.s_checksum_type = EXT2_CRC32C_CHKSUM;
    made.s_def_hash_version = EXT2_HASH_HALF_MD4;
    made.s_flags |= EXT2_FLAGS_SIGNED_HASH;
    made.s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
    std::memcpy(made.s_uuid, geometry.uuid.data(), geometry.uuid.size());
    std::memcpy(made.s_hash_seed, geometry.hash_seed.data(), geometry.hash_seed.size());
    std::memcpy(made.s_volume_name, geometry.label.data(),
                std::min<std::size_t>(geometry.label.size(), sizeof made.s_volume_name));
}

} // namespace

struct Ext4Library::Channel {
    io_channel channel = nullptr; // owned by libext2fs
    const BlockDevice* device = nullptr;
    BlockChanges* changes = nullptr;
    ChunkCache cache;
    std::exception_ptr thrown;
    std::uint64_t reads_left = 0;
    bool reads_limited = false;

    void read(std::uint64_t offset, std::span<std::byte> buffer) {
        check_range(*device, offset, buffer.size());
        while (!buffer.empty()) {
            const std::uint64_t index = offset / kChunkSize;
            const std::uint64_t within = offset % kChunkSize;
            const std::size_t step = std::min<std::size_t>(buffer.size(), kChunkSize - within);
            const std::vector<std::byte>* chunk = cache.find(index);
            if (chunk == nullptr) {
                std::vector<std::byte> fresh(std::min<std::uint64_t>(kChunkSize, device->size() - index * kChunkSize));
                device->read_at(index * kChunkSize, fresh);
                std::vector<std::byte>& kept = cache.insert(index);
                kept = std::move(fresh);
                chunk = &kept;
            }
            std::memcpy(buffer.data(), chunk->data() + within, step);
            buffer = buffer.subspan(step);
            offset += step;
        }
    }

    void forget(std::uint64_t offset, std::uint64_t length) {
        if (length == 0)
            return;
        for (std::uint64_t index = offset / kChunkSize; index <= (offset + length - 1) / kChunkSize; ++index)
            cache.forget(index);
    }

    // What is in memory of a range that was written.
    void refresh(std::uint64_t offset, std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const std::uint64_t within = offset % kChunkSize;
            const std::size_t step = std::min<std::size_t>(bytes.size(), kChunkSize - within);
            if (std::vector<std::byte>* chunk = cache.find(offset / kChunkSize))
                std::memcpy(chunk->data() + within, bytes.data(), step);
            bytes = bytes.subspan(step);
            offset += step;
        }
    }

    // Runs what may throw on behalf of libext2fs.
    template <class Body>
    errcode_t guard(errcode_t code, Body&& body) noexcept {
        try {
            body();
            return 0;
        } catch (...) {
            if (!thrown)
                thrown = std::current_exception();
            return code;
        }
    }
};

struct ChannelFunctions {
    // Handed over to open(), to which libext2fs passes nothing but a name.
    static thread_local Ext4Library::Channel* opening;

    static Ext4Library::Channel& self(io_channel channel) {
        return *static_cast<Ext4Library::Channel*>(channel->private_data);
    }

    static errcode_t open(const char* name, int, io_channel* result) {
        void* memory = nullptr;
        if (const errcode_t code = ext2fs_get_memzero(sizeof(struct_io_channel), &memory); code != 0)
            return code;
        auto* channel = static_cast<io_channel>(memory);
        if (const errcode_t code = ext2fs_get_mem(std::strlen(name) + 1, &memory); code != 0) {
            ext2fs_free_mem(&channel);
            return code;
        }
        channel->name = static_cast<char*>(memory);
        std::strcpy(channel->name, name);
        channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
        channel->manager = manager();
        channel->block_size = 1024;
        channel->refcount = 1;
        channel->private_data = opening;
        opening->channel = channel;
        *result = channel;
        return 0;
    }

    static errcode_t close(io_channel channel) {
        if (--channel->refcount > 0)
            return 0;
        self(channel).channel = nullptr;
        ext2fs_free_mem(&channel->name);
        ext2fs_free_mem(&channel);
        return 0;
    }

    static errcode_t set_block_size(io_channel channel, int block_size) {
        channel->block_size = block_size;
        return 0;
    }

    // libext2fs counts in blocks, or in bytes when `count` is negative.
    static std::size_t length_of(io_channel channel, int count) {
        return count < 0 ? static_cast<std::size_t>(-static_cast<std::int64_t>(count))
                         : static_cast<std::size_t>(count) * static_cast<std::size_t>(channel->block_size);
    }
    static std::uint64_t offset_of(io_channel channel, unsigned long long block) {
        return checked_multiply<std::uint64_t>(block, static_cast<std::uint64_t>(channel->block_size),
                                               "an ext4 block number");
    }

    static errcode_t read64(io_channel channel, unsigned long long block, int count, void* data) {
        Ext4Library::Channel& state = self(channel);
        return state.guard(EXT2_ET_SHORT_READ, [&] {
            if (state.reads_limited && state.reads_left-- == 0)
                fail(ErrorKind::corrupt, "a structure of the ext4 file system goes in circles");
            state.read(offset_of(channel, block), std::span(static_cast<std::byte*>(data), length_of(channel, count)));
        });
    }
    static errcode_t read(io_channel channel, unsigned long block, int count, void* data) {
        return read64(channel, block, count, data);
    }

    static errcode_t write_bytes(io_channel channel, std::uint64_t offset, std::span<const std::byte> bytes) {
        Ext4Library::Channel& state = self(channel);
        if (state.changes == nullptr)
            return EXT2_ET_RO_FILSYS;
        return state.guard(EXT2_ET_SHORT_WRITE, [&] {
            check_range(*state.device, offset, bytes.size());
            state.changes->write_at(offset, bytes);
            state.refresh(offset, bytes);
        });
    }
    static errcode_t write64(io_channel channel, unsigned long long block, int count, const void* data) {
        return write_bytes(channel, std::uint64_t{block} * static_cast<std::uint64_t>(channel->block_size),
                           std::span(static_cast<const std::byte*>(data), length_of(channel, count)));
    }
    static errcode_t write(io_channel channel, unsigned long block, int count, const void* data) {
        return write64(channel, block, count, data);
    }
    static errcode_t write_byte(io_channel channel, unsigned long offset, int count, const void* data) {
        return write_bytes(channel, offset,
                           std::span(static_cast<const std::byte*>(data), static_cast<std::size_t>(count)));
    }
    static errcode_t discard(io_channel channel, unsigned long long block, unsigned long long count) {
        return clear(channel, block, count, &BlockChanges::discard);
    }
    static errcode_t zero(io_channel channel, unsigned long long block, unsigned long long count) {
        return clear(channel, block, count, &BlockChanges::write_zeros);
    }
    static errcode_t clear(io_channel channel, unsigned long long block, unsigned long long count,
                           void (BlockChanges::*how)(std::uint64_t, std::uint64_t)) {
        Ext4Library::Channel& state = self(channel);
        if (state.changes == nullptr)
            return EXT2_ET_RO_FILSYS;
        return state.guard(EXT2_ET_SHORT_WRITE, [&] {
            const std::uint64_t offset = offset_of(channel, block);
            const std::uint64_t length = offset_of(channel, count);
            check_range(*state.device, offset, length);
            state.forget(offset, length);
            (state.changes->*how)(offset, length);
        });
    }
    static errcode_t flush(io_channel) { return 0; }
    static errcode_t set_option(io_channel, const char*, const char*) { return EXT2_ET_INVALID_ARGUMENT; }

    static io_manager manager() {
        static struct_io_manager instance = [] {
            struct_io_manager made{};
            made.magic = EXT2_ET_MAGIC_IO_MANAGER;
            made.name = "vm2oci block device";
            made.open = open;
            made.close = close;
            made.set_blksize = set_block_size;
            made.read_blk = read;
            made.read_blk64 = read64;
            made.write_blk = write;
            made.write_blk64 = write64;
            made.write_byte = write_byte;
            made.flush = flush;
            made.set_option = set_option;
            made.discard = discard;
            made.zeroout = zero;
            return made;
        }();
        return &instance;
    }
};

thread_local Ext4Library::Channel* ChannelFunctions::opening = nullptr;

Ext4Library::Ext4Library(std::shared_ptr<const BlockDevice> device, BlockChanges* changes)
    : device_(std::move(device)), channel_(std::make_unique<Channel>()) {
    check_superblock(*device_);
    channel_->device = device_.get();
    channel_->changes = changes;
    ChannelFunctions::opening = channel_.get();
    know_messages();
    // Multiple-mount protection would open the device by its name.
    const int flags = EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP | (changes != nullptr ? EXT2_FLAG_RW : 0);
    const errcode_t code = ext2fs_open2("vm2oci", nullptr, flags, 0, 0, ChannelFunctions::manager(), &handle_);
    ChannelFunctions::opening = nullptr;
    if (code == EXT2_ET_UNSUPP_FEATURE || code == EXT2_ET_RO_UNSUPP_FEATURE || code == EXT2_ET_REV_TOO_HIGH)
        fail(ErrorKind::unsupported, fmt::format("the ext4 file system cannot be read: {}", error_message(code)));
    check(code, "opening the ext4 file system");
}

Ext4Library::Ext4Library(std::shared_ptr<const BlockDevice> device, BlockChanges& changes, const Ext4Geometry& geometry)
    : device_(std::move(device)), channel_(std::make_unique<Channel>()) {
    channel_->device = device_.get();
    channel_->changes = &changes;
    know_messages();
    try {
        initialize(geometry);
    } catch (...) { // without a whole object there is no destructor
        if (handle_ != nullptr)
            ext2fs_free(handle_);
        throw;
    }
}

void Ext4Library::make_reserved_inodes() {
    check(ext2fs_mkdir(handle_, EXT2_ROOT_INO, EXT2_ROOT_INO, nullptr), kMaking);
    for (ext2_ino_t reserved = EXT2_ROOT_INO + 1; reserved < EXT2_FIRST_INODE(handle_->super); ++reserved)
        ext2fs_inode_alloc_stats2(handle_, reserved, +1, 0);
    ext2fs_inode_alloc_stats2(handle_, EXT2_BAD_INO, +1, 0);
    check(ext2fs_update_bb_inode(handle_, nullptr), kMaking);
    check(ext2fs_mkdir(handle_, EXT2_ROOT_INO, 0, "lost+found"), kMaking);
    ext2_ino_t lost_and_found = 0;
    check(ext2fs_lookup(handle_, EXT2_ROOT_INO, "lost+found", 10, nullptr, &lost_and_found), kMaking);
    constexpr unsigned kLostAndFoundBlocks = 4; // e2fsck finds room there when there is none elsewhere
    for (unsigned i = 1; i < kLostAndFoundBlocks; ++i)
        check(ext2fs_expand_dir(handle_, lost_and_found), kMaking);
    ext2_inode inode{};
    check(ext2fs_read_inode(handle_, lost_and_found, &inode), kMaking);
    inode.i_mode = LINUX_S_IFDIR | 0700;
    check(ext2fs_write_inode(handle_, lost_and_found, &inode), kMaking);
}

void Ext4Library::initialize(const Ext4Geometry& geometry) {
    constexpr std::uint64_t kBlockSize = 4 * KiB;
    constexpr std::uint64_t kSmallest = 8 * MiB;           // below it there is no room for a journal
    constexpr std::uint64_t kGroupBlocks = 8 * kBlockSize; // as many as one block of bits counts
    const std::uint64_t blocks = device_->size() / kBlockSize;
    if (device_->size() < kSmallest ||
        divide_up(blocks, kGroupBlocks) * EXT2_MIN_DESC_SIZE_64BIT > kMaxGroupDescriptorBytes)
        fail(ErrorKind::limit, fmt::format("no ext4 file system is made with {}", format_size(device_->size())));

    ext2_super_block super = superblock_for(geometry, blocks);
    ChannelFunctions::opening = channel_.get();
    const errcode_t code =
        ext2fs_initialize("vm2oci", EXT2_FLAG_64BITS | EXT2_FLAG_RW, &super, ChannelFunctions::manager(), &handle_);
    ChannelFunctions::opening = nullptr;
    check(code, kMaking);

    ext2_super_block& made = *handle_->super;
    handle_->now = static_cast<decltype(handle_->now)>(geometry.time);
    settle_superblock(geometry, made);
    ext2fs_init_csum_seed(handle_);

    check(ext2fs_allocate_tables(handle_), kMaking);
    for (dgrp_t group = 0; group < handle_->group_desc_count; ++group) {
        // The device reads as zeros where nothing was written.
        ext2fs_bg_flags_set(handle_, group, EXT2_BG_INODE_ZEROED);
        ext2fs_group_desc_csum_set(handle_, group);
    }
    make_reserved_inodes();
    check(ext2fs_create_resize_inode(handle_), kMaking);
    check(ext2fs_add_journal_inode2(handle_, static_cast<blk_t>(ext2fs_default_journal_size(blocks)), ~0ULL, 0),
          kMaking);
}

Ext4Library::~Ext4Library() {
    if (handle_ != nullptr)
        ext2fs_free(handle_);
}

void Ext4Library::check(errcode_t code, std::string_view what) const {
    if (channel_->thrown)
        std::rethrow_exception(std::exchange(channel_->thrown, nullptr));
    if (code == EXT2_ET_NO_MEMORY)
        throw std::bad_alloc();
    if (code != 0)
        fail(ErrorKind::corrupt, fmt::format("{}: {}", what, error_message(code)));
}

void Ext4Library::limit_reads(std::uint64_t count) const {
    channel_->reads_limited = count != 0;
    channel_->reads_left = count;
}

void Ext4Library::close() {
    ext2_filsys closing = std::exchange(handle_, nullptr);
    check(ext2fs_close_free(&closing), "writing the ext4 file system");
}

} // namespace vm2oci
