// xfs of version 4 and 5, read straight from a BlockDevice: no mount, no privileges, no writes.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/tree/file_system.hpp"

#include <memory>

namespace vm2oci {

class XfsFileSystem final : public FileSystem {
  public:
    // A log that must be replayed is replayed in memory. Throws Error: corrupt, unsupported (by the feature's name, or
    // by what in the log only the kernel finishes), limit.
    explicit XfsFileSystem(std::shared_ptr<const BlockDevice> device);
    ~XfsFileSystem() override;

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
    // Error{corrupt} also if the groups' lists and counts contradict each other; nullopt if the log leaves something
    // to free that only the kernel finishes.
    std::optional<std::vector<DataRange>> free_space() const override;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace vm2oci
