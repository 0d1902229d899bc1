#include "libconvert/container/container_guest.hpp"

#include "formats/base/error.hpp"
#include "formats/tree/file_system.hpp"
#include "libconvert/guest/mounted_guest.hpp"

#include <utility>

namespace vm2oci {
namespace {

class ContainerFileSystem final : public FileSystem {
  public:
    explicit ContainerFileSystem(std::shared_ptr<const ContainerFiles> files) : files_(std::move(files)) {}

    NodeId root() const override { return NodeId{0}; }
    FileStatus status(NodeId node) const override { return file(node).status; }
    std::vector<DirectoryEntry> list(NodeId folder) const override {
        std::vector<DirectoryEntry> entries;
        for (auto& [name, node] : files_->tree().children(number(folder)))
            entries.push_back({std::move(name), NodeId{node}});
        return entries;
    }
    std::optional<NodeId> lookup(NodeId folder, std::string_view name) const override {
        const auto found = files_->tree().child(number(folder), name);
        return found ? std::optional(NodeId{*found}) : std::nullopt;
    }
    std::string read_link(NodeId symlink) const override { return file(symlink).link_target; }
    std::vector<ExtendedAttribute> attributes(NodeId node) const override { return file(node).attributes; }
    void read_at(NodeId node, std::uint64_t offset, std::span<std::byte> buffer) const override {
        const ContainerFile found = file(node);
        if (!found.content)
            fail(ErrorKind::corrupt, "what is read of the image is no regular file");
        files_->read_at(*found.content, offset, buffer);
    }
    FileSystemUsage usage() const override {
        const ContainerUsage usage = files_->tree().usage();
        return {usage.content_bytes, 0, usage.files, 0};
    }

  private:
    static ContainerTree::NodeNumber number(NodeId node) { return static_cast<ContainerTree::NodeNumber>(node); }
    ContainerFile file(NodeId node) const { return files_->tree().file(number(node)); }

    std::shared_ptr<const ContainerFiles> files_;
};

} // namespace

OpenedGuest guest_of_container(std::shared_ptr<const ContainerFiles> files) {
    MountedFileSystem root;
    root.mount.mount_point = "/";
    root.mount.volume = "the image's layers";
    root.file_system = std::make_shared<ContainerFileSystem>(std::move(files));
    OpenedGuest opened;
    opened.guest = std::make_unique<MountedGuest>(std::vector<MountedFileSystem>{std::move(root)});
    opened.backend = "native";
    return opened;
}

} // namespace vm2oci
