// Changes to a file system that the kernel has mounted.
#pragma once

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/tree/file_system_editor.hpp"

#include "guest-kernel/agent/kept_attributes.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace vm2oci::guest {

// Of an error number of a file system: ENOSPC is ErrorKind::limit, EUCLEAN and EIO are ErrorKind::corrupt …
ErrorKind kind_of_error_number(int number);
// Error of that kind, with strerror() behind the text.
[[noreturn]] void fail_number(const std::string& what, int number);

// Below a folder. No path leaves it: neither by symbolic links before the last part, nor into what is mounted there.
// What a changed file keeps by contract it keeps here, though the kernel would take it: capabilities, bits for
// set-user-ID, flags that forbid changes. Files bear `time`, seconds since 1970, as their time of change; the clock
// that stamps inodes is the caller's to set.
class MountedEditor final : public FileSystemEditor {
  public:
    MountedEditor(UniqueFd folder, std::int64_t time);

    void write_file(std::string_view path, std::uint64_t size, const FileContent& content,
                    const FileAttributes& attributes) override;
    // The content of append_file() as it is kept on a disk.
    void append_content(std::string_view path, const FileContent& content);
    void append_file(std::string_view path, std::string_view content) override;
    void make_folder(std::string_view path, const FileAttributes& attributes) override;
    void make_symlink(std::string_view path, std::string_view target, const std::string& selinux_label) override;
    void remove(std::string_view path) override;
    // Error when the file system could not write all of it.
    void finish() override;

    int folder() const { return folder_.get(); }

  private:
    // The folder that holds the last part of a path, and that part.
    struct Place {
        UniqueFd folder;
        std::string name;
    };
    Place place_of(std::string_view path) const;
    void touch_folder(const Place& place) const;
    void label_new(const Place& place, const std::string& label) const;
    UniqueFd make_new_file(const Place& place) const;
    // The file, with one name only: its other names keep what it held.
    struct Opened {
        UniqueFd file;   // for writing
        FileFlags flags; // that were taken off it
    };
    Opened open_alone(const Place& place) const;

    UniqueFd folder_;
    std::int64_t time_;
};

} // namespace vm2oci::guest
