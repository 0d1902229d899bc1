#include "libconvert/edit/apply_edit.hpp"

#include "formats/base/size.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

namespace vm2oci {
namespace {

// A file of ours, read while it is written into the guest.
class HostFileContent final : public FileContent {
  public:
    HostFileContent(const std::filesystem::path& path, std::uint64_t size) : file_(open_read(path)), size_(size) {}

    void copy_to(ByteSink& out) const override {
        std::vector<std::byte> buffer(MiB);
        for (std::uint64_t offset = 0; offset < size_;) {
            const std::size_t step = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size_ - offset));
            const std::size_t got = read_at(file_.get(), offset, std::span(buffer).first(step));
            if (got == 0)
                return;
            out.write(std::span(buffer).first(got));
            offset += got;
        }
    }

  private:
    UniqueFd file_;
    std::uint64_t size_;
};

} // namespace

void apply_edit(const Edit& edit, const std::string& path, FileSystemEditor& editor) {
    switch (edit.kind) {
    case EditKind::write_file:
        if (edit.host_file)
            return editor.write_file(path, edit.size, HostFileContent(*edit.host_file, edit.size), edit.attributes);
        return editor.write_file(path, edit.content.size(), TextContent(edit.content), edit.attributes);
    case EditKind::append_file:
        return editor.append_file(path, edit.content);
    case EditKind::make_folder:
        return editor.make_folder(path, edit.attributes);
    case EditKind::make_symlink:
        return editor.make_symlink(path, edit.link_target, edit.attributes.selinux_label);
    case EditKind::remove:
        return editor.remove(path);
    }
}

} // namespace vm2oci
