#include "libconvert/guest/tree_walk.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <utility>

namespace vm2oci {
namespace {

constexpr std::size_t kCopySize = 1 * MiB;

using FileKey = std::pair<std::size_t, NodeId>; // mount, node

class NodeContent final : public FileContent {
  public:
    NodeContent(const FileSystem& file_system, NodeId node, std::uint64_t size, const OperationContext& operation,
                std::vector<std::byte>& buffer)
        : file_system_(file_system), node_(node), size_(size), operation_(operation), buffer_(buffer) {}

    void copy_to(ByteSink& out) const override { copy_range_to({0, size_}, out); }
    std::optional<std::vector<DataRange>> data_ranges() const override { return file_system_.data_ranges(node_); }
    void copy_range_to(const DataRange& range, ByteSink& out) const override {
        const std::uint64_t end = range.offset + range.length;
        for (std::uint64_t offset = range.offset; offset < end;) {
            operation_.check_cancelled();
            const std::size_t step = static_cast<std::size_t>(std::min<std::uint64_t>(kCopySize, end - offset));
            const std::span<std::byte> part = std::span(buffer_).first(step);
            file_system_.read_at(node_, offset, part);
            out.write(part);
            operation_.progress->advance(step);
            offset += step;
        }
    }

  private:
    const FileSystem& file_system_;
    NodeId node_;
    std::uint64_t size_;
    const OperationContext& operation_;
    std::vector<std::byte>& buffer_;
};

class Walk {
  public:
    Walk(const std::vector<TreeMount>& mounts, const ExportOptions& options, TreeSink& sink,
         const OperationContext& operation)
        : mounts_(mounts), sink_(sink), operation_(operation),
          excluded_(options.excluded.begin(), options.excluded.end()),
          emptied_(options.emptied.begin(), options.emptied.end()), buffer_(kCopySize) {}

    void run() {
        enter("", 0, mounts_.front().root);
        while (!frames_.empty()) {
            operation_.check_cancelled();
            Frame& frame = frames_.back();
            if (frame.next == frame.entries.size()) {
                frames_.pop_back();
                continue;
            }
            const DirectoryEntry& entry = frame.entries[frame.next++];
            std::string path = frame.path.empty() ? entry.name : frame.path + "/" + entry.name;
            with_context("reading " + quote_untrusted(path) + " in the guest",
                         [&] { visit(std::move(path), frame.mount, entry.node); });
        }
    }

  private:
    struct Frame {
        std::string path;
        std::size_t mount;
        std::vector<DirectoryEntry> entries;
        std::size_t next = 0;
    };

    void visit(std::string path, std::size_t mount, NodeId node) {
        const std::string absolute = "/" + path;
        if (excluded_.count(absolute) != 0)
            return;
        const FileSystem* inside = mounts_[mount].file_system;
        FileStatus status = inside->status(node);
        if (status.type == FileType::directory) {
            for (std::size_t i = mounts_.size(); i-- > 1;) {
                if (mounts_[i].mount_point == absolute && i != mount) {
                    mount = i;
                    node = mounts_[i].root;
                    break;
                }
            }
            enter(std::move(path), mount, node);
            return;
        }
        Entry entry{std::move(path), status, {}, std::nullopt, {}};
        if (status.link_count > 1) {
            const auto [first, added] = first_paths_.emplace(FileKey{mount, node}, entry.path);
            if (!added)
                entry.hard_link_to = first->second;
        }
        if (status.type == FileType::symlink)
            entry.link_target = inside->read_link(node);
        entry.attributes = inside->attributes(node);
        if (status.type != FileType::regular || entry.hard_link_to) {
            sink_.add(entry, nullptr);
            return;
        }
        const NodeContent content(*inside, node, status.size, operation_, buffer_);
        sink_.add(entry, &content);
    }

    void enter(std::string path, std::size_t mount, NodeId node) {
        if (frames_.size() >= kMaxTreeDepth)
            fail(ErrorKind::limit, "folders lie deeper in each other than in any real tree");
        if (!folders_.emplace(mount, node).second)
            fail(ErrorKind::corrupt, "a folder is reached by two ways: the file system is damaged");
        const FileSystem& inside = *mounts_[mount].file_system;
        const Entry entry{path, inside.status(node), {}, std::nullopt, inside.attributes(node)};
        sink_.add(entry, nullptr);
        Frame frame{std::move(path), mount, {}, 0};
        const std::vector<NodeId>& left_empty = mounts_[mount].left_empty;
        const bool is_left_empty =
            node != mounts_[mount].root && std::binary_search(left_empty.begin(), left_empty.end(), node);
        if (!is_left_empty && emptied_.count("/" + frame.path) == 0)
            frame.entries = inside.list(node);
        frames_.push_back(std::move(frame));
    }

    const std::vector<TreeMount>& mounts_;
    TreeSink& sink_;
    const OperationContext& operation_;
    std::set<std::string> excluded_;
    std::set<std::string> emptied_;
    std::vector<Frame> frames_;
    std::set<FileKey> folders_;
    std::map<FileKey, std::string> first_paths_;
    std::vector<std::byte> buffer_;
};

} // namespace

void walk_tree(const std::vector<TreeMount>& mounts, const ExportOptions& options, TreeSink& sink,
               const OperationContext& operation) {
    Walk(mounts, options, sink, operation).run();
}

} // namespace vm2oci
