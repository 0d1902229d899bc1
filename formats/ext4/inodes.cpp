#include "formats/ext4/inodes.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/ext4/attribute_handle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>

namespace vm2oci {
namespace {

constexpr unsigned kUnwritableFlags = EXT4_ENCRYPT_FL | EXT4_VERITY_FL | EXT4_CASEFOLD_FL | EXT2_COMPRBLK_FL;
constexpr std::string_view kLabelName = "security.selinux";
constexpr unsigned kExpansions = 2; // one block makes room for any name; an index may want one more

// Seconds in 34 bits: the upper two lie in the extra field (Documentation/filesystems/ext4/inodes.rst).
std::uint32_t low_seconds(std::int64_t time) {
    return static_cast<std::uint32_t>(time);
}
std::uint32_t extra_seconds(std::int64_t time) {
    return static_cast<std::uint32_t>((time - static_cast<std::int32_t>(low_seconds(time))) >> 32) & 3;
}

void set_change_time(RawInode& inode, std::int64_t time) {
    inode.basic().i_ctime = low_seconds(time);
    if (inode.has_extra())
        inode.large().i_ctime_extra = extra_seconds(time);
}

void set_modification_time(RawInode& inode, std::int64_t time) {
    set_change_time(inode, time);
    inode.basic().i_mtime = low_seconds(time);
    if (inode.has_extra())
        inode.large().i_mtime_extra = extra_seconds(time);
}

// The library sets the lower halves in what it makes: without the upper ones, times from 2038 on would be before 1970.
void set_birth_time(RawInode& inode, std::int64_t time) {
    set_modification_time(inode, time);
    inode.basic().i_atime = low_seconds(time);
    if (!inode.has_extra())
        return;
    inode.large().i_atime_extra = extra_seconds(time);
    inode.large().i_crtime = low_seconds(time);
    inode.large().i_crtime_extra = extra_seconds(time);
}

} // namespace

void InodeEditor::check(errcode_t code, const char* what) const {
    if (code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL || code == ENOSPC)
        fail(ErrorKind::limit,
             fmt::format("the guest's file system is full ({} blocks and {} inodes are free): grow it, "
                         "or remove something",
                         ext2fs_free_blocks_count(handle()->super), handle()->super->s_free_inodes_count));
    library_.check(code, what);
}

RawInode InodeEditor::read(ext2_ino_t number) const {
    RawInode inode(EXT2_INODE_SIZE(handle()->super));
    check(ext2fs_read_inode_full(handle(), number, &inode.basic(), inode.size()), "reading an inode");
    return inode;
}

void InodeEditor::write(ext2_ino_t number, RawInode& inode) const {
    check(ext2fs_write_inode_full(handle(), number, &inode.basic(), inode.size()), "writing an inode");
}

void InodeEditor::touch(ext2_ino_t number) const {
    RawInode inode = read(number);
    set_modification_time(inode, time_);
    write(number, inode);
}

std::optional<ext2_ino_t> InodeEditor::lookup(ext2_ino_t folder, std::string_view name) const {
    ext2_ino_t found = 0;
    const errcode_t code = ext2fs_lookup(handle(), folder, name.data(), static_cast<int>(name.size()), nullptr, &found);
    if (code == EXT2_ET_FILE_NOT_FOUND)
        return std::nullopt;
    check(code, "looking up a name");
    return found;
}

template <class Add>
void InodeEditor::add_entry(ext2_ino_t folder, const char* what, Add&& add) const {
    const RawInode inode = read(folder);
    if ((inode.basic().i_flags & kUnwritableFlags) != 0)
        fail(ErrorKind::unsupported, "a folder of the guest is encrypted or ignores case, and cannot be written");
    errcode_t code = add();
    for (unsigned i = 0; code == EXT2_ET_DIR_NO_SPACE && i < kExpansions; ++i) {
        check(ext2fs_expand_dir(handle(), folder), what);
        code = add();
    }
    check(code, what);
    touch(folder);
}

void InodeEditor::link(ext2_ino_t folder, const std::string& name, ext2_ino_t number, int file_type) const {
    add_entry(folder, "adding a name", [&] { return ext2fs_link(handle(), folder, name.c_str(), number, file_type); });
}

void InodeEditor::unlink(ext2_ino_t folder, const std::string& name) const {
    check(ext2fs_unlink(handle(), folder, name.c_str(), 0, 0), "removing a name");
    touch(folder);
}

ext2_ino_t InodeEditor::added(ext2_ino_t parent, const std::string& name) const {
    const auto number = lookup(parent, name);
    if (!number)
        fail(ErrorKind::corrupt, quote_untrusted(name) + " is not in its folder, to which it was just added");
    return *number;
}

ext2_ino_t InodeEditor::make_folder(ext2_ino_t parent, const std::string& name) const {
    add_entry(parent, "making a folder", [&] { return ext2fs_mkdir(handle(), parent, 0, name.c_str()); });
    return born(added(parent, name));
}

ext2_ino_t InodeEditor::make_symlink(ext2_ino_t parent, const std::string& name, const std::string& target) const {
    add_entry(parent, "making a symbolic link",
              [&] { return ext2fs_symlink(handle(), parent, 0, name.c_str(), target.c_str()); });
    return born(added(parent, name));
}

ext2_ino_t InodeEditor::make_file(ext2_ino_t parent, unsigned mode) const {
    ext2_ino_t number = 0;
    check(ext2fs_new_inode(handle(), parent, static_cast<int>(mode), nullptr, &number), "making a file");
    RawInode inode(EXT2_INODE_SIZE(handle()->super));
    inode.basic().i_mode = static_cast<std::uint16_t>(mode);
    inode.basic().i_links_count = 1;
    if (ext2fs_has_feature_extents(handle()->super)) {
        ext2_extent_handle_t extents = nullptr;
        inode.basic().i_flags |= EXT4_EXTENTS_FL;
        check(ext2fs_extent_open2(handle(), number, &inode.basic(), &extents), "making a file");
        ext2fs_extent_free(extents);
    }
    // Takes the basic part and says how long the extra fields are.
    check(ext2fs_write_new_inode(handle(), number, &inode.basic()), "making a file");
    ext2fs_inode_alloc_stats2(handle(), number, +1, 0);
    return born(number);
}

ext2_ino_t InodeEditor::born(ext2_ino_t number) const {
    RawInode inode = read(number);
    set_birth_time(inode, time_);
    write(number, inode);
    return number;
}

void InodeEditor::set_attributes(ext2_ino_t number, const FileAttributes& attributes) const {
    RawInode inode = read(number);
    if (attributes.permissions)
        inode.basic().i_mode = static_cast<std::uint16_t>(inode.type() | (*attributes.permissions & 07777));
    if (attributes.uid) {
        inode.basic().i_uid = static_cast<std::uint16_t>(*attributes.uid);
        inode.basic().osd2.linux2.l_i_uid_high = static_cast<std::uint16_t>(*attributes.uid >> 16);
    }
    if (attributes.gid) {
        inode.basic().i_gid = static_cast<std::uint16_t>(*attributes.gid);
        inode.basic().osd2.linux2.l_i_gid_high = static_cast<std::uint16_t>(*attributes.gid >> 16);
    }
    set_change_time(inode, time_);
    write(number, inode);
}

bool InodeEditor::has_attributes() const {
    return ext2fs_has_feature_xattr(handle()->super) || ext2fs_has_feature_inline_data(handle()->super);
}

void InodeEditor::set_label(ext2_ino_t parent, ext2_ino_t number, const std::string& label) const {
    if (!has_attributes())
        return;
    AttributeHandle source;
    check(ext2fs_xattrs_open(handle(), parent, &source.handle), "reading a label");
    check(ext2fs_xattrs_read(source.handle), "reading a label");
    void* value = nullptr;
    std::size_t size = 0;
    const errcode_t code = ext2fs_xattr_get(source.handle, kLabelName.data(), &value, &size);
    if (code == EXT2_ET_EA_KEY_NOT_FOUND)
        return;
    check(code, "reading a label");
    // The value ends with a zero byte, as the kernel stores it.
    const std::string stored =
        label.empty() ? std::string(static_cast<const char*>(value), size) : label + std::string(1, '\0');
    ext2fs_free_mem(&value);
    AttributeHandle target;
    check(ext2fs_xattrs_open(handle(), number, &target.handle), "writing a label");
    check(ext2fs_xattrs_read(target.handle), "writing a label");
    check(ext2fs_xattr_set(target.handle, kLabelName.data(), stored.data(), stored.size()), "writing a label");
}

void InodeEditor::copy_extended_attributes(ext2_ino_t from, ext2_ino_t to) const {
    if (!has_attributes())
        return;
    struct Copy {
        ext2_xattr_handle* target;
        errcode_t code = 0;
    };
    AttributeHandle source;
    AttributeHandle target;
    check(ext2fs_xattrs_open(handle(), from, &source.handle), "reading extended attributes");
    check(ext2fs_xattrs_read(source.handle), "reading extended attributes");
    check(ext2fs_xattrs_open(handle(), to, &target.handle), "writing extended attributes");
    check(ext2fs_xattrs_read(target.handle), "writing extended attributes");
    Copy copy{target.handle};
    check(ext2fs_xattrs_iterate(
              source.handle,
              [](char* name, char* value, std::size_t size, void* data) {
                  auto& state = *static_cast<Copy*>(data);
                  state.code = ext2fs_xattr_set(state.target, name, value, size);
                  return state.code == 0 ? 0 : XATTR_ABORT;
              },
              &copy),
          "copying extended attributes");
    check(copy.code, "copying extended attributes");
}

void InodeEditor::free_blocks(ext2_ino_t number) const {
    RawInode inode = read(number);
    if (ext2fs_inode_has_valid_blocks2(handle(), &inode.basic()) == 0)
        return;
    std::vector<blk64_t> blocks;
    check(ext2fs_block_iterate3(
              handle(), number, BLOCK_FLAG_READ_ONLY, nullptr,
              [](ext2_filsys, blk64_t* block, e2_blkcnt_t, blk64_t, int, void* data) {
                  static_cast<std::vector<blk64_t>*>(data)->push_back(*block);
                  return 0;
              },
              &blocks),
          "reading the blocks of a file");
    check(ext2fs_punch(handle(), number, &inode.basic(), nullptr, 0, ~0ULL), "freeing the blocks of a file");
    write(number, inode);
    std::sort(blocks.begin(), blocks.end());
    for (std::size_t i = 0; i < blocks.size();) {
        std::size_t end = i + 1;
        while (end < blocks.size() && blocks[end] == blocks[end - 1] + 1)
            ++end;
        for (; i < end; ++i)
            if (ext2fs_test_block_bitmap2(handle()->block_map, blocks[i]) == 0)
                check(io_channel_discard(handle()->io, blocks[i], 1), "discarding the content of a file");
    }
}

std::vector<ext2_ino_t> InodeEditor::children(ext2_ino_t folder) const {
    std::vector<ext2_ino_t> numbers;
    check(ext2fs_dir_iterate2(
              handle(), folder, 0, nullptr,
              [](ext2_ino_t, int entry, ext2_dir_entry* dirent, int, int, char*, void* data) {
                  if (entry == DIRENT_OTHER_FILE && dirent->inode != 0)
                      static_cast<std::vector<ext2_ino_t>*>(data)->push_back(dirent->inode);
                  return 0;
              },
              &numbers),
          "reading a folder");
    return numbers;
}

void InodeEditor::release_one(ext2_ino_t number, RawInode& inode) const {
    const bool folder = LINUX_S_ISDIR(inode.basic().i_mode);
    if (!folder && inode.basic().i_links_count > 1) {
        --inode.basic().i_links_count;
        set_change_time(inode, time_);
        return write(number, inode);
    }
    free_blocks(number);
    inode = read(number);
    check(ext2fs_free_ext_attr(handle(), number, &inode.large()), "freeing extended attributes");
    inode = read(number);
    inode.basic().i_links_count = 0;
    inode.basic().i_dtime = low_seconds(time_);
    std::memset(inode.basic().i_block, 0, sizeof(inode.basic().i_block));
    check(ext2fs_inode_size_set(handle(), &inode.basic(), 0), "removing a file");
    inode.basic().i_flags &= ~static_cast<std::uint32_t>(EXT4_EXTENTS_FL | EXT4_INLINE_DATA_FL | EXT2_INDEX_FL);
    write(number, inode);
    ext2fs_inode_alloc_stats2(handle(), number, -1, folder ? 1 : 0);
}

void InodeEditor::release(ext2_ino_t number) const {
    std::set<ext2_ino_t> folders;
    std::vector<ext2_ino_t> pending = {number};
    while (!pending.empty()) {
        const ext2_ino_t current = pending.back();
        pending.pop_back();
        if (current < EXT2_FIRST_INODE(handle()->super) || current > handle()->super->s_inodes_count)
            fail(ErrorKind::corrupt, "a folder of the guest names an inode that belongs to the file system itself");
        RawInode inode = read(current);
        if (inode.basic().i_links_count == 0)
            fail(ErrorKind::corrupt, "a folder of the guest names a file that is gone");
        if (LINUX_S_ISDIR(inode.basic().i_mode)) {
            if (!folders.insert(current).second)
                fail(ErrorKind::corrupt, "a folder of the guest is in two places");
            const std::vector<ext2_ino_t> below = children(current);
            pending.insert(pending.end(), below.begin(), below.end());
        }
        release_one(current, inode);
    }
}

} // namespace vm2oci
