// What will be changed in a guest, as data: made by pure planners, printed by --dry-run, carried out by apply.
#pragma once

#include "formats/tree/file_system_editor.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class EditKind {
    write_file,   // the file holds exactly this content afterwards; made if it was not there
    append_file,  // bytes behind the end of a file that is there
    make_folder,  // nothing is there before
    make_symlink, // nothing is there before
    remove,       // the file, or the folder with all that it holds; a symbolic link itself, never what it names
};
std::string_view to_string(EditKind kind);

struct Edit {
    EditKind kind = EditKind::write_file;
    // Absolute and canonical: no part but the last may be a symbolic link in the guest.
    std::string path;
    std::string content;                            // write_file, append_file
    std::optional<std::filesystem::path> host_file; // write_file: the content is this file of ours instead
    std::uint64_t size = 0;                         // of the content, wherever it is
    std::string link_target;                        // make_symlink
    FileAttributes attributes;
    std::string operation; // "cloud-init", "sysprep:machine-id", "fix:virtio"
    std::string reason;    // one line for people
};

// Something that planners saw and did not change.
struct EditFinding {
    std::string operation;
    std::string text; // one line, escaped
};

struct EditPlan {
    std::vector<Edit> edits; // to be carried out in this order
    std::vector<EditFinding> findings;
};

// One line an edit, then the findings. Secrets do not appear: contents are never shown, only their sizes.
std::string to_text(const EditPlan& plan);
nlohmann::ordered_json to_json(const EditPlan& plan);

} // namespace vm2oci
