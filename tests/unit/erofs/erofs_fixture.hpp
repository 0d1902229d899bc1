// Trees for the writer of EROFS.
#pragma once

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/block/empty.hpp"
#include "formats/erofs/tree_writer.hpp"
#include "tests/unit/erofs/erofs_image.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace vm2oci::test {

class Text final : public FileContent {
  public:
    explicit Text(std::string text) : text_(std::move(text)) {}
    void copy_to(ByteSink& out) const override { out.write(as_bytes(text_)); }

  private:
    std::string text_;
};

inline Entry entry_of(std::string path, FileType type, std::uint32_t permissions = 0644) {
    Entry entry;
    entry.path = std::move(path);
    entry.status.type = type;
    entry.status.permissions = permissions;
    return entry;
}

// A disk that a tree is written to, entry by entry.
class WrittenTree {
  public:
    explicit WrittenTree(ErofsParameters parameters = {}, std::uint64_t size = 64 * MiB)
        : disk_(std::make_shared<OverlayDevice>(std::make_shared<EmptyDevice>(size))),
          writer_(disk_, std::move(parameters)) {
        folder("", 0755);
    }

    WrittenTree& folder(const std::string& path, std::uint32_t permissions = 0755) {
        return add(entry_of(path, FileType::directory, permissions));
    }
    WrittenTree& file(const std::string& path, const std::string& content) {
        return file(entry_of(path, FileType::regular), content);
    }
    WrittenTree& file(Entry entry, const std::string& content) {
        entry.status.size = content.size();
        const Text text(content);
        writer_.add(entry, &text);
        return *this;
    }
    WrittenTree& symlink(Entry entry, const std::string& target) {
        entry.status.type = FileType::symlink;
        entry.status.size = target.size();
        entry.link_target = target;
        return add(entry);
    }
    WrittenTree& symlink(const std::string& path, const std::string& target) {
        return symlink(entry_of(path, FileType::symlink, 0777), target);
    }
    WrittenTree& add(const Entry& entry) {
        writer_.add(entry, nullptr);
        return *this;
    }
    ErofsReport finish() { return writer_.finish(); }

    ErofsTreeWriter& writer() { return writer_; }
    const OverlayDevice& disk() const { return *disk_; }
    ErofsImage image() const { return ErofsImage(*disk_); }
    ErofsInode inode(const std::string& path) const { return image().inode(image().find(path)); }
    std::string content(const std::string& path) const { return image().content(inode(path)); }
    std::vector<std::string> names(const std::string& path) const {
        std::vector<std::string> names;
        for (const ErofsName& name : image().names(inode(path)))
            names.push_back(name.name);
        return names;
    }
    // All bytes that the report counts.
    std::string bytes(const ErofsReport& report) const {
        return image().text(0, static_cast<std::size_t>(report.size));
    }

  private:
    std::shared_ptr<OverlayDevice> disk_;
    ErofsTreeWriter writer_;
};

// The sentence of the Error that `action` ends with; empty: it ends well.
template <class Action>
std::string refusal_of(Action&& action, ErrorKind kind) {
    try {
        action();
    } catch (const Error& error) {
        return error.kind() == kind ? error.what() : std::string("another kind: ") + error.what();
    }
    return {};
}

} // namespace vm2oci::test
