// A scratch file without a name for what cannot be read in place. Zeros become holes.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/base/sink.hpp"
#include "formats/base/size.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>

namespace vm2oci {

struct ScratchLimits {
    std::uint64_t max_size = std::numeric_limits<std::uint64_t>::max();    // with its holes
    std::uint64_t max_written = std::numeric_limits<std::uint64_t>::max(); // without them
};

// How much may be written of something that is stored in `stored` bytes: a disk that is full of one pattern packs some
// ten thousand times; beyond a GiB such a thing is more likely a bomb.
std::uint64_t unpacked_budget(std::uint64_t stored);

// Not thread-safe. Errors while writing: Error{limit} beyond the limits, Error{io} when the file system is full.
class SparseScratch final : public ByteSink {
  public:
    // `folder` empty: $TMPDIR, else /var/tmp.
    SparseScratch(const std::filesystem::path& folder, const ScratchLimits& limits);

    // Error{io} unless the file system has room for as much now; says which option names another folder.
    void require_room(std::uint64_t bytes) const;

    // Appends.
    void write(std::span<const std::byte> bytes) override;
    // From here on write() goes on; what is there already is not written anew.
    void seek(std::uint64_t offset) { end_ = offset; }
    // A new ScratchLimits::max_written, for what is stored in a length that is not known beforehand.
    void limit_written(std::uint64_t max_written) { limits_.max_written = max_written; }

    int fd() const { return file_.get(); }
    std::uint64_t end() const { return end_; }

    // The file, exactly end() bytes long.
    UniqueFd take();

  private:
    UniqueFd file_;
    std::string folder_; // for messages
    ScratchLimits limits_;
    std::uint64_t written_ = 0;
    std::uint64_t end_ = 0;
};

} // namespace vm2oci
