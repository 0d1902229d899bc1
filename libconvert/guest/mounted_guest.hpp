// A guest made of file systems in their places, each read by nodes.
#pragma once

#include "libconvert/guest/guest.hpp"

#include <memory>
#include <vector>

namespace vm2oci {

struct MountedFileSystem {
    GuestMount mount; // the mount point is canonical: absolute, without links, "." or ".."
    std::shared_ptr<const FileSystem> file_system;
    std::optional<NodeId> top{};        // what lies on the mount point; none: the file system's root
    std::vector<NodeId> not_exported{}; // folders below it that an export leaves empty, sorted

    NodeId root() const { return top ? *top : file_system->root(); }
};

// Where a path leads: a place in one file system.
struct ResolvedPath {
    std::size_t mount = 0; // index into the file systems
    NodeId node{};
    std::string canonical; // absolute, no links in it
};

class MountedGuest final : public Guest {
  public:
    // The first is mounted on "/"; deeper mount points come after those that they lie in.
    explicit MountedGuest(std::vector<MountedFileSystem> file_systems, std::vector<MissingMount> missing = {});

    std::optional<FileStatus> status(std::string_view path, FinalLink final_link) const override;
    std::optional<std::vector<std::string>> list(std::string_view path) const override;
    std::optional<std::string> read_file(std::string_view path, std::size_t limit) const override;
    std::optional<std::string> read_range(std::string_view path, std::uint64_t offset,
                                          std::size_t length) const override;
    std::optional<std::string> read_link(std::string_view path) const override;
    std::vector<ExtendedAttribute> attributes(std::string_view path) const override;
    void export_tree(const ExportOptions& options, TreeSink& sink, const OperationContext& operation) const override;
    std::vector<GuestMount> mounts() const override;
    std::vector<MissingMount> missing_mounts() const override { return missing_; }

    // nullopt: there is nothing. Error{unsafe} after kLinkLimit links, Error{limit} for a path beyond Linux' length.
    std::optional<ResolvedPath> resolve(std::string_view path, FinalLink final_link) const;
    const FileSystem& file_system(std::size_t mount) const { return *file_systems_[mount].file_system; }

  private:
    // The file system that is mounted on exactly this path.
    std::optional<std::size_t> mount_on(std::string_view canonical) const;

    std::vector<MountedFileSystem> file_systems_;
    std::vector<MissingMount> missing_;
};

} // namespace vm2oci
