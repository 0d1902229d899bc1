// ext2, ext3 and ext4, read through libext2fs straight from a BlockDevice: no mount, no privileges, no writes.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/tree/file_system.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace vm2oci {

struct Ext4Facts {
    std::string uuid;
    std::string label;        // raw bytes
    std::string last_mounted; // the mount point that the kernel noted, raw bytes
    std::uint64_t block_size = 0;
    enum class Journal { none, clean, replayed } journal = Journal::none;
    // suspect: marked as damaged, or in use when the machine stopped and without a journal. Its bitmaps may be wrong.
    enum class Health { clean, suspect } health = Health::clean;
};

class Ext4FileSystem final : public FileSystem {
  public:
    // A journal that must be replayed is replayed in memory. Throws Error: corrupt, unsupported (by the feature's
    // name), limit.
    explicit Ext4FileSystem(std::shared_ptr<const BlockDevice> device);
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

    // Calls `visit(offset, length)`, in order, for every stretch of bytes of the device that the block bitmaps call
    // free. Metadata is never among them, whatever the bitmaps say. Error{corrupt} if they contradict
    // descriptors or superblock, or a checksum is wrong: then nothing of what was visited holds.
    void for_each_free(const std::function<void(std::uint64_t, std::uint64_t)>& visit) const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace vm2oci
