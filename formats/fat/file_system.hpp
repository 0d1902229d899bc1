// FAT12, FAT16 and FAT32 with long names, read-only: what an EFI system partition is made of.
//
// Source: Microsoft, "FAT: General Overview of On-Disk Format", 1.03. Owners and modes are those that Linux shows by
// default: 0:0 and 0755. Times are taken as UTC.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/tree/file_system.hpp"

#include <memory>

namespace vm2oci {

inline constexpr std::size_t kMaxFatDirectoryBytes = 65536ull * 32; // the format's own limit

class FatFileSystem final : public FileSystem {
  public:
    // Error{corrupt} for a boot sector that contradicts itself or its device.
    explicit FatFileSystem(std::shared_ptr<const BlockDevice> device);
    ~FatFileSystem() override;

    NodeId root() const override;
    FileStatus status(NodeId node) const override;
    std::vector<DirectoryEntry> list(NodeId folder) const override;
    // Without regard to the case of ASCII letters.
    std::optional<NodeId> lookup(NodeId folder, std::string_view name) const override;
    // There are none: Error{corrupt}.
    std::string read_link(NodeId symlink) const override;
    std::vector<ExtendedAttribute> attributes(NodeId node) const override;
    void read_at(NodeId file, std::uint64_t offset, std::span<std::byte> buffer) const override;
    FileSystemUsage usage() const override;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace vm2oci
