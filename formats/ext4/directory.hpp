// The entries of an ext4 folder, linear or indexed: an index is made of blocks that read as folders without entries.
#pragma once

#include "formats/ext4/extents.hpp"
#include "formats/tree/file_system.hpp"

#include <span>
#include <vector>

namespace vm2oci {

inline constexpr std::uint64_t kMaxDirectoryBytes = 1024ull * 1024 * 1024;

class DirectoryReader {
  public:
    DirectoryReader(const Ext4Library& library, ext2_ino_t folder) : library_(library), folder_(folder) {}

    // Block checksums are verified where the file system has them.
    void add_blocks(std::span<const Ext4Extent> extents, std::uint64_t size);
    void add_inline(std::span<const std::byte> bytes);
    // In byte order, without "." and "..". Error{corrupt} for names that cannot be, and for two that are the same.
    std::vector<DirectoryEntry> finish();

  private:
    void add_entries(std::span<const std::byte> area);

    const Ext4Library& library_;
    ext2_ino_t folder_;
    std::vector<DirectoryEntry> entries_;
    unsigned own_entries_ = 0; // "." and ".."
};

} // namespace vm2oci
