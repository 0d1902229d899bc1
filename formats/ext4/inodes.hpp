// Inside of the room: inodes and folder entries, written through libext2fs.
#pragma once

#include "formats/ext4/library.hpp"
#include "formats/tree/file_system_editor.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// An inode as long as the file system's inodes are, extra fields included.
class RawInode {
  public:
    explicit RawInode(std::size_t size) : bytes_(std::max(size, sizeof(ext2_inode_large))), size_(size) {}

    ext2_inode_large& large() { return *reinterpret_cast<ext2_inode_large*>(bytes_.data()); }
    ext2_inode& basic() { return *reinterpret_cast<ext2_inode*>(bytes_.data()); }
    const ext2_inode& basic() const { return *reinterpret_cast<const ext2_inode*>(bytes_.data()); }
    int size() const { return static_cast<int>(size_); }
    bool has_extra() const { return size_ > EXT2_GOOD_OLD_INODE_SIZE; }

    unsigned type() const { return basic().i_mode & LINUX_S_IFMT; }

  private:
    std::vector<std::byte> bytes_;
    std::size_t size_;
};

class InodeEditor {
  public:
    // Both outlive the object. `time`: what changed inodes bear.
    InodeEditor(const Ext4Library& library, std::int64_t time) : library_(library), time_(time) {}

    RawInode read(ext2_ino_t number) const;
    void write(ext2_ino_t number, RawInode& inode) const;
    // Content changed now: mtime and ctime.
    void touch(ext2_ino_t number) const;

    std::optional<ext2_ino_t> lookup(ext2_ino_t folder, std::string_view name) const;
    // Adds the entry, with a block for the folder where it has no room. `file_type` as EXT2_FT_*.
    void link(ext2_ino_t folder, const std::string& name, ext2_ino_t number, int file_type) const;
    void unlink(ext2_ino_t folder, const std::string& name) const;
    // Makes a folder or a symbolic link by the library's own function, and a new block for `parent` where it must.
    ext2_ino_t make_folder(ext2_ino_t parent, const std::string& name) const;
    ext2_ino_t make_symlink(ext2_ino_t parent, const std::string& name, const std::string& target) const;
    // A regular file without a name, in the group of its folder.
    ext2_ino_t make_file(ext2_ino_t parent, unsigned mode) const;

    // Sets mode and owner where they are given.
    void set_attributes(ext2_ino_t number, const FileAttributes& attributes) const;
    // `label`, or that of `parent` where it is empty; none where `parent` has none.
    void set_label(ext2_ino_t parent, ext2_ino_t number, const std::string& label) const;
    void copy_extended_attributes(ext2_ino_t from, ext2_ino_t to) const;

    // Frees the blocks of an inode, and lets go of what they held on the disk.
    void free_blocks(ext2_ino_t number) const;
    // One name less; without a name the inode is freed. Folders: with everything below them.
    void release(ext2_ino_t number) const;

    // As Ext4Library::check(), with a clear word for a file system that is full.
    void check(errcode_t code, const char* what) const;

  private:
    // The number of what was added just now.
    ext2_ino_t added(ext2_ino_t parent, const std::string& name) const;
    // All times of a new inode are now; its number.
    ext2_ino_t born(ext2_ino_t number) const;
    // File systems of old are made without the feature, and hold none.
    bool has_attributes() const;
    void release_one(ext2_ino_t number, RawInode& inode) const;
    std::vector<ext2_ino_t> children(ext2_ino_t folder) const;
    template <class Add>
    void add_entry(ext2_ino_t folder, const char* what, Add&& add) const;

    ext2_filsys handle() const { return library_.handle(); }

    const Ext4Library& library_;
    std::int64_t time_;
};

} // namespace vm2oci
