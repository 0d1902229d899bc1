// ext2, ext3 and ext4, read through libext2fs straight from a BlockDevice: no mount, no privileges, no writes.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/tree/file_system.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace vm2oci {

struct Ext4Facts {
    std::string uuid;
    std::string label;        // raw bytes
    std::string last_mounted; // the mount point that the kernel noted, raw bytes
    std::uint64_t block_size = 0;
    // suspect: marked as damaged, or in use when the machine stopped and without a journal. Its bitmaps may be wrong.
    enum class Health { clean, suspect } health = Health::clean;
};

class Ext4FileSystem final : public FileSystem {
  public:
    // A journal that must be replayed is replayed in memory. Throws Error: corrupt, unsupported (by the feature's
    // name), limit.
    explicit Ext4FileSystem(const std::shared_ptr<const BlockDevice>& device);
    ~Ext4FileSystem() override;

    Ext4Facts facts() const;

    NodeId root() const override;
    FileStatus status(NodeId node) const override;
    std::vector<DirectoryEntry> list(NodeId folder) const override;
    std::optional<NodeId> lookup(NodeId folder, std::string_view name) const override;
    std::string read_link(NodeId symlink) const override;
    std::vector<ExtendedAttribute> attributes(NodeId node) const override;
    void read_at(NodeId file, std::uint64_t offset, std::span<std::byte> buffer) const override;
    std::optional<std::vector<DataRange>> data_ranges(NodeId file) const override;
    FileSystemUsage usage() const override;
    LogState log() const override;
    // What the block bitmaps call free. Error{corrupt} also if they contradict descriptors or superblock, or a checksum
    // is wrong.
    std::optional<std::vector<DataRange>> free_space() const override;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace vm2oci
