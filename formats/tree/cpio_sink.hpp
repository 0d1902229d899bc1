// A file tree as a cpio archive of the kind that the Linux kernel unpacks into its first root ("newc"): deterministic,
// byte for byte the same for the same tree. Source of the format: see cpio.hpp.
#pragma once

#include "formats/tree/entry.hpp"

#include <cstdint>
#include <string>
#include <unordered_map>

namespace vm2oci {

// What the format cannot hold is left out: sockets, extended attributes, and times outside of 1970 to 2106, which
// become the nearest.
class CpioSink final : public TreeSink {
  public:
    // `out` outlives the sink.
    explicit CpioSink(ByteSink& out) : out_(out) {}

    // Hard links become files of their own with no content but the first's number, as the kernel joins them.
    // Error{limit} for a file of 4 GiB or more.
    void add(const Entry& entry, const FileContent* content) override;
    void add_symlink(const std::string& path, const std::string& target);
    // The trailer. Call once, last.
    void finish();

  private:
    void write_header(const std::string& path, const FileStatus& status, std::uint32_t mode, std::uint64_t size,
                      std::uint32_t inode);

    ByteSink& out_;
    std::uint32_t next_inode_ = 1;
    std::unordered_map<std::string, std::uint32_t> linked_; // numbers of files with several names
};

} // namespace vm2oci
