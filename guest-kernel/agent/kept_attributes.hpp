// What a file keeps while it is changed, though the kernel would take it or forbid the change.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vm2oci::guest {

// The flags of chattr(1) that forbid changes; none: it has none, or the file system knows none.
using FileFlags = std::optional<unsigned>;

// Takes them off an open file or folder; what it had. Error when they cannot be taken off.
FileFlags lift_flags(int fd);
void restore_flags(int fd, const FileFlags& flags);

// The extended attributes of an open file: the first write takes capabilities away.
class KeptAttributes {
  public:
    explicit KeptAttributes(int fd);
    // Sets what is missing or differs, but for the access list, which the kernel has changed with the mode.
    void restore(int fd) const;
    // Sets all of them, on another file.
    void copy_all(int fd) const;

  private:
    std::vector<std::pair<std::string, std::string>> attributes_;
};

// `name` becomes a file of its own, with the content, the owner, the mode and the attributes of `file`, made under the
// free name `fresh`; the other names of `file` stay with it.
void separate_names(int folder, int file, const std::string& name, const std::string& fresh);

} // namespace vm2oci::guest
