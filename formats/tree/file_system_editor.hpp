// Changes to one file system, by canonical paths: the narrow waist under everything that writes into a guest.
#pragma once

#include "formats/tree/entry.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vm2oci {

// What is not given stays as it is in a file that is replaced; a new file belongs to root, 0644, a new folder 0755.
struct FileAttributes {
    std::optional<std::uint32_t> permissions; // 07777
    std::optional<std::uint32_t> uid;
    std::optional<std::uint32_t> gid;
    // The SELinux label of a new file ("system_u:object_r:etc_t:s0"); empty: that of the folder that holds it. In a
    // folder without a label it gets none.
    std::string selinux_label;
};

// Paths are relative to the root of this file system, without "." and ".." and without symbolic links before the last
// part; the folder that holds the target is there. Not thread-safe. Error{unsafe} when the target is neither a regular
// file nor absent, Error{limit} when the file system is full, Error{corrupt} when it is broken, Error{unsupported} for
// a file with features that cannot be written. After any error the disk is in an undefined state: drop it.
class FileSystemEditor {
  public:
    virtual ~FileSystemEditor() = default;

    // The file holds exactly the `size` bytes of `content` afterwards. Owner, mode and extended attributes of a file
    // that is replaced survive, and other names (hard links) of it keep the old content.
    virtual void write_file(std::string_view path, std::uint64_t size, const FileContent& content,
                            const FileAttributes& attributes) = 0;
    virtual void append_file(std::string_view path, std::string_view content) = 0;
    virtual void make_folder(std::string_view path, const FileAttributes& attributes) = 0;
    virtual void make_symlink(std::string_view path, std::string_view target, const std::string& selinux_label) = 0;
    // A folder with all that it holds. What a removed file held is gone from the disk too, where the format allows it.
    virtual void remove(std::string_view path) = 0;
    // Everything is on the disk when this returns. The object must not be used afterwards.
    virtual void finish() = 0;
};

} // namespace vm2oci
