// A file tree becomes an EROFS file system: read-only, not compressed (whoever ships it compresses it as a whole, and
// what is not compressed can be mapped straight from persistent memory). The same tree gives the same bytes.
//
// Source of the format: the Linux kernel, fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst. Features used
// are those of Linux 5.4 and later: extended inodes, inline extended attributes, inline targets of symbolic links.
//
// In file order: superblock, contents of files, folders, inodes.
#pragma once

#include "formats/block/overlay.hpp"
#include "formats/tree/entry.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace vm2oci {

// Larger than any tree that boots, and small enough for block numbers of 32 bits.
inline constexpr std::uint64_t kMaxErofsBytes = std::uint64_t{8} << 40;
inline constexpr std::size_t kMaxErofsEntries = 16'000'000; // held in memory, about 200 bytes each

struct ErofsParameters {
    std::array<std::byte, 16> uuid{};
    std::string label;     // the first 16 bytes count
    std::int64_t time = 0; // seconds since 1970
};

struct ErofsReport {
    std::uint64_t size = 0; // of the file system, a multiple of 4096
    std::uint64_t entries = 0;
    std::uint64_t attributes_left_out = 0; // extended attributes of kinds that EROFS does not store
};

// Not thread-safe. After any Error the disk is in an undefined state: drop it.
class ErofsTreeWriter final : public TreeSink {
  public:
    // `disk` reads as zeros and is at least as large as what comes of the tree; kMaxErofsBytes is always enough, since
    // what is not written takes no space.
    ErofsTreeWriter(std::shared_ptr<OverlayDevice> disk, ErofsParameters parameters);

    // Error{limit} for a tree that is too large and for attributes of more than 64 KiB in one file.
    void add(const Entry& entry, const FileContent* content) override;
    // Everything is on the disk when this returns. Call once, last.
    ErofsReport finish();

  private:
    struct Name {
        std::string name;
        std::size_t node;
    };
    struct Node {
        FileStatus status;
        std::uint32_t links = 1;
        std::uint32_t block = 0;    // of the content or of the folder; 0 also for what has none
        std::uint64_t size = 0;     // of the content
        std::string attributes;     // as they stand behind the inode
        std::string inline_target;  // of a symbolic link
        std::vector<Name> names;    // of a folder, without "." and ".."
        std::size_t parent = 0;     // of a folder
        std::uint64_t position = 0; // of the inode, in bytes from the beginning of the inodes
    };
    class ContentSink;

    std::size_t folder_at(const std::string& path) const;
    // As they stand behind an inode; empty: there are none. Counts those that are left out.
    std::string attributes_of(const Entry& entry);
    void place_content(const Entry& entry, const FileContent* content, Node& node);
    void place_folders();
    void place_inodes();
    void write_folder(const Node& folder, std::size_t self);
    void write_inodes();
    void write_superblock();
    std::uint64_t number_of(std::size_t node) const;
    std::uint32_t take_blocks(std::uint64_t bytes);

    std::shared_ptr<OverlayDevice> disk_;
    ErofsParameters parameters_;
    std::vector<Node> nodes_; // the root first
    std::unordered_map<std::string, std::size_t> folders_;
    std::unordered_map<std::string, std::size_t> linked_;
    std::uint64_t next_block_ = 1;
    std::uint64_t inodes_at_ = 0; // block
    ErofsReport report_;
};

} // namespace vm2oci
