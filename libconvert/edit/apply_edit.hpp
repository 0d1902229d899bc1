// One edit of a plan, given to an editor.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/tree/file_system_editor.hpp"
#include "libconvert/edit/plan.hpp"

#include <string>
#include <string_view>

namespace vm2oci {

// A text of ours as the content of a file. The text outlives it.
class TextContent final : public FileContent {
  public:
    explicit TextContent(std::string_view text) : text_(text) {}
    void copy_to(ByteSink& out) const override { out.write(as_bytes(text_)); }

  private:
    std::string_view text_;
};

// `path` is the edit's, relative to the root of the editor's file system.
void apply_edit(const Edit& edit, const std::string& path, FileSystemEditor& editor);

} // namespace vm2oci
