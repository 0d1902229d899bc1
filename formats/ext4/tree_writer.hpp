// A file tree becomes a new ext4 file system, through libext2fs: what `mke2fs -d` does, from any source of entries, and
// with the same bytes every time.
#pragma once

#include "formats/block/overlay.hpp"
#include "formats/ext4/library.hpp"
#include "formats/tree/entry.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace vm2oci {

struct Ext4TreeReport {
    std::uint64_t entries = 0;
    std::uint64_t attributes_left_out = 0; // extended attributes of kinds that ext4 does not store
};

// Not thread-safe. After any Error the disk is in an undefined state: drop it.
class Ext4TreeWriter final : public TreeSink {
  public:
    // `disk` reads as zeros and is filled as a whole. Error{limit}: see Ext4Library.
    Ext4TreeWriter(std::shared_ptr<OverlayDevice> disk, const Ext4Geometry& geometry);
    ~Ext4TreeWriter() override;

    // Runs of zeros in contents become holes. The tree's own lost+found is passed over: the new file system has one.
    // Error{limit} when the file system is full, or a file's attributes are larger than ext4 can hold.
    void add(const Entry& entry, const FileContent* content) override;
    // Everything is on the disk when this returns. Call once, last.
    Ext4TreeReport finish();

  private:
    class Changes;
    class ContentSink;
    struct Child {
        std::string name;
        ext2_ino_t inode;
        int type;
    };
    // A folder whose entries are still coming.
    struct Folder {
        Entry entry;
        ext2_ino_t inode = 0;
        ext2_ino_t parent = 0;
        std::uint32_t subfolders = 0;
        std::vector<Child> children;
    };
    // Blocks of a file that lie one behind the other on the disk, and in the file.
    struct Run {
        std::uint64_t logical;
        std::uint64_t physical;
        std::uint64_t count;
    };

    ext2_filsys handle() const { return library_->handle(); }
    static void copy_content(const FileContent& content, std::uint64_t size, ContentSink& sink);
    void check(errcode_t code, const char* what) const;
    Folder& open_folder(const std::string& path);
    void close_folder();
    ext2_ino_t allocate_inode(bool is_folder) const;
    // Appends runs for `count` blocks of a file from `logical` on.
    void allocate_blocks(std::uint64_t logical, std::uint64_t count, std::vector<Run>& runs);
    void write_inode(const Entry& entry, ext2_ino_t number, std::uint32_t links, std::uint64_t size,
                     const std::vector<Run>& runs);
    void write_attributes(const Entry& entry, ext2_ino_t number);
    void write_folder_blocks(const Folder& folder, const std::vector<std::vector<std::byte>>& blocks,
                             const std::vector<Run>& runs) const;

    std::shared_ptr<OverlayDevice> disk_;
    std::int64_t time_;
    std::unique_ptr<Changes> changes_;
    std::unique_ptr<Ext4Library> library_;
    std::vector<Folder> open_; // from the root to the folder that was filled last
    struct Linked {
        ext2_ino_t inode;
        int type;
    };
    std::unordered_map<std::string, Linked> linked_; // files that later entries may link to
    std::uint64_t next_block_ = 0;                   // where the search for free blocks begins
    Ext4TreeReport report_;
};

} // namespace vm2oci
