// An ordered file tree as data: what every reader of files produces and every packer consumes.
#pragma once

#include "formats/base/sink.hpp"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class FileType { regular, directory, symlink, character_device, block_device, fifo, socket };
std::string_view to_string(FileType type);
// Of the st_mode of stat(2), whose upper bits ext4 keeps on disk, too. nullopt: no type that there is.
std::optional<FileType> file_type_of_mode(std::uint32_t mode);

// Since 1970-01-01T00:00:00Z; negative seconds are before it. `nanoseconds` counts upwards from `seconds`, < 10^9.
struct Timestamp {
    std::int64_t seconds = 0;
    std::uint32_t nanoseconds = 0;
    auto operator<=>(const Timestamp&) const = default;
};

// As getxattr(2) shows it on Linux: the full name ("security.capability"), ACLs in the portable v2 form.
struct ExtendedAttribute {
    std::string name;
    std::string value; // bytes
    auto operator<=>(const ExtendedAttribute&) const = default;
};

struct FileStatus {
    FileType type = FileType::regular;
    std::uint32_t permissions = 0; // 07777
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint64_t size = 0; // of the content; for a symlink the length of its target
    Timestamp modified;
    std::uint32_t link_count = 1;
    std::uint32_t device_major = 0; // devices only
    std::uint32_t device_minor = 0;
};

struct Entry {
    // Bytes as the guest has them, relative to the root of the tree, "/" between parts: "etc/hostname". The root itself
    // is "". Never begins or ends with "/", and no part is "", "." or "..".
    std::string path;
    FileStatus status;
    std::string link_target;                   // symlinks: any bytes
    std::optional<std::string> hard_link_to;   // the path under which an earlier entry carried this file's content
    std::vector<ExtendedAttribute> attributes; // sorted by name
};

// A range of a file's content.
struct DataRange {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool operator==(const DataRange&) const = default;
};

// The content of a regular file, readable once or more while the sink that got it has not returned.
class FileContent {
  public:
    virtual ~FileContent() = default;
    // Writes exactly the `size` bytes of the entry's status, in order; holes as zeros.
    virtual void copy_to(ByteSink& out) const = 0;
    // What may be something else than zeros, in order and without overlaps. nullopt: not known.
    virtual std::optional<std::vector<DataRange>> data_ranges() const { return std::nullopt; }
    // Writes the bytes of a range. Only of contents that know their data_ranges().
    virtual void copy_range_to(const DataRange& range, ByteSink& out) const;
};

// Takes the entries of one tree in order: a folder before what it holds, siblings in byte order of their names.
class TreeSink {
  public:
    virtual ~TreeSink() = default;
    // `content` is null for all but regular files that are no hard link to an earlier entry.
    virtual void add(const Entry& entry, const FileContent* content) = 0;
};

// True if `name` may be one part of a path: neither empty, ".", "..", nor holding "/" or NUL, at most 255 bytes.
bool is_valid_file_name(std::string_view name);

} // namespace vm2oci
