// One file system of a guest, by nodes: the narrow waist under path resolution, inspection and export.
#pragma once

#include "formats/tree/entry.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// Names a file inside one file system (an inode number, where there are inodes). Two names with the same node are hard
// links of each other.
enum class NodeId : std::uint64_t {};

struct DirectoryEntry {
    std::string name; // is_valid_file_name()
    NodeId node;
};

struct FileSystemUsage {
    std::uint64_t total_bytes = 0;
    std::uint64_t free_bytes = 0;
    std::uint64_t total_inodes = 0; // 0: the format has none
    std::uint64_t free_inodes = 0;
};

// A tree of a file system that has several (a subvolume of btrfs), other than the topmost.
struct SubvolumeFacts {
    std::uint64_t number = 0;
    std::string path; // from the topmost tree, raw bytes: "@/.snapshots/1/snapshot"
    NodeId root{};
    enum class Origin { created, snapshot } origin = Origin::created;
    enum class Access { writable, read_only } access = Access::writable;
};

// What stands in a log (a journal) that the file system keeps.
enum class LogState {
    none,     // it has none
    clean,    // nothing that the file system lacks
    replayed, // changes, which this reader applied in memory: what it shows is what a mount would show
    pending,  // changes that this reader does not apply: what it shows is older than what a mount would show
};

// Read-only. Not thread-safe. Everything that it returns is checked against the disk's bounds; a broken structure is
// Error{corrupt}, a legal one that cannot be read is Error{unsupported}.
class FileSystem {
  public:
    virtual ~FileSystem() = default;

    // Of the tree that a mount without options shows.
    virtual NodeId root() const = 0;
    // The root of another tree in the same file system, by its path from the topmost one ("@", "@/.snapshots/1");
    // nullopt: there is none, as in formats that have but one.
    virtual std::optional<NodeId> subvolume(std::string_view) const { return std::nullopt; }
    // The same by its number.
    virtual std::optional<NodeId> subvolume(std::uint64_t) const { return std::nullopt; }
    // Empty in formats that have but one tree.
    virtual std::vector<SubvolumeFacts> subvolumes() const { return {}; }
    virtual FileStatus status(NodeId node) const = 0;
    // Without "." and "..", in byte order of the names. Error{corrupt} if `folder` is none.
    virtual std::vector<DirectoryEntry> list(NodeId folder) const = 0;
    // The exact name, as the format compares names. nullopt: not there.
    virtual std::optional<NodeId> lookup(NodeId folder, std::string_view name) const = 0;
    virtual std::string read_link(NodeId symlink) const = 0;
    // Sorted by name, in the form that getxattr(2) shows.
    virtual std::vector<ExtendedAttribute> attributes(NodeId node) const = 0;
    // Fills the whole buffer from a regular file; holes as zeros. Error{corrupt} beyond its size.
    virtual void read_at(NodeId file, std::uint64_t offset, std::span<std::byte> buffer) const = 0;
    // What of a regular file's content may be something else than zeros, in order and without overlaps. nullopt: not
    // known without reading it.
    virtual std::optional<std::vector<DataRange>> data_ranges(NodeId) const { return std::nullopt; }
    virtual FileSystemUsage usage() const = 0;
    virtual LogState log() const { return LogState::none; }
    // Bytes of the device in which nothing is stored, in order; metadata are never among them. nullopt: this reader
    // does not know. Error{corrupt}: it is damaged, may be, or contradicts itself; all of it may be in use.
    virtual std::optional<std::vector<DataRange>> free_space() const { return std::nullopt; }
};

} // namespace vm2oci
