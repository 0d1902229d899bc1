// The labels that a guest's SELinux policy has for its files.
//
// The format and the order in which lines count are libselinux's (libselinux/src/label_file.c, file_contexts(5)): the
// last line that matches counts, a line without metacharacters goes before every other, and paths are first rewritten
// by the two lists of substitutions. Expressions are RE2's, which a hostile policy cannot make slow.
#pragma once

#include "formats/tree/entry.hpp"
#include "libconvert/edit/plan.hpp"
#include "libconvert/guest/guest.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci {

// The contents of file_contexts and of the files beside it that bear its name and another suffix. Empty: not there.
struct FileContextTexts {
    std::string contexts;
    std::string home_folders;               // .homedirs
    std::string local;                      // .local
    std::string substitutions;              // .subs
    std::string distribution_substitutions; // .subs_dist
};

class FileContexts final {
  public:
    // Error{corrupt} for lines that libselinux would refuse, Error{limit} for more lines than any policy has.
    explicit FileContexts(const FileContextTexts& texts);

    // "system_u:object_r:etc_t:s0"; nullopt: the policy has no label for it, wants none, or writes in a way that is
    // not understood. `path` is absolute and canonical.
    std::optional<std::string> label(std::string_view path, FileType type) const;

  private:
    struct Line {
        std::string expression;
        std::string literal_start; // what each path that matches begins with
        std::optional<FileType> type;
        std::string context;
    };
    using Substitutions = std::vector<std::pair<std::string, std::string>>;

    void read_lines(std::string_view text, std::vector<Line>& exact);
    static Substitutions read_substitutions(std::string_view text);
    static std::optional<std::string> substituted(const Substitutions& list, std::string_view path);

    std::vector<Line> lines_; // the last counts first
    Substitutions substitutions_;
    Substitutions distribution_substitutions_;
    mutable std::size_t compilations_ = 0;
};

enum class SelinuxMode { off, permissive, enforcing };
// What /etc/selinux/config says.
SelinuxMode selinux_mode(const Guest& guest);

// Of the policy that the guest starts with; nullopt: SELinux is off, or there is no policy that can be read.
std::optional<FileContexts> guest_file_contexts(const Guest& guest);

// Puts the policy's label on everything that the plan makes. Edits whose label is not known, and all of them in guests
// without SELinux, stay as they are: what is made gets its folder's label.
void label_new_files(EditPlan& plan, const Guest& guest);

} // namespace vm2oci
