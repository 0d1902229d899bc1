// A guest made of a list of files, for tests of what only reads a guest.
#pragma once

#include "formats/base/error.hpp"
#include "libconvert/guest/guest.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci::test {

// Paths are absolute. Folders on the way come into being by themselves.
class MemoryGuest final : public Guest {
  public:
    MemoryGuest() { folder("/"); }

    MemoryGuest& file(const std::string& path, std::string content, std::uint32_t permissions = 0644,
                      std::uint32_t owner = 0) {
        Node node{};
        node.status.permissions = permissions;
        node.status.uid = node.status.gid = owner;
        node.status.size = content.size();
        node.content = std::move(content);
        return put(path, std::move(node));
    }
    MemoryGuest& folder(const std::string& path) {
        Node node{};
        node.status.type = FileType::directory;
        node.status.permissions = 0755;
        return put(path, std::move(node));
    }
    MemoryGuest& symlink(const std::string& path, std::string target) {
        Node node{};
        node.status.type = FileType::symlink;
        node.status.permissions = 0777;
        node.content = std::move(target);
        return put(path, std::move(node));
    }
    // Of a file or folder that is there.
    MemoryGuest& attribute(const std::string& path, std::string name, std::string value) {
        nodes_.at(path).attributes.push_back({std::move(name), std::move(value)});
        return *this;
    }
    MemoryGuest& special(const std::string& path, FileType type) {
        Node node{};
        node.status.type = type;
        return put(path, std::move(node));
    }
    // With all that lies below it.
    MemoryGuest& remove(const std::string& path) {
        std::erase_if(nodes_,
                      [&](const auto& node) { return node.first == path || node.first.starts_with(path + "/"); });
        return *this;
    }
    // Everything that an edit can change, by path: kind, mode, owner and content.
    std::map<std::string, std::string> snapshot() const {
        std::map<std::string, std::string> all;
        for (const auto& [path, node] : nodes_)
            all[path] = std::to_string(static_cast<int>(node.status.type)) + " " +
                        std::to_string(node.status.permissions) + " " + std::to_string(node.status.uid) + ":" +
                        std::to_string(node.status.gid) + " " + node.content;
        return all;
    }
    MemoryGuest& missing(MissingMount mount) {
        missing_.push_back(std::move(mount));
        return *this;
    }
    MemoryGuest& mount(GuestMount mount) {
        mounts_.push_back(std::move(mount));
        return *this;
    }

    std::optional<FileStatus> status(std::string_view path, FinalLink final_link) const override {
        const Node* node = find(path, final_link);
        return node == nullptr ? std::nullopt : std::optional(node->status);
    }
    // How often it was listed.
    unsigned listings(const std::string& folder) const {
        const auto found = listings_.find(folder);
        return found == listings_.end() ? 0 : found->second;
    }

    std::optional<std::vector<std::string>> list(std::string_view path) const override {
        std::string folder;
        const Node* node = find(path, FinalLink::follow, &folder);
        if (node == nullptr || node->status.type != FileType::directory)
            return std::nullopt;
        ++listings_[folder];
        const std::string prefix = folder == "/" ? "/" : folder + "/";
        std::vector<std::string> names;
        for (const auto& [name, child] : nodes_)
            if (name.size() > prefix.size() && name.starts_with(prefix) &&
                name.find('/', prefix.size()) == std::string::npos)
                names.push_back(name.substr(prefix.size()));
        return names;
    }
    std::optional<std::string> read_file(std::string_view path, std::size_t limit) const override {
        const Node* node = find(path, FinalLink::follow);
        if (node == nullptr || node->status.type != FileType::regular)
            return std::nullopt;
        if (node->content.size() > limit)
            fail(ErrorKind::limit, "file too large");
        return node->content;
    }
    std::optional<std::string> read_range(std::string_view path, std::uint64_t offset,
                                          std::size_t length) const override {
        const Node* node = find(path, FinalLink::follow);
        if (node == nullptr || node->status.type != FileType::regular)
            return std::nullopt;
        return node->content.substr(std::min<std::uint64_t>(offset, node->content.size()), length);
    }
    std::optional<std::string> read_link(std::string_view path) const override {
        const Node* node = find(path, FinalLink::keep);
        if (node == nullptr || node->status.type != FileType::symlink)
            return std::nullopt;
        return node->content;
    }
    std::vector<ExtendedAttribute> attributes(std::string_view path) const override {
        const Node* node = find(path, FinalLink::keep);
        return node == nullptr ? std::vector<ExtendedAttribute>() : node->attributes;
    }
    void export_tree(const ExportOptions&, TreeSink&, const OperationContext&) const override {
        fail(ErrorKind::unsupported, "MemoryGuest does not export");
    }
    std::vector<MissingMount> missing_mounts() const override { return missing_; }
    std::vector<GuestMount> mounts() const override { return mounts_; }

  private:
    struct Node {
        FileStatus status;
        std::string content;
        std::vector<ExtendedAttribute> attributes{};
    };

    MemoryGuest& put(const std::string& path, Node node) {
        for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
            if (nodes_.find(path.substr(0, slash)) == nodes_.end())
                folder(path.substr(0, slash));
        nodes_[path] = std::move(node);
        return *this;
    }

    const Node* find(std::string_view path, FinalLink final_link, std::string* canonical = nullptr) const {
        std::deque<std::string> pending = split(path);
        std::string current = "/";
        unsigned links = 0;
        while (!pending.empty()) {
            const std::string part = pending.front();
            pending.pop_front();
            if (part == "..") {
                current = current.rfind('/') == 0 ? "/" : current.substr(0, current.rfind('/'));
                continue;
            }
            const std::string next = current == "/" ? "/" + part : current + "/" + part;
            const auto found = nodes_.find(next);
            if (found == nodes_.end())
                return nullptr;
            if (found->second.status.type == FileType::symlink &&
                (!pending.empty() || final_link == FinalLink::follow)) {
                if (++links > kLinkLimit)
                    fail(ErrorKind::unsafe, "too many links");
                if (found->second.content.starts_with("/"))
                    current = "/";
                const std::deque<std::string> target = split(found->second.content);
                pending.insert(pending.begin(), target.begin(), target.end());
                continue;
            }
            current = next;
        }
        if (canonical != nullptr)
            *canonical = current;
        const auto found = nodes_.find(current);
        return found == nodes_.end() ? nullptr : &found->second;
    }

    static std::deque<std::string> split(std::string_view path) {
        std::deque<std::string> parts;
        for (std::size_t at = 0; at < path.size();) {
            const std::size_t slash = std::min(path.find('/', at), path.size());
            if (slash > at && path.substr(at, slash - at) != ".")
                parts.emplace_back(path.substr(at, slash - at));
            at = slash + 1;
        }
        return parts;
    }

    std::map<std::string, Node> nodes_;
    mutable std::map<std::string, unsigned> listings_; // by canonical path
    std::vector<GuestMount> mounts_;
    std::vector<MissingMount> missing_;
};

} // namespace vm2oci::test
