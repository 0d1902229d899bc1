// btrfs on one device, read straight from it: no mount, no privileges, no writes.
//
// Nodes of all its subvolumes are of one file system: a subvolume that lies in a folder of another one is a folder like
// any other, as the kernel shows it below a mount.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/tree/file_system.hpp"

#include <memory>

namespace vm2oci {

class BtrfsFileSystem final : public FileSystem {
  public:
    // A log that must be replayed is replayed in memory. Throws Error: corrupt, unsupported (by the feature's or the
    // profile's name, or by what in the log is not replayed here), limit.
    explicit BtrfsFileSystem(std::shared_ptr<const BlockDevice> device);
    ~BtrfsFileSystem() override;

    // Of the default subvolume.
    NodeId root() const override;
    std::optional<NodeId> subvolume(std::string_view path) const override;
    std::optional<NodeId> subvolume(std::uint64_t number) const override;
    std::vector<SubvolumeFacts> subvolumes() const override;
    FileStatus status(NodeId node) const override;
    std::vector<DirectoryEntry> list(NodeId folder) const override;
    std::optional<NodeId> lookup(NodeId folder, std::string_view name) const override;
    std::string read_link(NodeId symlink) const override;
    std::vector<ExtendedAttribute> attributes(NodeId node) const override;
    void read_at(NodeId file, std::uint64_t offset, std::span<std::byte> buffer) const override;
    std::optional<std::vector<DataRange>> data_ranges(NodeId file) const override;
    // The free bytes are those of one copy; the format counts no inodes.
    FileSystemUsage usage() const override;
    LogState log() const override;
    // Error{corrupt} also if extents and block groups contradict each other; nullopt if there is a log, whose extents
    // no account has.
    std::optional<std::vector<DataRange>> free_space() const override;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace vm2oci
