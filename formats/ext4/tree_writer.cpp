#include "formats/ext4/tree_writer.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/ext4/attribute_handle.hpp"
#include "formats/ext4/inodes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace vm2oci {
namespace {

constexpr std::uint64_t kBlockSize = 4 * KiB;
constexpr std::uint64_t kMaxRunBlocks = 32768; // of one extent (Documentation/filesystems/ext4/ifork.rst)
constexpr std::size_t kFastLinkLimit = 60;     // shorter targets live in the inode
constexpr std::uint32_t kMaxLinks =
    65000; // a folder with more sub-folders says 1 (feature dir_nlink); no file has more
constexpr std::string_view kLostAndFound = "lost+found";

struct TypeBits {
    unsigned mode;
    int entry;
};

TypeBits type_bits(FileType type) {
    switch (type) {
    case FileType::regular:
        return {LINUX_S_IFREG, EXT2_FT_REG_FILE};
    case FileType::directory:
        return {LINUX_S_IFDIR, EXT2_FT_DIR};
    case FileType::symlink:
        return {LINUX_S_IFLNK, EXT2_FT_SYMLINK};
    case FileType::character_device:
        return {LINUX_S_IFCHR, EXT2_FT_CHRDEV};
    case FileType::block_device:
        return {LINUX_S_IFBLK, EXT2_FT_BLKDEV};
    case FileType::fifo:
        return {LINUX_S_IFIFO, EXT2_FT_FIFO};
    case FileType::socket:
        return {LINUX_S_IFSOCK, EXT2_FT_SOCK};
    }
    fail(ErrorKind::unsupported, "no such type of file");
}

// Seconds in 34 bits, from 1901 to 2446; the extra field holds the upper two and the nanoseconds.
struct StoredTime {
    std::uint32_t seconds;
    std::uint32_t extra;
};
StoredTime stored_time(const Timestamp& time) {
    constexpr std::int64_t kEarliest = -(std::int64_t{1} << 31);
    constexpr std::int64_t kLatest = (std::int64_t{1} << 34) + kEarliest - 1;
    const std::int64_t seconds = std::clamp(time.seconds, kEarliest, kLatest);
    const auto low = static_cast<std::uint32_t>(seconds);
    const auto epoch = static_cast<std::uint32_t>((seconds - static_cast<std::int32_t>(low)) >> 32) & 3;
    return {low, time.nanoseconds << 2 | epoch};
}

void set_device_numbers(ext2_inode& inode, const FileStatus& status) {
    const std::uint32_t major = status.device_major;
    const std::uint32_t minor = status.device_minor;
    if (major < 256 && minor < 256)
        inode.i_block[0] = major << 8 | minor;
    else
        inode.i_block[1] = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

bool is_stored_attribute(std::string_view name) {
    return name.starts_with("user.") || name.starts_with("trusted.") || name.starts_with("security.") ||
           name == "system.posix_acl_access" || name == "system.posix_acl_default";
}

// The blocks of a folder without an index; each ends with its checksum.
class FolderBlocks {
  public:
    explicit FolderBlocks(ext2_filsys handle) : handle_(handle) { begin(); }

    void add(std::string_view name, ext2_ino_t inode, int type) {
        const std::size_t length = align_up(kEntryHeader + name.size(), 4);
        if (at_ + length > kRoom) {
            end();
            begin();
        }
        auto* entry = reinterpret_cast<ext2_dir_entry_2*>(blocks_.back().data() + at_);
        entry->inode = inode;
        entry->rec_len = static_cast<std::uint16_t>(length);
        entry->name_len = static_cast<std::uint8_t>(name.size());
        entry->file_type = static_cast<std::uint8_t>(type);
        std::memcpy(entry->name, name.data(), name.size());
        last_ = at_;
        at_ += length;
    }

    std::vector<std::vector<std::byte>> finish() {
        end();
        return std::move(blocks_);
    }

  private:
    static constexpr std::size_t kEntryHeader = 8;
    static constexpr std::size_t kRoom = kBlockSize - sizeof(ext2_dir_entry_tail);

    void begin() {
        blocks_.emplace_back(kBlockSize);
        at_ = last_ = 0;
    }
    // The last entry reaches to the checksum.
    void end() {
        auto* last = reinterpret_cast<ext2_dir_entry_2*>(blocks_.back().data() + last_);
        last->rec_len = static_cast<std::uint16_t>(kRoom - last_);
        ext2fs_initialize_dirent_tail(handle_, reinterpret_cast<ext2_dir_entry_tail*>(blocks_.back().data() + kRoom));
    }

    ext2_filsys handle_;
    std::vector<std::vector<std::byte>> blocks_;
    std::size_t at_ = 0;
    std::size_t last_ = 0;
};

} // namespace

class Ext4TreeWriter::Changes final : public BlockChanges {
  public:
    explicit Changes(OverlayDevice& disk) : disk_(disk) {}
    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
        if (!is_zero(bytes) || disk_.extent_at(offset).kind == ExtentKind::data)
            disk_.write_at(offset, bytes);
    }
    void discard(std::uint64_t offset, std::uint64_t length) override { disk_.discard(offset, length); }
    void write_zeros(std::uint64_t offset, std::uint64_t length) override { disk_.write_zeros(offset, length); }

  private:
    OverlayDevice& disk_;
};

// Blocks that are not all zeros go to the disk in runs of at most a mebibyte.
class Ext4TreeWriter::ContentSink final : public ByteSink {
  public:
    explicit ContentSink(Ext4TreeWriter& writer) : writer_(writer) {}

    void write(std::span<const std::byte> bytes) override {
        total_ += bytes.size();
        while (!bytes.empty()) {
            const std::size_t step = std::min<std::size_t>(bytes.size(), kBlockSize - partial_.size());
            if (partial_.empty() && step == kBlockSize) {
                take_block(bytes.first(step));
            } else {
                partial_.insert(partial_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(step));
                if (partial_.size() == kBlockSize)
                    take_partial();
            }
            bytes = bytes.subspan(step);
        }
    }

    // The same as writing so many zeros.
    void skip(std::uint64_t count) {
        constexpr std::array<std::byte, kBlockSize> zeros{};
        while (count != 0 && (!partial_.empty() || count < kBlockSize)) {
            const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(count, kBlockSize - partial_.size()));
            write(std::span(zeros).first(step));
            count -= step;
        }
        const std::uint64_t blocks = count / kBlockSize;
        if (blocks == 0)
            return;
        flush();
        next_ += blocks;
        total_ += blocks * kBlockSize;
        skip(count % kBlockSize);
    }

    // The runs of the whole content.
    std::vector<Run> finish() {
        if (!partial_.empty()) {
            partial_.resize(kBlockSize);
            take_partial();
        }
        flush();
        return std::move(runs_);
    }
    std::uint64_t total() const { return total_; }

  private:
    static constexpr std::size_t kGathered = 1 * MiB;

    void take_partial() {
        take_block(partial_);
        partial_.clear();
    }
    void take_block(std::span<const std::byte> block) {
        if (is_zero(block)) {
            flush();
        } else {
            gathered_.insert(gathered_.end(), block.begin(), block.end());
            if (gathered_.size() >= kGathered) {
                ++next_;
                return flush_before(next_);
            }
        }
        ++next_;
    }
    void flush() { flush_before(next_); }
    // What was gathered ends before the block `end` of the file.
    void flush_before(std::uint64_t end) {
        const std::uint64_t count = gathered_.size() / kBlockSize;
        if (count == 0)
            return;
        const std::size_t known = runs_.size();
        writer_.allocate_blocks(end - count, count, runs_);
        std::span<const std::byte> rest(gathered_);
        for (std::size_t i = known; i < runs_.size(); ++i) {
            const std::size_t length = static_cast<std::size_t>(runs_[i].count * kBlockSize);
            writer_.disk_->write_at(runs_[i].physical * kBlockSize, rest.first(length));
            rest = rest.subspan(length);
        }
        gathered_.clear();
    }

    Ext4TreeWriter& writer_;
    std::vector<std::byte> partial_;
    std::vector<std::byte> gathered_;
    std::uint64_t next_ = 0; // block of the file
    std::uint64_t total_ = 0;
    std::vector<Run> runs_;
};

Ext4TreeWriter::Ext4TreeWriter(std::shared_ptr<OverlayDevice> disk, const Ext4Geometry& geometry)
    : disk_(std::move(disk)), time_(geometry.time), changes_(std::make_unique<Changes>(*disk_)),
      library_(std::make_unique<Ext4Library>(disk_, *changes_, geometry)) {}

Ext4TreeWriter::~Ext4TreeWriter() = default;

void Ext4TreeWriter::check(errcode_t code, const char* what) const {
    if (code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL || code == ENOSPC)
        fail(ErrorKind::limit,
             fmt::format("the files do not fit into a file system of {} with {} inodes", format_size(disk_->size()),
                         handle()->super->s_inodes_count),
             HintKind::size);
    library_->check(code, what);
}

ext2_ino_t Ext4TreeWriter::allocate_inode(bool is_folder) const {
    ext2_ino_t number = 0;
    check(ext2fs_new_inode(handle(), 0, 0, nullptr, &number), "making an inode");
    ext2fs_inode_alloc_stats2(handle(), number, +1, is_folder ? 1 : 0);
    return number;
}

void Ext4TreeWriter::allocate_blocks(std::uint64_t logical, std::uint64_t count, std::vector<Run>& runs) {
    while (count != 0) {
        blk64_t physical = 0;
        blk64_t got = 0;
        check(ext2fs_new_range(handle(), 0, next_block_, std::min(count, kMaxRunBlocks), nullptr, &physical, &got),
              "finding free blocks");
        got = std::min<blk64_t>(got, std::min(count, kMaxRunBlocks));
        if (got == 0)
            check(EXT2_ET_BLOCK_ALLOC_FAIL, "finding free blocks");
        ext2fs_block_alloc_stats_range(handle(), physical, static_cast<blk_t>(got), +1);
        next_block_ = physical + got;
        runs.push_back({logical, physical, got});
        logical += got;
        count -= got;
    }
}

Ext4TreeWriter::Folder& Ext4TreeWriter::open_folder(const std::string& path) {
    while (open_.size() > 1 && open_.back().entry.path != path)
        close_folder();
    if (open_.empty() || open_.back().entry.path != path)
        fail(ErrorKind::corrupt, "a file comes before the folder " + quote_untrusted(path) + " that holds it");
    return open_.back();
}

void Ext4TreeWriter::copy_content(const FileContent& content, std::uint64_t size, ContentSink& sink) {
    const std::optional<std::vector<DataRange>> ranges = content.data_ranges();
    if (!ranges)
        return content.copy_to(sink);
    std::uint64_t at = 0;
    for (const DataRange& range : *ranges) {
        sink.skip(range.offset - at);
        content.copy_range_to(range, sink);
        at = range.offset + range.length;
    }
    sink.skip(size - at);
}

void Ext4TreeWriter::add(const Entry& entry, const FileContent* content) {
    if (entry.path.empty()) {
        open_.push_back({entry, EXT2_ROOT_INO, EXT2_ROOT_INO, 0, {}});
        return;
    }
    if (entry.path == kLostAndFound || entry.path.starts_with("lost+found/"))
        return;
    const std::size_t slash = entry.path.rfind('/');
    Folder& folder = open_folder(slash == std::string::npos ? "" : entry.path.substr(0, slash));
    const std::string name = entry.path.substr(slash == std::string::npos ? 0 : slash + 1);
    ++report_.entries;

    if (entry.hard_link_to) {
        const auto found = linked_.find(*entry.hard_link_to);
        if (found == linked_.end())
            fail(ErrorKind::corrupt, quote_untrusted(entry.path) + " is a hard link to something that did not come");
        ext2_inode inode{};
        check(ext2fs_read_inode(handle(), found->second.inode, &inode), "reading an inode");
        if (inode.i_links_count >= kMaxLinks)
            fail(ErrorKind::limit, quote_untrusted(*entry.hard_link_to) + " has more names than ext4 can count");
        ++inode.i_links_count;
        check(ext2fs_write_inode(handle(), found->second.inode, &inode), "writing an inode");
        folder.children.push_back({name, found->second.inode, found->second.type});
        return;
    }
    const int type = type_bits(entry.status.type).entry;
    const ext2_ino_t number = allocate_inode(entry.status.type == FileType::directory);
    folder.children.push_back({name, number, type});
    if (entry.status.type == FileType::directory) {
        ++folder.subfolders;
        const ext2_ino_t parent = folder.inode; // push_back moves the folder
        open_.push_back({entry, number, parent, 0, {}});
        return;
    }
    if (entry.status.link_count > 1)
        linked_.emplace(entry.path, Linked{number, type});
    ContentSink sink(*this);
    if (content != nullptr)
        copy_content(*content, entry.status.size, sink);
    else if (entry.status.type == FileType::symlink && entry.link_target.size() >= kFastLinkLimit)
        sink.write(as_bytes(entry.link_target));
    const std::vector<Run> runs = sink.finish();
    if (content != nullptr && sink.total() != entry.status.size)
        fail(ErrorKind::io, "the content of " + quote_untrusted(entry.path) + " is not as long as its entry says");
    const std::uint64_t size = entry.status.type == FileType::symlink ? entry.link_target.size() : sink.total();
    write_inode(entry, number, 1, size, runs);
}

void Ext4TreeWriter::write_inode(const Entry& entry, ext2_ino_t number, std::uint32_t links, std::uint64_t size,
                                 const std::vector<Run>& runs) {
    RawInode raw(EXT2_INODE_SIZE(handle()->super));
    ext2_inode& inode = raw.basic();
    const FileStatus& status = entry.status;
    inode.i_mode = static_cast<std::uint16_t>(type_bits(status.type).mode | (status.permissions & 07777));
    inode.i_uid = static_cast<std::uint16_t>(status.uid);
    inode.osd2.linux2.l_i_uid_high = static_cast<std::uint16_t>(status.uid >> 16);
    inode.i_gid = static_cast<std::uint16_t>(status.gid);
    inode.osd2.linux2.l_i_gid_high = static_cast<std::uint16_t>(status.gid >> 16);
    inode.i_links_count = static_cast<std::uint16_t>(links > kMaxLinks ? 1 : links);
    const StoredTime modified = stored_time(status.modified);
    const StoredTime made = stored_time({time_, 0});
    inode.i_atime = inode.i_mtime = inode.i_ctime = modified.seconds;
    ext2_inode_large& large = raw.large();
    large.i_extra_isize = sizeof(ext2_inode_large) - EXT2_GOOD_OLD_INODE_SIZE;
    large.i_atime_extra = large.i_mtime_extra = large.i_ctime_extra = modified.extra;
    large.i_crtime = made.seconds;
    large.i_crtime_extra = made.extra;
    check(ext2fs_inode_size_set(handle(), &inode, static_cast<ext2_off64_t>(size)), "writing an inode");

    const bool fast_link = status.type == FileType::symlink && size < kFastLinkLimit;
    if (fast_link) {
        std::memcpy(inode.i_block, entry.link_target.data(), entry.link_target.size());
    } else if (status.type == FileType::character_device || status.type == FileType::block_device) {
        set_device_numbers(inode, status);
    } else if (status.type == FileType::regular || status.type == FileType::directory ||
               status.type == FileType::symlink) {
        inode.i_flags |= EXT4_EXTENTS_FL;
        std::uint64_t blocks = 0;
        for (const Run& run : runs)
            blocks += run.count;
        check(ext2fs_iblk_set(handle(), &inode, blocks), "writing an inode");
        struct Extents {
            ext2_extent_handle_t handle = nullptr;
            ~Extents() { ext2fs_extent_free(handle); }
        } extents;
        check(ext2fs_extent_open2(handle(), number, &inode, &extents.handle), "writing the extents of a file");
        for (std::size_t i = 0; i < runs.size();) {
            ext2fs_extent extent{};
            extent.e_lblk = runs[i].logical;
            extent.e_pblk = runs[i].physical;
            std::uint64_t length = runs[i].count;
            for (++i; i < runs.size() && runs[i].logical == extent.e_lblk + length &&
                      runs[i].physical == extent.e_pblk + length && length + runs[i].count <= kMaxRunBlocks;
                 ++i)
                length += runs[i].count;
            extent.e_len = static_cast<std::uint32_t>(length);
            check(ext2fs_extent_insert(extents.handle, EXT2_EXTENT_INSERT_AFTER, &extent),
                  "writing the extents of a file");
            check(ext2fs_extent_fix_parents(extents.handle), "writing the extents of a file");
        }
    }
    check(ext2fs_write_inode_full(handle(), number, &inode, raw.size()), "writing an inode");
    write_attributes(entry, number);
}

void Ext4TreeWriter::write_attributes(const Entry& entry, ext2_ino_t number) {
    if (entry.attributes.empty())
        return;
    AttributeHandle attributes;
    check(ext2fs_xattrs_open(handle(), number, &attributes.handle), "writing extended attributes");
    check(ext2fs_xattrs_read(attributes.handle), "writing extended attributes");
    for (const ExtendedAttribute& attribute : entry.attributes) {
        if (!is_stored_attribute(attribute.name)) {
            ++report_.attributes_left_out;
            continue;
        }
        const errcode_t code =
            ext2fs_xattr_set(attributes.handle, attribute.name.c_str(), attribute.value.data(), attribute.value.size());
        if (code == EXT2_ET_EA_NO_SPACE)
            fail(ErrorKind::limit,
                 "the extended attributes of " + quote_untrusted(entry.path) + " are larger than ext4 can hold");
        check(code, "writing extended attributes");
    }
}

void Ext4TreeWriter::close_folder() {
    Folder folder = std::move(open_.back());
    open_.pop_back();
    const bool is_root = folder.inode == EXT2_ROOT_INO;
    FolderBlocks content(handle());
    content.add(".", folder.inode, EXT2_FT_DIR);
    content.add("..", folder.parent, EXT2_FT_DIR);
    if (is_root) {
        ext2_inode old{};
        check(ext2fs_read_inode(handle(), EXT2_ROOT_INO, &old), "reading an inode");
        ext2_ino_t lost_and_found = 0;
        check(ext2fs_lookup(handle(), EXT2_ROOT_INO, kLostAndFound.data(), static_cast<int>(kLostAndFound.size()),
                            nullptr, &lost_and_found),
              "looking up a name");
        content.add(kLostAndFound, lost_and_found, EXT2_FT_DIR);
        ++folder.subfolders;
        check(ext2fs_punch(handle(), EXT2_ROOT_INO, &old, nullptr, 0, ~0ULL), "writing the root folder");
    }
    for (const Child& child : folder.children)
        content.add(child.name, child.inode, child.type);
    const std::vector<std::vector<std::byte>> blocks = content.finish();
    std::vector<Run> runs;
    allocate_blocks(0, blocks.size(), runs);
    write_inode(folder.entry, folder.inode, folder.subfolders + 2, blocks.size() * kBlockSize, runs);
    write_folder_blocks(folder, blocks, runs);
}

void Ext4TreeWriter::write_folder_blocks(const Folder& folder, const std::vector<std::vector<std::byte>>& blocks,
                                         const std::vector<Run>& runs) const {
    for (const Run& run : runs)
        for (std::uint64_t i = 0; i < run.count; ++i) {
            std::vector<std::byte> block = blocks[static_cast<std::size_t>(run.logical + i)];
            check(ext2fs_write_dir_block4(handle(), run.physical + i, block.data(), 0, folder.inode),
                  "writing a folder");
        }
}

Ext4TreeReport Ext4TreeWriter::finish() {
    if (open_.empty())
        fail(ErrorKind::corrupt, "a tree without a root folder");
    while (!open_.empty())
        close_folder();
    library_->close();
    return report_;
}

} // namespace vm2oci
