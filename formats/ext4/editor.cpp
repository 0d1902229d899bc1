#include "formats/ext4/editor.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/ext4/inodes.hpp"
#include "formats/ext4/journal.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

// What libext2fs reads and does not keep right when it writes.
constexpr Ext4FeatureName kReadOnlyFeatures[] = {
    {EXT4_FEATURE_RO_COMPAT_READONLY, "read-only"},    {EXT4_FEATURE_RO_COMPAT_SHARED_BLOCKS, "shared_blocks"},
    {EXT4_FEATURE_RO_COMPAT_HAS_SNAPSHOT, "snapshot"}, {EXT4_FEATURE_RO_COMPAT_REPLICA, "replica"},
    {EXT4_FEATURE_RO_COMPAT_QUOTA, "quota"},           {EXT4_FEATURE_RO_COMPAT_PROJECT, "project"}};
constexpr std::uint32_t kUnknownFeatures = ~static_cast<std::uint32_t>(EXT2_LIB_FEATURE_RO_COMPAT_SUPP);

constexpr std::int64_t kLatestTime = (std::int64_t{1} << 34) - (std::int64_t{1} << 31) - 1; // ext4's: May 2446

std::int64_t edit_time(const ext2_super_block& super, std::int64_t wanted) {
    const std::int64_t time = wanted > 0 ? wanted : std::max(super.s_wtime, super.s_mkfs_time);
    return std::clamp<std::int64_t>(time, 1, kLatestTime);
}

std::optional<std::string> obstacle(const Ext4Library& library) {
    const ext2_super_block& super = *library.handle()->super;
    if (needs_journal_replay(library))
        return "the guest's file system was not unmounted, and its journal waits to be replayed: shut the guest down "
               "cleanly, or run e2fsck on it";
    if ((super.s_state & EXT2_ERROR_FS) != 0 || (super.s_state & EXT2_VALID_FS) == 0)
        return "the guest's file system is marked as having errors: run e2fsck on it first";
    if (super.s_last_orphan != 0 || ext2fs_has_feature_orphan_present(library.handle()->super))
        return "the guest's file system has files that are half removed: shut the guest down cleanly, or run e2fsck on "
               "it";
    for (const Ext4FeatureName& feature : kReadOnlyFeatures)
        if ((super.s_feature_ro_compat & feature.bit) != 0)
            return fmt::format("the guest's file system has the feature '{}', with which it cannot be written here",
                               feature.name);
    if (const std::uint32_t unknown = super.s_feature_ro_compat & kUnknownFeatures; unknown != 0)
        return fmt::format(
            "the guest's file system has features (bits 0x{:x}) that are newer than this program: it can "
            "be read, and not be written",
            unknown);
    // libext2fs loses the inline content of a file or folder when its attributes are rewritten.
    if (ext2fs_has_feature_inline_data(library.handle()->super))
        return "the guest's file system has the feature 'inline_data', with which it cannot be written here";
    if (ext2fs_has_feature_ea_inode(library.handle()->super))
        return "the guest's file system has the feature 'ea_inode', with which it cannot be written here";
    return std::nullopt;
}

class BytesContent final : public FileContent {
  public:
    explicit BytesContent(std::string_view bytes) : bytes_(bytes) {}
    void copy_to(ByteSink& out) const override { out.write(std::as_bytes(std::span(bytes_.data(), bytes_.size()))); }

  private:
    std::string_view bytes_;
};

// Bytes into an open file of libext2fs.
class FileSink final : public ByteSink {
  public:
    FileSink(const InodeEditor& inodes, ext2_file_t file) : inodes_(inodes), file_(file) {}

    void write(std::span<const std::byte> bytes) override {
        while (!bytes.empty()) {
            unsigned written = 0;
            const auto step = static_cast<unsigned>(std::min<std::size_t>(bytes.size(), kStep));
            inodes_.check(ext2fs_file_write(file_, bytes.data(), step, &written), "writing a file");
            if (written == 0)
                fail(ErrorKind::corrupt, "writing a file of the guest makes no progress");
            bytes = bytes.subspan(written);
            total_ += written;
        }
    }
    std::uint64_t total() const { return total_; }

  private:
    static constexpr std::size_t kStep = 1024ull * 1024; // libext2fs counts in 32 bits

    const InodeEditor& inodes_;
    ext2_file_t file_;
    std::uint64_t total_ = 0;
};

void refuse_special_file(const RawInode& inode, std::string_view path) {
    if (!LINUX_S_ISREG(inode.basic().i_mode))
        fail(ErrorKind::unsafe,
             fmt::format("cannot write {} in the guest: it is no regular file", quote_untrusted(path)));
    constexpr unsigned kUnwritable = EXT4_ENCRYPT_FL | EXT4_VERITY_FL | EXT2_COMPRBLK_FL | EXT4_EA_INODE_FL;
    if ((inode.basic().i_flags & kUnwritable) != 0)
        fail(ErrorKind::unsupported,
             fmt::format("cannot write {} in the guest: it is encrypted, compressed or sealed", quote_untrusted(path)));
}

} // namespace

class Ext4Editor::Inodes final : public InodeEditor {
  public:
    using InodeEditor::InodeEditor;
};

// A name in a folder, and what it names.
struct Ext4Editor::Place {
    ext2_ino_t folder = 0;
    std::string name;
    std::optional<ext2_ino_t> file;
};

std::optional<std::string> reason_not_to_edit_ext4(const std::shared_ptr<const BlockDevice>& device) {
    const Ext4Library library(device);
    return obstacle(library);
}

Ext4Editor::Ext4Editor(std::shared_ptr<const BlockDevice> device, BlockChanges& changes, std::int64_t time) {
    if (const auto reason = reason_not_to_edit_ext4(device))
        fail(ErrorKind::unsupported, *reason);
    library_ = std::make_unique<Ext4Library>(std::move(device), &changes);
    const ext2_filsys handle = library_->handle();
    const std::int64_t now = edit_time(*handle->super, time);
    handle->now = static_cast<decltype(handle->now)>(now);
    inodes_ = std::make_unique<Inodes>(*library_, now);
    inodes_->check(ext2fs_read_bitmaps(handle), "reading the free blocks");
}

Ext4Editor::~Ext4Editor() = default;

Ext4Editor::Place Ext4Editor::find(std::string_view path) const {
    Place place;
    place.folder = EXT2_ROOT_INO;
    while (true) {
        const std::size_t slash = path.find('/');
        const std::string_view part = path.substr(0, slash);
        if (!is_valid_file_name(part))
            fail(ErrorKind::usage, fmt::format("{} is no path in a file system", quote_untrusted(path)));
        place.name = std::string(part);
        place.file = inodes_->lookup(place.folder, part);
        if (slash == std::string_view::npos)
            return place;
        if (!place.file || !LINUX_S_ISDIR(inodes_->read(*place.file).basic().i_mode))
            fail(ErrorKind::unsafe, fmt::format("{} in the guest is no folder", quote_untrusted(part)));
        place.folder = *place.file;
        path.remove_prefix(slash + 1);
    }
}

void Ext4Editor::write_content(ext2_ino_t file, std::uint64_t offset, std::uint64_t size, const FileContent& content) {
    struct Closer {
        ext2_file_t handle = nullptr;
        ~Closer() {
            if (handle != nullptr)
                ext2fs_file_close(handle);
        }
    } open;
    RawInode inode = inodes_->read(file);
    inodes_->check(ext2fs_file_open2(library_->handle(), file, &inode.basic(), EXT2_FILE_WRITE, &open.handle),
                   "opening a file");
    inodes_->check(ext2fs_file_llseek(open.handle, offset, EXT2_SEEK_SET, nullptr), "opening a file");
    FileSink sink(*inodes_, open.handle);
    content.copy_to(sink);
    inodes_->check(ext2fs_file_close(std::exchange(open.handle, nullptr)), "writing a file");
    if (sink.total() != size)
        fail(ErrorKind::io, "a file changed while it was copied into the guest; try again");
    inodes_->touch(file);
}

void Ext4Editor::drop_content(ext2_ino_t file) {
    RawInode inode = inodes_->read(file);
    if ((inode.basic().i_flags & EXT4_INLINE_DATA_FL) != 0)
        inodes_->check(ext2fs_punch(library_->handle(), file, &inode.basic(), nullptr, 0, ~0ULL), "emptying a file");
    else
        inodes_->free_blocks(file);
    inode = inodes_->read(file);
    inodes_->check(ext2fs_inode_size_set(library_->handle(), &inode.basic(), 0), "emptying a file");
    inodes_->write(file, inode);
    inodes_->touch(file);
}

void Ext4Editor::write_file(std::string_view path, std::uint64_t size, const FileContent& content,
                            const FileAttributes& attributes) {
    const Place place = find(path);
    if (!place.file) {
        const unsigned permissions = attributes.permissions.value_or(0644) & 07777;
        const ext2_ino_t made = inodes_->make_file(place.folder, LINUX_S_IFREG | permissions);
        inodes_->link(place.folder, place.name, made, EXT2_FT_REG_FILE);
        inodes_->set_attributes(made, attributes);
        inodes_->set_label(place.folder, made, attributes.selinux_label);
        return write_content(made, 0, size, content);
    }
    RawInode present = inodes_->read(*place.file);
    refuse_special_file(present, path);
    ext2_ino_t file = *place.file;
    if (present.basic().i_links_count > 1) {
        file = inodes_->make_file(place.folder, present.basic().i_mode);
        inodes_->set_attributes(
            file, {present.basic().i_mode & 07777u, inode_uid(present.basic()), inode_gid(present.basic()), {}});
        inodes_->copy_extended_attributes(*place.file, file);
        inodes_->unlink(place.folder, place.name);
        inodes_->release(*place.file);
        inodes_->link(place.folder, place.name, file, EXT2_FT_REG_FILE);
    } else {
        drop_content(file);
    }
    inodes_->set_attributes(file, attributes);
    write_content(file, 0, size, content);
}

void Ext4Editor::append_file(std::string_view path, std::string_view content) {
    const Place place = find(path);
    if (!place.file)
        fail(ErrorKind::not_found, fmt::format("the guest has no file {}", quote_untrusted(path)));
    RawInode present = inodes_->read(*place.file);
    refuse_special_file(present, path);
    write_content(*place.file, EXT2_I_SIZE(&present.basic()), content.size(), BytesContent(content));
}

void Ext4Editor::make_folder(std::string_view path, const FileAttributes& attributes) {
    const Place place = find(path);
    if (place.file)
        fail(ErrorKind::unsafe,
             fmt::format("cannot make the folder {} in the guest: something is there", quote_untrusted(path)));
    const ext2_ino_t made = inodes_->make_folder(place.folder, place.name);
    FileAttributes complete = attributes;
    complete.permissions = attributes.permissions.value_or(0755);
    inodes_->set_attributes(made, complete);
    inodes_->set_label(place.folder, made, attributes.selinux_label);
}

void Ext4Editor::make_symlink(std::string_view path, std::string_view target, const std::string& selinux_label) {
    const Place place = find(path);
    if (place.file)
        fail(ErrorKind::unsafe,
             fmt::format("cannot put a symbolic link at {} in the guest: something is there", quote_untrusted(path)));
    const ext2_ino_t made = inodes_->make_symlink(place.folder, place.name, std::string(target));
    inodes_->set_label(place.folder, made, selinux_label);
}

void Ext4Editor::remove(std::string_view path) {
    const Place place = find(path);
    if (!place.file)
        return;
    const bool folder = LINUX_S_ISDIR(inodes_->read(*place.file).basic().i_mode);
    inodes_->unlink(place.folder, place.name);
    inodes_->release(*place.file);
    if (!folder)
        return;
    RawInode parent = inodes_->read(place.folder);
    // A folder with more sub-folders than the counter holds has 1 there for ever (feature dir_nlink).
    if (parent.basic().i_links_count > 2)
        --parent.basic().i_links_count;
    inodes_->write(place.folder, parent);
}

void Ext4Editor::finish() {
    library_->close();
}

} // namespace vm2oci
