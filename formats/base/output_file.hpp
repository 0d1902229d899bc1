// The one gate for the files that a user names as outputs.
//
// A regular file, or a name that is free, gets its content at once, when it is complete. Links are written through,
// also those that lead nowhere yet. A device, a pipe, a socket's end or a descriptor in /proc is never replaced:
// documents are written to it, and what must be sought is refused.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/base/progress.hpp"

#include <filesystem>
#include <optional>
#include <span>

namespace vm2oci {

// Where `path` leads: its links resolved, without those of /proc (a descriptor is no name). Error{unsafe} for a link in
// a sticky folder that is neither its owner's nor ours, Error{io} for a circle.
std::filesystem::path resolve_output(const std::filesystem::path& path);

// Where a folder of that name is made: a link to one that is not there stands for that one. Errors as above.
std::filesystem::path resolve_folder(const std::filesystem::path& path);

// Whether it gets its content at once: a regular file that is no mount point, or a free name. Error{conflict} for a
// folder, Error{io} for a name that cannot be had.
bool is_replaceable_output(const std::filesystem::path& path);

// An output that is written at any offset: a disk, an archive.
class OutputFile {
  public:
    // Error{unsupported} if what is there cannot be replaced: a device, a pipe, a descriptor, a mount point.
    explicit OutputFile(const std::filesystem::path& path);

    int fd() const noexcept { return file_.fd(); }
    const std::filesystem::path& path() const noexcept { return target_; } // its links resolved
    // See TemporaryFile::publish(). A new file has `mode`, or 0666 less the umask; a replaced one keeps its mode, owner
    // and extended attributes as far as we may set them. What cannot be kept never widens who may read.
    void publish(std::optional<unsigned> mode = std::nullopt) { replace(mode).keep(); }
    // The same, to be kept or taken back.
    ReplacedFile replace(std::optional<unsigned> mode = std::nullopt);

  private:
    std::filesystem::path target_;
    TemporaryFile file_;
};

// Gives the file in `fd`, which will take the place of `old`, its owner and extended attributes as far as we may set
// them, and returns the mode for it, which never widens who may read. nullopt: `old` is no regular file that is there.
std::optional<unsigned> keep_status(const std::filesystem::path& old, int fd);

// A whole small output. A mount point (a file that is bound into a container) is written in place. A named pipe is
// written once somebody reads it; a note of `operation` says so, and its cancellation ends the waiting.
void write_output(const std::filesystem::path& path, std::span<const std::byte> bytes,
                  const OperationContext& operation = {});

} // namespace vm2oci
