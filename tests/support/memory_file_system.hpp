// A file tree in memory, for tests of what reads guests.
#pragma once

#include "formats/base/error.hpp"
#include "formats/tree/file_system.hpp"

#include <algorithm>
#include <cstring>
#include <map>

namespace vm2oci::test {

class MemoryFileSystem final : public FileSystem {
  public:
    MemoryFileSystem() { add_node(FileType::directory); }

    // Folders on the way are made. `path` is relative: "etc/hostname".
    MemoryFileSystem& file(const std::string& path, std::string content) {
        Node& node = place(path, FileType::regular);
        node.status.size = content.size();
        node.content = std::move(content);
        return *this;
    }
    MemoryFileSystem& folder(const std::string& path) {
        place(path, FileType::directory);
        return *this;
    }
    MemoryFileSystem& symlink(const std::string& path, std::string target) {
        Node& node = place(path, FileType::symlink);
        node.status.size = target.size();
        node.content = std::move(target);
        return *this;
    }
    MemoryFileSystem& special(const std::string& path, FileType type) {
        place(path, type);
        return *this;
    }
    // Another name for what `target` is; also for folders, as only a damaged disk has.
    MemoryFileSystem& hard_link(const std::string& path, const std::string& target) {
        const std::size_t node = find_path(target);
        ++nodes_[node].status.link_count;
        const auto [parent, name] = parent_of(path);
        nodes_[parent].children[name] = node;
        return *this;
    }
    MemoryFileSystem& permissions(const std::string& path, std::uint32_t permissions) {
        nodes_[find_path(path)].status.permissions = permissions;
        return *this;
    }

    NodeId root() const override { return NodeId{0}; }
    FileStatus status(NodeId node) const override { return at(node).status; }
    std::vector<DirectoryEntry> list(NodeId folder) const override {
        std::vector<DirectoryEntry> entries;
        for (const auto& [name, node] : at(folder).children)
            entries.push_back({name, NodeId{node}});
        return entries;
    }
    std::optional<NodeId> lookup(NodeId folder, std::string_view name) const override {
        const auto found = at(folder).children.find(std::string(name));
        if (found == at(folder).children.end())
            return std::nullopt;
        return NodeId{found->second};
    }
    std::string read_link(NodeId symlink) const override { return at(symlink).content; }
    std::vector<ExtendedAttribute> attributes(NodeId) const override { return {}; }
    void read_at(NodeId file, std::uint64_t offset, std::span<std::byte> buffer) const override {
        const std::string& content = at(file).content;
        if (offset > content.size() || buffer.size() > content.size() - offset)
            fail(ErrorKind::corrupt, "a read beyond the end");
        std::memcpy(buffer.data(), content.data() + offset, buffer.size());
    }
    FileSystemUsage usage() const override { return {}; }

  private:
    struct Node {
        FileStatus status;
        std::string content;
        std::map<std::string, std::size_t> children;
    };

    const Node& at(NodeId node) const { return nodes_.at(static_cast<std::size_t>(node)); }

    std::size_t add_node(FileType type) {
        nodes_.emplace_back();
        nodes_.back().status.type = type;
        nodes_.back().status.permissions = type == FileType::directory ? 0755 : 0644;
        return nodes_.size() - 1;
    }
    std::pair<std::size_t, std::string> parent_of(const std::string& path) {
        const std::size_t slash = path.rfind('/');
        if (slash == std::string::npos)
            return {0, path};
        folder(path.substr(0, slash));
        return {find_path(path.substr(0, slash)), path.substr(slash + 1)};
    }
    Node& place(const std::string& path, FileType type) {
        const auto [parent, name] = parent_of(path);
        if (const auto known = nodes_[parent].children.find(name); known != nodes_[parent].children.end())
            return nodes_[known->second];
        const std::size_t node = add_node(type);
        nodes_[parent].children[name] = node;
        return nodes_[node];
    }
    std::size_t find_path(const std::string& path) const {
        std::size_t node = 0;
        for (std::size_t begin = 0; begin < path.size();) {
            const std::size_t end = std::min(path.find('/', begin), path.size());
            node = nodes_[node].children.at(path.substr(begin, end - begin));
            begin = end + 1;
        }
        return node;
    }

    std::vector<Node> nodes_;
};

} // namespace vm2oci::test
